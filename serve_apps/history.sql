-- name: list_receipts
-- The receipts of a customer before a place in the list, the newest first.
SELECT r.document, s.name AS store_name, s.time_zone, r.purchased_on, r.purchased_at, r.receipt_id
FROM retail.receipts r
JOIN retail.stores s USING (store_id)
WHERE r.customer_id = %(customer_id)s AND (r.purchased_at, r.receipt_id) < (%(before_at)s, %(before_id)s)
ORDER BY r.purchased_at DESC, r.receipt_id DESC
LIMIT %(rows)s;

-- name: find_customer
-- Says whether the customer is one of the scope's.
SELECT customer_id FROM retail.customers WHERE customer_id = %(customer_id)s;
