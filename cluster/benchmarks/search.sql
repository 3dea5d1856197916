-- What the benchmark of searches needs.

-- name: drop_nearest
-- Building the index afterwards takes a quarter of the time.
DROP INDEX retail.product_embeddings_nearest;

-- name: create_nearest
CREATE INDEX product_embeddings_nearest ON retail.product_embeddings
USING hnsw (embedding public.halfvec_cosine_ops) WITH (m = 16, ef_construction = 200);

-- name: enter_product
INSERT INTO retail.products (sku, description, department, category, search_text, text_digest)
VALUES (%(sku)s, %(description)s, %(department)s, %(category)s, %(search_text)s, %(text_digest)s);

-- name: enter_vector
INSERT INTO retail.product_embeddings (text_digest, embedding, model)
VALUES (%(text_digest)s, %(embedding)s::text::public.halfvec, %(model)s);

-- name: analyze_searched
-- What autovacuum would find out in its own time.
VACUUM (ANALYZE) retail.products, retail.product_embeddings, retail.receipts, retail.customers, retail.stores;

-- name: list_examples
-- Receipts of customers, the same in every run, from which questions are made.
SELECT
    s.name, r.purchased_on, r.total_cents, c.first_name, c.last_name, coalesce(r.card_last4[1], ''), p.description
FROM retail.receipts r
JOIN retail.stores s ON s.store_id = r.store_id
JOIN retail.customers c ON c.customer_id = r.customer_id
JOIN retail.products p ON p.sku = r.skus[1]
WHERE r.purchased_on BETWEEN %(first)s AND %(last)s
ORDER BY md5(r.receipt_id)
LIMIT %(rows)s;

-- name: export_flat
-- Receipts as one table of text, as a search by trigrams has them.
COPY (
    SELECT r.receipt_id, s.name, coalesce(c.first_name || ' ' || c.last_name, ''), r.purchased_on, r.total_cents,
        coalesce(r.card_last4[1], ''),
        (SELECT string_agg(l.value ->> 'description', ' ') FROM json_array_elements(r.document::json -> 'lines') AS l)
    FROM retail.receipts r
    JOIN retail.stores s ON s.store_id = r.store_id
    LEFT JOIN retail.customers c ON c.customer_id = r.customer_id
) TO STDOUT (FORMAT binary);
