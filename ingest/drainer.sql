-- From the outbox to Bronze. A window is made of whole transactions that are older than every running one: nothing can
-- appear in it any more.

-- name: try_to_lead
-- Become the one drainer of this database for as long as the connection lives.
SELECT pg_try_advisory_lock(hashtextextended('ingest.drainer', 0));

-- name: lead_no_more
-- Let another drainer lead, at once.
SELECT pg_advisory_unlock_all();

-- name: find_horizon
-- The first transaction that may still add rows to a window.
SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint;

-- name: find_window
-- The last transaction of the next window of about `limit` rows before a horizon; null when there is nothing to drain.
WITH ahead AS (
    SELECT xid
    FROM ingest.outbox
    WHERE xid > (SELECT drained FROM ingest.outbox_state) AND xid < %(horizon)s::text::xid8
    ORDER BY xid
    LIMIT %(limit)s + 1
), newest AS (
    SELECT max(xid) AS xid, count(*) AS rows FROM ahead
)
SELECT CASE
    WHEN newest.rows <= %(limit)s THEN newest.xid
    ELSE coalesce((SELECT max(a.xid) FROM ahead a WHERE a.xid < newest.xid), newest.xid)
END::text::bigint
FROM newest;

-- name: list_tables
-- The Bronze tables with rows in a window: stores before receipts, so that refinement never meets one without the other.
SELECT DISTINCT bronze_table
FROM ingest.outbox
WHERE xid > (SELECT drained FROM ingest.outbox_state) AND xid <= %(last)s::text::xid8
ORDER BY bronze_table DESC;

-- name: list_rows
-- The rows of a Bronze table in a window.
SELECT record_key, store_id, sequence, received_at, source, encode(payload_digest, 'hex'), payload, refusal
FROM ingest.outbox
WHERE bronze_table = %(bronze_table)s
    AND xid > (SELECT drained FROM ingest.outbox_state) AND xid <= %(last)s::text::xid8
ORDER BY sequence;

-- name: record_drained
-- Note that Bronze holds everything up to a transaction.
UPDATE ingest.outbox_state SET drained = %(last)s::text::xid8 WHERE drained < %(last)s::text::xid8;

-- name: rotate_outbox
-- Give the space of drained rows back when there is enough of it; answers how many bytes that were.
SELECT ingest.rotate_outbox(%(bytes)s);

-- name: measure_outbox
-- What waits for Bronze: rows (counted up to a million), age of the first in seconds, bytes on disk.
WITH waiting AS (
    SELECT xid, received_at FROM ingest.outbox WHERE xid > (SELECT drained FROM ingest.outbox_state)
)
SELECT
    (SELECT count(*) FROM (SELECT FROM waiting LIMIT 1000000) AS first_million),
    (SELECT greatest(extract(epoch FROM clock_timestamp() - received_at), 0)::float8
     FROM waiting ORDER BY xid LIMIT 1),
    pg_total_relation_size('ingest.outbox_0') + pg_total_relation_size('ingest.outbox_1');

-- name: count_held
-- The refused records that wait, by kind.
SELECT kind, count(*) FROM ingest.quarantine WHERE state = 'held' GROUP BY kind;
