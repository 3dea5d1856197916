-- What the upkeep asks of Postgres.

-- name: make_audit_partitions
-- Make the audit trail's partitions of this month and the next; nothing when they are there.
SELECT audit.make_partitions();

-- name: forget_names
-- Take out of the search what nobody is called any more; nothing, and hardly any time, while nobody left.
SELECT search.forget_names();

-- name: list_readers
-- How far whoever follows a table of the lake from outside has read it: the sync, its back-fills, the settling of Bronze.
SELECT table_name, min(version)
FROM (
    SELECT table_name, version FROM sync.watermarks
    UNION ALL SELECT table_name, version FROM sync.backfills
    UNION ALL SELECT bronze_table, version FROM ingest.settled
) AS readers
GROUP BY table_name;
