-- name: list_receipts
-- The receipts of a customer before a place in the list, the newest first; one row of nulls for a customer without.
SELECT document, store_name, time_zone, purchased_on, purchased_at, receipt_id
FROM retail.list_receipts(%(scope)s, %(customer_id)s, %(before_at)s, %(before_id)s, %(rows)s);
