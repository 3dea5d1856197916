-- What the lookup benchmark asks of the database itself.

-- name: list_sample
-- Ids from all over the table, the same in every run.
SELECT receipt_id FROM retail.receipts ORDER BY md5(receipt_id) LIMIT %(ids)s;

-- name: find_next
-- What pgbench asks, which draws numbers only: the first receipt from an id's first 16 digits on.
SELECT document FROM retail.receipts WHERE receipt_id >= %(start)s::bigint::text ORDER BY receipt_id LIMIT 1;
