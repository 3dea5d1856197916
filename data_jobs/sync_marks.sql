-- How far the sync has come: watermarks of whole tables, and where a back-fill stands.

-- name: find_watermark
-- How far Postgres has followed a Delta table.
SELECT version FROM sync.watermarks WHERE table_name = %(table_name)s;

-- name: record_watermark
-- Move a watermark in the transaction that writes the rows; nothing moves when another sync was faster.
INSERT INTO sync.watermarks AS w (table_name, version, committed_at, synced_at)
VALUES (%(table_name)s, %(version)s, %(committed_at)s, clock_timestamp())
ON CONFLICT (table_name) DO UPDATE SET
    version = excluded.version, committed_at = excluded.committed_at, synced_at = excluded.synced_at
WHERE w.version = %(after)s
RETURNING w.version;

-- name: find_backfill
-- The back-fill of a table that is under way.
SELECT version, began_empty, path, rows FROM sync.backfills WHERE table_name = %(table_name)s;

-- name: record_backfill
-- Begin a back-fill, anew when the version that was read before is no more.
INSERT INTO sync.backfills (table_name, version, began_empty) VALUES (%(table_name)s, %(version)s, %(began_empty)s)
ON CONFLICT (table_name) DO UPDATE SET
    version = excluded.version, began_empty = excluded.began_empty, path = '', rows = 0,
    started_at = clock_timestamp();

-- name: record_progress
-- Note how far a back-fill has come; nothing moves when another sync was faster.
UPDATE sync.backfills SET path = %(path)s, rows = %(rows)s
WHERE table_name = %(table_name)s AND version = %(version)s AND path = %(path_before)s AND rows = %(rows_before)s
RETURNING version;

-- name: delete_backfill
-- Forget a back-fill that is complete.
DELETE FROM sync.backfills WHERE table_name = %(table_name)s;
