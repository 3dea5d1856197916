-- What the benchmark of growth needs.

-- name: drop_search_indexes
-- What only searches read: a lookup never touches them, and filling them takes longer than all the rest.
DROP INDEX retail.receipts_by_card, retail.receipts_by_sku_key, retail.receipts_by_day, retail.receipts_by_store_day;

-- name: allow_memory
-- For the indexes that follow.
SET maintenance_work_mem = '2GB';

-- name: create_index_1
CREATE INDEX receipts_by_card ON retail.receipts USING gin (card_last4);

-- name: create_index_2
CREATE INDEX receipts_by_sku_key ON retail.receipts USING gin (retail.sku_keys(skus, purchased_on));

-- name: create_index_3
CREATE INDEX receipts_by_day ON retail.receipts (purchased_on, total_cents);

-- name: create_index_4
CREATE INDEX receipts_by_store_day ON retail.receipts (store_id, purchased_on, total_cents);

-- name: copy_year
-- The receipts of 2026 once more in another year, with ids and check digits of their own. The documents are those of
-- the originals: as they are, they are copied compressed, which takes a fifth of the time.
INSERT INTO retail.receipts (
    receipt_id, store_id, region_id, receipt_type, purchased_at, purchased_on, customer_id, total_cents, card_last4,
    skus, document, payload_digest, first_digest, received_at
)
SELECT
    n.id, r.store_id, r.region_id, r.receipt_type,
    r.purchased_at - %(years)s * interval '1 year', (r.purchased_on - %(years)s * interval '1 year')::date,
    r.customer_id, r.total_cents, r.card_last4, r.skus, r.document, r.payload_digest,
    r.first_digest, r.received_at
FROM retail.receipts r
CROSS JOIN LATERAL (
    SELECT lpad((26 - %(years)s)::text, 2, '0') || substr(r.receipt_id, 3, 18) AS body
) b
CROSS JOIN LATERAL (
    SELECT b.body || lpad((98 - mod(b.body::numeric * 100, 97))::text, 2, '0') AS id
) n
WHERE r.receipt_id >= '26';

-- name: analyze_receipts
-- What autovacuum would find out in its own time.
VACUUM (ANALYZE) retail.receipts;
