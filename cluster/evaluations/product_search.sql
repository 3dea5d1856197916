-- name: copy_products
-- A catalogue, as the sync would write it.
COPY retail.products (sku, description, department, category, search_text, text_digest) FROM STDIN;

-- name: copy_embeddings
-- Its vectors, as the sync would write them.
COPY retail.product_embeddings (text_digest, embedding, model) FROM STDIN;

-- name: find_index
-- The statement that makes the index of the migrations.
SELECT pg_get_indexdef('retail.product_embeddings_nearest'::regclass);

-- name: drop_index
-- Adding 50,000 vectors to it one by one takes ten times as long as making it of them.
DROP INDEX retail.product_embeddings_nearest;

-- name: allow_memory
-- Enough to make the index of 100,000 vectors in memory.
SET maintenance_work_mem = '512MB';

-- name: analyze_products
-- What autovacuum does some minutes after a load.
ANALYZE retail.products, retail.product_embeddings;

-- name: rank_products
-- What a phrase is answered with, the best first.
SELECT sku FROM search.search_products(%(lexical)s, %(embedding)s::public.halfvec, %(places)s);

-- name: find_nearest
-- What the index finds.
SELECT similarity FROM search.nearest_products(%(embedding)s::public.halfvec, %(places)s, NULL);

-- name: find_nearest_exactly
-- What comparing every product finds.
SELECT (1 - (e.embedding OPERATOR(public.<=>) %(embedding)s::public.halfvec))::real AS similarity
FROM retail.products p
JOIN retail.product_embeddings e ON e.text_digest = p.text_digest
ORDER BY similarity DESC
LIMIT %(places)s;
