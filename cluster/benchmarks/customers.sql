-- What the benchmark of customers needs.

-- name: fill_profiles
-- A profile of the usual size for every customer: the pipeline that makes them does not run here.
INSERT INTO retail.customer_profiles (
    customer_id, region_ids, lifetime_spend_cents, visits, last_visit_at, document
)
SELECT r.customer_id, array_agg(DISTINCT r.region_id), 0, count(*), max(r.purchased_at), jsonb_build_object(
    'customer_id', r.customer_id, 'visits', count(*), 'lifetime_spend_cents', 0, 'last_visit_at', max(r.purchased_at),
    'filler', repeat('A customer who comes on Saturdays. ', 30))::text
FROM retail.receipts r
WHERE r.customer_id IS NOT NULL
GROUP BY r.customer_id;

-- name: list_sample
-- Customers with receipts, the same in every run.
SELECT customer_id FROM retail.customer_profiles ORDER BY md5(customer_id) LIMIT %(ids)s;
