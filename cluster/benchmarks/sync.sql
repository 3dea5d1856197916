-- The table that a back-fill and a raw COPY take turns to fill.

-- name: clear_receipts
-- Begin again with nothing, indexes included.
TRUNCATE retail.receipts, sync.watermarks, sync.backfills;

-- name: copy_receipts
-- The peer: rows as the table has them, with no question asked.
COPY retail.receipts (
    receipt_id, store_id, region_id, receipt_type, purchased_at, purchased_on, customer_id, total_cents, card_last4,
    skus, document, payload_digest, first_digest, received_at
) FROM STDIN;
