-- What Postgres knows of receipts, for the comparison with the lake. Read in one snapshot.

-- name: list_versions
-- Every version of every receipt.
SELECT receipt_id, first_digest FROM retail.receipts
UNION ALL
SELECT receipt_id, payload_digest FROM ingest.corrections;

-- name: list_serving
-- The version of each receipt that answers are made from.
SELECT receipt_id, payload_digest FROM retail.receipts;

-- name: list_refusals
-- The refused payloads of receipts.
SELECT payload_digest FROM ingest.quarantine WHERE bronze_table = 'bronze.receipts';

-- name: list_pending
-- What is on its way to Bronze.
SELECT payload_digest, refusal IS NOT NULL AS refused
FROM ingest.outbox
WHERE bronze_table = 'bronze.receipts' AND xid > (SELECT drained FROM ingest.outbox_state);

-- name: find_positions
-- Up to which versions Postgres has learned of what went to Bronze directly, and followed Silver; -1 when never.
SELECT
    coalesce((SELECT version FROM ingest.settled WHERE bronze_table = 'bronze.receipts'), -1),
    coalesce((SELECT version FROM sync.watermarks WHERE table_name = 'silver.receipts'), -1);
