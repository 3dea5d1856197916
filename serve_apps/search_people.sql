-- name: search_customers
-- Customers of the scope whose name may be the one that was typed.
SELECT customer_id, name_norm FROM search.search_customers(%(words)s::text[], %(most)s::integer);
