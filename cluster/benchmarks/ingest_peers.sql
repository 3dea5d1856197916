-- Raw writes to measure the gateway against: the same rows into the same tables of a database of their own.

-- name: list_receipts
-- The rows that the gateway wrote, in the order of their keys' arrival.
SELECT
    receipt_id, store_id, region_id, receipt_type, purchased_at, purchased_on, customer_id, total_cents, card_last4,
    skus, document, payload_digest, received_at
FROM retail.receipts
WHERE receipt_id = ANY (%s)
ORDER BY received_at, receipt_id;

-- name: insert_receipts
-- Receipts by unnest, with no question asked.
INSERT INTO retail.receipts (
    receipt_id, store_id, region_id, receipt_type, purchased_at, purchased_on, customer_id, total_cents,
    card_last4, skus, document, payload_digest, first_digest, received_at
)
SELECT
    receipt_id, store_id, region_id, receipt_type, purchased_at, purchased_on, customer_id, total_cents,
    string_to_array(card_last4, ','), string_to_array(skus, ','), document, payload_digest, payload_digest, received_at
FROM unnest(
    %b::text[], %b::integer[], %b::smallint[], %b::text[], %b::timestamptz[], %b::date[], %b::text[], %b::bigint[],
    %b::text[], %b::text[], %b::text[], %b::bytea[], %b::timestamptz[]
) AS s (
    receipt_id, store_id, region_id, receipt_type, purchased_at, purchased_on, customer_id, total_cents,
    card_last4, skus, document, payload_digest, received_at
);

-- name: insert_outbox
-- Outbox rows by unnest.
INSERT INTO ingest.outbox
    (turn, sequence, bronze_table, record_key, store_id, received_at, source, payload_digest, payload)
SELECT 0, sequence, 'bronze.receipts', record_key, store_id, received_at, 'bench', payload_digest, payload
FROM unnest(%b::bigint[], %b::text[], %b::integer[], %b::timestamptz[], %b::bytea[], %b::text[])
    AS s (sequence, record_key, store_id, received_at, payload_digest, payload);

-- name: copy_receipts
COPY retail.receipts (
    receipt_id, store_id, region_id, receipt_type, purchased_at, purchased_on, customer_id, total_cents, card_last4,
    skus, document, payload_digest, first_digest, received_at
) FROM STDIN;

-- name: copy_outbox
COPY ingest.outbox (turn, sequence, bronze_table, record_key, store_id, received_at, source, payload_digest, payload)
FROM STDIN;

-- name: truncate_tables
-- Each round begins with empty tables.
TRUNCATE retail.receipts, ingest.outbox;

-- name: find_waiting
-- Whether Bronze lacks a record.
SELECT 1 FROM ingest.outbox WHERE xid > (SELECT drained FROM ingest.outbox_state) LIMIT 1;
