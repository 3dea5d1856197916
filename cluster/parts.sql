-- name: make_audit_partitions
-- This month's and next month's partition of the audit trail; safe to repeat.
SELECT audit.make_partitions();
