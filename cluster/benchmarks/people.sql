-- What the benchmark of people needs.

-- name: copy_customers
-- Customers with nothing but a name and a region: what a search by name reads.
COPY retail.customers (
    customer_id, first_name, last_name, name_norm, email_masked, phone_masked, city, customer_since, home_store_id,
    region_ids, payload_digest
) FROM STDIN;

-- name: list_sizes
-- Bytes of what people are found by, indexes included.
SELECT 'pairs of words' AS what, pg_total_relation_size('search.name_pairs')
UNION ALL SELECT 'keys of words', pg_total_relation_size('search.name_keys');

-- name: count_words
-- Words of the vocabulary.
SELECT count(DISTINCT word) FROM search.name_keys;

-- name: open_everything
-- The scope of the representative who sees all regions.
SELECT scope_id FROM access.open_scope('rep.all');
