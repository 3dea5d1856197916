-- What a drill asks for, and from where it can be seen.

-- name: list_stores
-- Every store's region, which is that of its receipts.
SELECT store_id, region_id FROM retail.stores;

-- name: list_customers
-- From which regions some customers can be seen.
SELECT customer_id, region_ids FROM retail.customers WHERE customer_id = ANY (%(customer_ids)s);
