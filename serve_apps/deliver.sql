-- name: schedule_delivery
-- Schedule a delivery within the caller's regions; the outcome says what became of it.
SELECT outcome, delivery_id
FROM mail.schedule(
    %(receipt_id)s, %(email)s, %(email_masked)s, %(gift)s, %(requested_by)s, %(key)s, %(undo_s)s::float8
);

-- name: take_back_delivery
-- Cancel a delivery that nobody is sending yet.
UPDATE mail.deliveries SET status = 'cancelled' WHERE delivery_id = %(delivery_id)s AND status = 'scheduled';

-- name: find_delivery
-- One delivery with the customer of its receipt.
SELECT
    delivery_id, receipt_id, email_masked, gift, status, requested_at, requested_by, send_at, sent_at, detail, attempts,
    customer_id, due_at
FROM mail.deliveries
WHERE delivery_id = %(delivery_id)s;

-- name: list_deliveries
-- The newest deliveries of a receipt; of one without any, one row of nulls.
SELECT
    d.delivery_id, d.receipt_id, d.email_masked, d.gift, d.status, d.requested_at, d.requested_by, d.send_at, d.sent_at,
    d.detail, d.attempts, d.customer_id, d.due_at
FROM retail.receipts r
LEFT JOIN mail.deliveries d ON d.receipt_id = r.receipt_id
WHERE r.receipt_id = %(receipt_id)s
ORDER BY d.requested_at DESC, d.delivery_id
LIMIT 20;
