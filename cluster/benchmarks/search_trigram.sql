-- The peer of the benchmark of searches: one flat table with trigrams, on a PostgreSQL that has pg_trgm.

-- name: make_1
CREATE EXTENSION IF NOT EXISTS pg_trgm;

-- name: make_2
DROP SCHEMA IF EXISTS receipts_bench_search CASCADE;

-- name: make_3
CREATE SCHEMA receipts_bench_search;

-- name: make_4
CREATE TABLE receipts_bench_search.flat (
    receipt_id text, store text, customer text, purchased_on date, total_cents bigint, card text, items text
);

-- name: make_5
-- What the seed asks: whatever of it is given must fit, the likest names first.
CREATE FUNCTION receipts_bench_search.find(
    p_store text, p_customer text, p_first date, p_last date, p_low bigint, p_high bigint, p_card text, p_item text
) RETURNS SETOF receipts_bench_search.flat
LANGUAGE sql STABLE AS $$
    SELECT f.*
    FROM receipts_bench_search.flat f
    WHERE (p_store IS NULL OR f.store OPERATOR(public.%) p_store)
        AND (p_customer IS NULL OR f.customer OPERATOR(public.%) p_customer)
        AND (p_first IS NULL OR f.purchased_on BETWEEN p_first AND p_last)
        AND (p_low IS NULL OR f.total_cents BETWEEN p_low AND p_high)
        AND (p_card IS NULL OR f.card = p_card)
        AND (p_item IS NULL OR f.items ILIKE p_item)
    ORDER BY public.similarity(f.store, coalesce(p_store, ''))
        + public.similarity(f.customer, coalesce(p_customer, '')) DESC, f.purchased_on DESC
    LIMIT 20
$$;

-- name: copy
COPY receipts_bench_search.flat FROM STDIN (FORMAT binary);

-- name: index_1
CREATE INDEX ON receipts_bench_search.flat USING gin (store public.gin_trgm_ops, customer public.gin_trgm_ops);

-- name: index_2
CREATE INDEX ON receipts_bench_search.flat USING gin (items public.gin_trgm_ops);

-- name: index_3
CREATE INDEX ON receipts_bench_search.flat (purchased_on, total_cents);

-- name: index_4
ANALYZE receipts_bench_search.flat;

-- name: drop
DROP SCHEMA receipts_bench_search CASCADE;
