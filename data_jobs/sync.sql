-- What the sync writes to the serving tables. Statements take columns as arrays, one element per row, each key once.

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

-- name: confirm_receipts
-- Mark receipts that ingest wrote in the very version that serves; answers all that are here in that version.
WITH refined AS (
    SELECT * FROM unnest(%(receipt_id)s::text[], %(payload_digest)s::bytea[]) AS s (receipt_id, payload_digest)
), confirmed AS (
    UPDATE retail.receipts r SET refined_at = now()
    FROM refined s
    WHERE r.receipt_id = s.receipt_id AND r.payload_digest = s.payload_digest AND r.refined_at IS NULL
)
SELECT r.receipt_id FROM retail.receipts r JOIN refined s USING (receipt_id, payload_digest);

-- name: record_receipts
-- Write receipts that are missing or serve in another version; the first version's digest stays what it was.
INSERT INTO retail.receipts AS r (
    receipt_id, store_id, region_id, receipt_type, purchased_at, purchased_on, customer_id, total_cents,
    card_last4, skus, document, payload_digest, first_digest, received_at, refined_at
)
SELECT
    receipt_id, store_id, region_id, receipt_type, purchased_at, purchased_on, customer_id, total_cents,
    string_to_array(card_last4, ','), string_to_array(skus, ','), document, payload_digest, payload_digest, received_at,
    now()
FROM unnest(
    %(receipt_id)s::text[], %(store_id)s::integer[], %(region_id)s::smallint[], %(receipt_type)s::text[],
    %(purchased_at)s::timestamptz[], %(purchased_on)s::date[], %(customer_id)s::text[], %(total_cents)s::bigint[],
    %(card_last4)s::text[], %(skus)s::text[], %(document)s::text[], %(payload_digest)s::bytea[],
    %(received_at)s::timestamptz[]
) AS s (
    receipt_id, store_id, region_id, receipt_type, purchased_at, purchased_on, customer_id, total_cents,
    card_last4, skus, document, payload_digest, received_at
)
ORDER BY receipt_id
ON CONFLICT (receipt_id) DO UPDATE SET
    store_id = excluded.store_id, region_id = excluded.region_id, receipt_type = excluded.receipt_type,
    purchased_at = excluded.purchased_at, purchased_on = excluded.purchased_on, customer_id = excluded.customer_id,
    total_cents = excluded.total_cents, card_last4 = excluded.card_last4, skus = excluded.skus,
    document = excluded.document, payload_digest = excluded.payload_digest, received_at = excluded.received_at,
    refined_at = excluded.refined_at;

-- name: delete_receipts
-- Remove receipts that the lake no longer holds.
DELETE FROM retail.receipts WHERE receipt_id = ANY (%(receipt_id)s::text[]);

-- name: compare_receipts
-- Count the lake's receipts that are missing here, or are here in another version.
SELECT count(*) FILTER (WHERE r.receipt_id IS NULL) AS missing,
    count(*) FILTER (WHERE r.payload_digest <> s.payload_digest) AS different
FROM unnest(%(receipt_id)s::text[], %(payload_digest)s::bytea[]) AS s (receipt_id, payload_digest)
LEFT JOIN retail.receipts r USING (receipt_id);

-- name: count_receipts
-- Count the receipts that serve.
SELECT count(*) FROM retail.receipts;

-- name: record_products
-- Write products that are new or are called something else now.
INSERT INTO retail.products AS p (sku, description, department, category, search_text, text_digest)
SELECT * FROM unnest(
    %(sku)s::text[], %(description)s::text[], %(department)s::text[], %(category)s::text[], %(search_text)s::text[],
    %(text_digest)s::text[]
) AS s (sku, description, department, category, search_text, text_digest)
ORDER BY sku
ON CONFLICT (sku) DO UPDATE SET
    description = excluded.description, department = excluded.department, category = excluded.category,
    search_text = excluded.search_text, text_digest = excluded.text_digest
WHERE (p.description, p.department, p.category, p.search_text, p.text_digest) IS DISTINCT FROM
    (excluded.description, excluded.department, excluded.category, excluded.search_text, excluded.text_digest);

-- name: delete_products
-- Remove products that the lake no longer holds.
DELETE FROM retail.products WHERE sku = ANY (%(sku)s::text[]);

-- name: compare_products
-- Count the lake's products that are missing here, or are called something else.
SELECT count(*) FILTER (WHERE p.sku IS NULL) AS missing,
    count(*) FILTER (WHERE (p.description, p.department, p.category, p.search_text, p.text_digest)
        <> (s.description, s.department, s.category, s.search_text, s.text_digest)) AS different
FROM unnest(
    %(sku)s::text[], %(description)s::text[], %(department)s::text[], %(category)s::text[], %(search_text)s::text[],
    %(text_digest)s::text[]
) AS s (sku, description, department, category, search_text, text_digest)
LEFT JOIN retail.products p USING (sku);

-- name: count_products
-- Count the products that are searched.
SELECT count(*) FROM retail.products;

-- name: record_customer_profiles
-- Write profiles, and widen the regions that may see a customer to all where the customer shops.
WITH refined AS (
    SELECT s.customer_id, s.lifetime_spend_cents, s.visits, s.last_visit_at, s.document,
        (SELECT array_agg(DISTINCT region ORDER BY region) FROM (
            SELECT unnest(string_to_array(s.region_ids, ',')::smallint[]) AS region
            UNION
            SELECT home.region_id FROM retail.customers c JOIN retail.stores home ON home.store_id = c.home_store_id
            WHERE c.customer_id = s.customer_id
        ) AS regions) AS region_ids
    FROM unnest(
        %(customer_id)s::text[], %(region_ids)s::text[], %(lifetime_spend_cents)s::bigint[], %(visits)s::integer[],
        %(last_visit_at)s::timestamptz[], %(document)s::text[]
    ) AS s (customer_id, region_ids, lifetime_spend_cents, visits, last_visit_at, document)
), widened AS (
    UPDATE retail.customers c SET region_ids = s.region_ids
    FROM refined s
    WHERE c.customer_id = s.customer_id AND c.region_ids IS DISTINCT FROM s.region_ids
)
INSERT INTO retail.customer_profiles
    (customer_id, region_ids, lifetime_spend_cents, visits, last_visit_at, document)
SELECT customer_id, region_ids, lifetime_spend_cents, visits, last_visit_at, document FROM refined ORDER BY customer_id
ON CONFLICT (customer_id) DO UPDATE SET
    region_ids = excluded.region_ids, lifetime_spend_cents = excluded.lifetime_spend_cents,
    visits = excluded.visits, last_visit_at = excluded.last_visit_at, document = excluded.document;

-- name: delete_customer_profiles
-- Remove profiles that the lake no longer holds.
DELETE FROM retail.customer_profiles WHERE customer_id = ANY (%(customer_id)s::text[]);

-- name: compare_customer_profiles
-- Count the lake's profiles that are missing here, or tell something else.
SELECT count(*) FILTER (WHERE p.customer_id IS NULL) AS missing,
    count(*) FILTER (WHERE p.document <> s.document) AS different
FROM unnest(%(customer_id)s::text[], %(document)s::text[]) AS s (customer_id, document)
LEFT JOIN retail.customer_profiles p USING (customer_id);

-- name: count_customer_profiles
-- Count the profiles that serve.
SELECT count(*) FROM retail.customer_profiles;

-- name: record_product_embeddings
-- Write vectors that are new or of another model.
INSERT INTO retail.product_embeddings AS e (text_digest, embedding, model)
SELECT text_digest, embedding::halfvec(384), model
FROM unnest(%(text_digest)s::text[], %(embedding)s::text[], %(model)s::text[]) AS s (text_digest, embedding, model)
ORDER BY text_digest
ON CONFLICT (text_digest) DO UPDATE SET embedding = excluded.embedding, model = excluded.model
WHERE e.model <> excluded.model;

-- name: delete_product_embeddings
-- Remove vectors that the lake no longer holds.
DELETE FROM retail.product_embeddings WHERE text_digest = ANY (%(text_digest)s::text[]);

-- name: compare_product_embeddings
-- Count the lake's vectors that are missing here, or are of another model.
SELECT count(*) FILTER (WHERE e.text_digest IS NULL) AS missing,
    count(*) FILTER (WHERE e.model <> s.model) AS different
FROM unnest(%(text_digest)s::text[], %(model)s::text[]) AS s (text_digest, model)
LEFT JOIN retail.product_embeddings e USING (text_digest);

-- name: count_product_embeddings
-- Count the vectors that are searched.
SELECT count(*) FROM retail.product_embeddings;
