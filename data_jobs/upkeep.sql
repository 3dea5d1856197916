-- What the pipeline does for Postgres once a day.

-- name: make_audit_partitions
-- Make the audit trail's partitions of this month and the next; nothing when they are there.
SELECT audit.make_partitions();
