-- name: count_rows
-- How many rows each relation holds.
SELECT
    (SELECT count(*) FROM retail.receipts) AS receipts,
    (SELECT count(*) FROM retail.receipts WHERE refined_at IS NOT NULL) AS receipts_refined,
    (SELECT count(*) FROM retail.stores) AS stores,
    (SELECT count(*) FROM retail.customers) AS customers,
    (SELECT count(*) FROM retail.products) AS products,
    (SELECT count(DISTINCT text_digest) FROM retail.products) AS product_texts,
    (SELECT count(*) FROM retail.product_embeddings) AS product_embeddings,
    (SELECT count(*) FROM retail.customer_profiles) AS customer_profiles;

-- name: measure_ingest
-- What waits for Bronze and for how long, and what was refused.
SELECT
    (SELECT count(*) FROM ingest.outbox WHERE xid > (SELECT drained FROM ingest.outbox_state)) AS outbox,
    (SELECT coalesce(extract(epoch FROM clock_timestamp() - min(received_at)), 0)::float8
     FROM ingest.outbox WHERE xid > (SELECT drained FROM ingest.outbox_state)) AS outbox_oldest_s,
    (SELECT count(*) FROM ingest.quarantine WHERE state = 'held') AS quarantine_held,
    (SELECT count(*) FROM ingest.quarantine WHERE state = 'replayed') AS quarantine_replayed;

-- name: measure_mail
-- How many deliveries wait, and for how long the first has been due.
SELECT
    count(*) AS waiting,
    coalesce(greatest(extract(epoch FROM clock_timestamp() - min(send_at)), 0), 0)::float8 AS oldest_s
FROM mail.deliveries
WHERE status IN ('scheduled', 'sending');

-- name: list_watermarks
-- How far Postgres follows each table of the lake.
SELECT table_name, version, committed_at, synced_at FROM sync.watermarks ORDER BY table_name;

-- name: measure_audit
-- How far the audit trail is, how old the oldest events are that cannot be searched or are not anchored yet, and faults.
SELECT
    (SELECT coalesce(max(position), 0) FROM audit.projections) AS position,
    (SELECT coalesce(extract(epoch FROM clock_timestamp() - min(s.recorded_at)), 0)::float8
     FROM audit.chains c JOIN audit.spool s ON s.chain = c.chain AND s.seq > c.projected
     WHERE c.closed_at IS NULL) AS unprojected_oldest_s,
    coalesce((SELECT extract(epoch FROM clock_timestamp() - s.recorded_at)::float8
     FROM audit.projections p JOIN audit.spool s ON s.chain = p.chain AND s.seq = p.seq
     WHERE p.position > %(anchored)s ORDER BY p.position LIMIT 1), 0) AS unanchored_oldest_s,
    (SELECT count(*) FROM audit.faults) AS faults;
