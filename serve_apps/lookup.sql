-- name: find_receipts
-- One prepared statement for any number of ids of one scope; row-level security decides which of them exist.
SELECT r.receipt_id, r.document, s.document, r.customer_id
FROM retail.receipts r
JOIN retail.stores s USING (store_id)
WHERE r.receipt_id = ANY (%s);
