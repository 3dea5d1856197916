-- How old receipts are when they are refined, and when their customers' profiles tell of them.

-- name: list_refined_ages
-- Seconds from the arrival of each receipt since an instant to the sync that confirmed it; null while it was not.
SELECT extract(epoch FROM refined_at - received_at)::float8 FROM retail.receipts WHERE received_at >= %(since)s;

-- name: list_new_profiles
-- Of some customers, each with one receipt, those who have a profile, with the age of that receipt now.
SELECT p.customer_id, extract(epoch FROM clock_timestamp() - r.received_at)::float8
FROM retail.customer_profiles p JOIN retail.receipts r USING (customer_id)
WHERE p.customer_id = ANY (%(customer_ids)s);

-- name: count_waiting
-- Receipts that no sync has confirmed yet.
SELECT count(*) FROM retail.receipts WHERE refined_at IS NULL;

-- name: count_unembedded
-- Products without a vector.
SELECT count(*) FROM retail.products p
WHERE NOT EXISTS (SELECT FROM retail.product_embeddings e WHERE e.text_digest = p.text_digest);

-- name: find_now
-- The server's clock, by which receipts are stamped.
SELECT clock_timestamp();
