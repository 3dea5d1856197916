-- How months of the audit trail leave Postgres.

-- name: list_months
-- The months that the trail has partitions for, and whether their groups are still among them.
SELECT month, has_spool FROM audit.list_months();

-- name: retire_spool
-- Takes the groups of a month out of Postgres and puts that on record.
SELECT audit.retire_spool(%s);

-- name: drop_expired
-- Removes a month for good and puts that on record.
SELECT audit.drop_expired(%s, %s);

-- name: list_expired
-- The months that were removed for good.
SELECT month FROM audit.retirements WHERE what = 'month' ORDER BY month;
