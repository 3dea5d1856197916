-- Who watches the platform sees that the audit trail has faults, and whether any; the pipeline's login looks for it.

SET LOCAL ROLE receipts_owner;

GRANT SELECT ON audit.faults TO receipts_pipeline;
