-- What the load test asks for, sampled over the whole table.

-- name: find_size
-- About how many receipts there are, as the planner believes; below 0 when it has never looked.
SELECT reltuples FROM pg_class WHERE oid = 'retail.receipts'::regclass;

-- name: list_sample
-- Receipts out of a share of the table's blocks, in an order that has nothing to do with where they lie. A customer is
-- named only if whoever sees the receipt also finds the customer.
SELECT
    receipt.receipt_id, receipt.region_id, customer.customer_id, receipt.purchased_on, receipt.total_cents,
    store.name AS store_name, receipt.document::jsonb -> 'lines' -> 0 ->> 'description' AS item
FROM (
    SELECT * FROM retail.receipts TABLESAMPLE system (%(percent)s::real) REPEATABLE (%(seed)s::float8)
    ORDER BY md5(receipt_id || %(seed)s::text)
    LIMIT %(count)s
) AS receipt
JOIN retail.stores AS store ON store.store_id = receipt.store_id
LEFT JOIN retail.customers AS customer
    ON customer.customer_id = receipt.customer_id AND receipt.region_id = ANY (customer.region_ids)
ORDER BY md5(receipt.receipt_id || %(seed)s::text);
