-- name: find_receipts_on_record
-- Receipts of one scope for any number of requests, whose looks become durable with it; without a digest nothing may
-- be shown.
SELECT receipt_id, body, customer_id, digest FROM retail.find_receipts_on_record(%s, %s, %s, %s, %s, %s);
