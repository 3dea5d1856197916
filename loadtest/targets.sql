-- What the load test asks for, sampled over the whole table.

-- name: find_range
-- The first and last receipt there is.
SELECT min(receipt_id), max(receipt_id) FROM retail.receipts;

-- name: list_store_ids
-- Every store that can have sold something.
SELECT store_id FROM retail.stores ORDER BY store_id;

-- name: list_receipts_after
-- The receipt that follows each point of the id space: one index probe a point, however large the table is.
SELECT DISTINCT ON (found.receipt_id)
    found.receipt_id, found.region_id, found.customer_id, found.purchased_on, found.total_cents,
    store.name AS store_name, found.document::jsonb -> 'lines' -> 0 ->> 'description' AS item
FROM unnest(%(points)s::text[]) AS sought (point)
CROSS JOIN LATERAL (
    SELECT * FROM retail.receipts AS receipt
    WHERE receipt.receipt_id >= sought.point
    ORDER BY receipt.receipt_id
    LIMIT 1
) AS found
JOIN retail.stores AS store ON store.store_id = found.store_id
ORDER BY found.receipt_id;
