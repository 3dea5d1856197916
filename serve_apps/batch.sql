-- name: find_receipts
-- One prepared statement for any number of ids of one scope; row-level security decides which of them exist.
SELECT receipt_id, document, store_document, customer_id FROM retail.find_receipts(%s, %s);
