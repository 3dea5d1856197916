-- What the sync does to the serving tables. COPY brings rows to sync.arriving_*, each key once; a statement writes
-- them in the order of their keys, so that it never deadlocks with a gateway, and another one clears them away.

-- name: prepare_writing
-- Let a transaction sort what one statement writes in memory, and not wait for the disk when a later one will.
SELECT set_config('work_mem', '64MB', true), %(lasting)s OR set_config('synchronous_commit', 'off', true) = 'off';

-- name: list_types
-- The types of the columns in which rows arrive: a binary COPY converts nothing.
SELECT a.attname, t.typname FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
WHERE a.attrelid = %(arriving)s::text::regclass AND a.attnum > 0 AND NOT a.attisdropped;

-- name: holds_receipts
-- Say whether refined receipts are here already.
SELECT EXISTS (SELECT FROM retail.receipts WHERE refined_at IS NOT NULL);

-- name: copy_receipts
-- Bring receipts.
COPY sync.arriving_receipts (
    receipt_id, store_id, region_id, receipt_type, purchased_at, purchased_on, customer_id, total_cents, card_last4,
    skus, document, payload_digest, received_at
) FROM STDIN (FORMAT binary);

-- name: copy_keys_receipts
-- Bring the keys of receipts that go.
COPY sync.arriving_receipts (receipt_id) FROM STDIN (FORMAT binary);

-- name: copy_versions_receipts
-- Bring what tells which versions of receipts serve.
COPY sync.arriving_receipts (receipt_id, payload_digest) FROM STDIN (FORMAT binary);

-- name: list_left_receipts
-- The receipts that were not confirmed.
SELECT receipt_id FROM sync.arriving_receipts;

-- name: clear_receipts
-- Remove a few.
DELETE FROM sync.arriving_receipts;

-- name: empty_receipts
-- Remove many.
TRUNCATE sync.arriving_receipts;

-- name: confirm_receipts
-- Mark receipts that ingest wrote in the very version that serves; counts all that are here in that version, of which
-- nothing is left to write. A subquery, because a join would be planned to read the whole table while it is small.
WITH same AS (
    DELETE FROM sync.arriving_receipts s
    WHERE s.payload_digest = (SELECT r.payload_digest FROM retail.receipts r WHERE r.receipt_id = s.receipt_id)
    RETURNING s.receipt_id
), confirmed AS (
    UPDATE retail.receipts r SET refined_at = now()
    FROM same WHERE r.receipt_id = same.receipt_id AND r.refined_at IS NULL
)
SELECT count(*) FROM same;

-- name: record_receipts
-- Write receipts that are missing or serve in another version; the first version's digest stays what it was. What a
-- gateway wrote and Silver has not judged yet is left alone when it was received later.
INSERT INTO retail.receipts AS r (
    receipt_id, store_id, region_id, receipt_type, purchased_at, purchased_on, customer_id, total_cents,
    card_last4, skus, document, payload_digest, first_digest, received_at, refined_at
)
SELECT
    receipt_id, store_id, region_id, receipt_type, purchased_at, purchased_on, customer_id, total_cents,
    string_to_array(card_last4, ','), string_to_array(skus, ','), document, payload_digest, payload_digest, received_at,
    now()
FROM sync.arriving_receipts
ORDER BY receipt_id
ON CONFLICT (receipt_id) DO UPDATE SET
    store_id = excluded.store_id, region_id = excluded.region_id, receipt_type = excluded.receipt_type,
    purchased_at = excluded.purchased_at, purchased_on = excluded.purchased_on, customer_id = excluded.customer_id,
    total_cents = excluded.total_cents, card_last4 = excluded.card_last4, skus = excluded.skus,
    document = excluded.document, payload_digest = excluded.payload_digest, received_at = excluded.received_at,
    refined_at = excluded.refined_at
WHERE r.refined_at IS NOT NULL OR r.received_at <= excluded.received_at;

-- name: delete_receipts
-- Remove receipts that the lake no longer holds.
DELETE FROM retail.receipts r USING sync.arriving_receipts s WHERE r.receipt_id = s.receipt_id;

-- name: holds_products
-- Say whether products are here already.
SELECT EXISTS (SELECT FROM retail.products);

-- name: copy_products
-- Bring products.
COPY sync.arriving_products (sku, description, department, category, search_text, text_digest) FROM STDIN (FORMAT binary);

-- name: copy_keys_products
-- Bring the keys of products that go.
COPY sync.arriving_products (sku) FROM STDIN (FORMAT binary);

-- name: clear_products
-- Remove a few.
DELETE FROM sync.arriving_products;

-- name: empty_products
-- Remove many.
TRUNCATE sync.arriving_products;

-- name: record_products
-- Write products that are new or are called something else now.
INSERT INTO retail.products AS p (sku, description, department, category, search_text, text_digest)
SELECT sku, description, department, category, search_text, text_digest FROM sync.arriving_products ORDER BY sku
ON CONFLICT (sku) DO UPDATE SET
    description = excluded.description, department = excluded.department, category = excluded.category,
    search_text = excluded.search_text, text_digest = excluded.text_digest
WHERE (p.description, p.department, p.category, p.search_text, p.text_digest) IS DISTINCT FROM
    (excluded.description, excluded.department, excluded.category, excluded.search_text, excluded.text_digest);

-- name: delete_products
-- Remove products that the lake no longer holds.
DELETE FROM retail.products p USING sync.arriving_products s WHERE p.sku = s.sku;

-- name: holds_customer_profiles
-- Say whether profiles are here already.
SELECT EXISTS (SELECT FROM retail.customer_profiles);

-- name: copy_customer_profiles
-- Bring profiles.
COPY sync.arriving_customer_profiles (
    customer_id, region_ids, lifetime_spend_cents, visits, last_visit_at, document
) FROM STDIN (FORMAT binary);

-- name: copy_keys_customer_profiles
-- Bring the keys of profiles that go.
COPY sync.arriving_customer_profiles (customer_id) FROM STDIN (FORMAT binary);

-- name: clear_customer_profiles
-- Remove a few.
DELETE FROM sync.arriving_customer_profiles;

-- name: empty_customer_profiles
-- Remove many.
TRUNCATE sync.arriving_customer_profiles;

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
    FROM sync.arriving_customer_profiles s
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
DELETE FROM retail.customer_profiles p USING sync.arriving_customer_profiles s WHERE p.customer_id = s.customer_id;

-- name: holds_spending_insights
-- Say whether sums are here already.
SELECT EXISTS (SELECT FROM retail.spending_insights);

-- name: copy_spending_insights
-- Bring what customers spent.
COPY sync.arriving_spending_insights (customer_id, month, category, lines, spend_cents, discount_cents) FROM STDIN (FORMAT binary);

-- name: copy_keys_spending_insights
-- Bring the keys of sums that go.
COPY sync.arriving_spending_insights (customer_id, month, category) FROM STDIN (FORMAT binary);

-- name: clear_spending_insights
-- Remove a few.
DELETE FROM sync.arriving_spending_insights;

-- name: empty_spending_insights
-- Remove many.
TRUNCATE sync.arriving_spending_insights;

-- name: record_spending_insights
-- Write sums that are new or other than they were.
INSERT INTO retail.spending_insights AS i (customer_id, month, category, lines, spend_cents, discount_cents)
SELECT customer_id, month, category, lines, spend_cents, discount_cents FROM sync.arriving_spending_insights
ORDER BY customer_id, month, category
ON CONFLICT (customer_id, month, category) DO UPDATE SET
    lines = excluded.lines, spend_cents = excluded.spend_cents, discount_cents = excluded.discount_cents
WHERE (i.lines, i.spend_cents, i.discount_cents) IS DISTINCT FROM
    (excluded.lines, excluded.spend_cents, excluded.discount_cents);

-- name: delete_spending_insights
-- Remove sums that the lake no longer holds.
DELETE FROM retail.spending_insights i USING sync.arriving_spending_insights s
WHERE (i.customer_id, i.month, i.category) = (s.customer_id, s.month, s.category);

-- name: holds_product_embeddings
-- Say whether vectors are here already.
SELECT EXISTS (SELECT FROM retail.product_embeddings);

-- name: copy_product_embeddings
-- Bring vectors.
COPY sync.arriving_product_embeddings (text_digest, embedding, model) FROM STDIN (FORMAT binary);

-- name: copy_keys_product_embeddings
-- Bring the keys of vectors that go.
COPY sync.arriving_product_embeddings (text_digest) FROM STDIN (FORMAT binary);

-- name: clear_product_embeddings
-- Remove a few.
DELETE FROM sync.arriving_product_embeddings;

-- name: empty_product_embeddings
-- Remove many.
TRUNCATE sync.arriving_product_embeddings;

-- name: record_product_embeddings
-- Write vectors that are new or of another model.
INSERT INTO retail.product_embeddings AS e (text_digest, embedding, model)
SELECT text_digest, embedding::halfvec(384), model FROM sync.arriving_product_embeddings ORDER BY text_digest
ON CONFLICT (text_digest) DO UPDATE SET embedding = excluded.embedding, model = excluded.model
WHERE e.model <> excluded.model;

-- name: delete_product_embeddings
-- Remove vectors that the lake no longer holds.
DELETE FROM retail.product_embeddings e USING sync.arriving_product_embeddings s WHERE e.text_digest = s.text_digest;

-- name: holds_fraud_patterns
-- Say whether patterns of a table are here already.
SELECT EXISTS (SELECT FROM retail.fraud_patterns WHERE source = %(table)s);

-- name: copy_fraud_patterns
-- Bring patterns.
COPY sync.arriving_fraud_patterns (
    source, pattern_id, kind, subject, subject_id, month, figures, explanation, strength, receipt_types, receipt_count,
    first_at, last_at, store_ids
) FROM STDIN (FORMAT binary);

-- name: copy_keys_fraud_patterns
-- Bring the keys of patterns that go.
COPY sync.arriving_fraud_patterns (pattern_id) FROM STDIN (FORMAT binary);

-- name: clear_fraud_patterns
-- Remove a few.
DELETE FROM sync.arriving_fraud_patterns;

-- name: empty_fraud_patterns
-- Remove many.
TRUNCATE sync.arriving_fraud_patterns;

-- name: record_fraud_patterns
-- Write patterns, to be seen in the regions of their stores.
INSERT INTO retail.fraud_patterns AS p (
    source, pattern_id, kind, subject, subject_id, month, figures, explanation, strength, receipt_types, receipt_count,
    first_at, last_at, store_ids, region_ids
)
SELECT source, pattern_id, kind, subject, subject_id, month, figures, explanation, strength,
    string_to_array(receipt_types, ','), receipt_count, first_at, last_at, string_to_array(store_ids, ',')::integer[],
    ARRAY(
        SELECT DISTINCT s.region_id FROM retail.stores s
        WHERE s.store_id = ANY (string_to_array(a.store_ids, ',')::integer[]) ORDER BY s.region_id
    )
FROM sync.arriving_fraud_patterns a
ORDER BY pattern_id
ON CONFLICT (pattern_id) DO UPDATE SET
    figures = excluded.figures, explanation = excluded.explanation, strength = excluded.strength,
    receipt_types = excluded.receipt_types, receipt_count = excluded.receipt_count, first_at = excluded.first_at,
    last_at = excluded.last_at, store_ids = excluded.store_ids, region_ids = excluded.region_ids;

-- name: delete_fraud_patterns
-- Remove patterns that the lake no longer holds.
DELETE FROM retail.fraud_patterns p USING sync.arriving_fraud_patterns s WHERE p.pattern_id = s.pattern_id;
