-- name: list_printed
-- A receipt, what it is a return of, and the returns that name it; nothing without the receipt itself.
WITH receipt AS MATERIALIZED (
    SELECT receipt_id, store_id, receipt_type, purchased_at, total_cents, document::jsonb AS said
    FROM retail.receipts
    WHERE receipt_id = %(receipt_id)s
), printed AS (
    SELECT * FROM receipt
    UNION ALL
    SELECT o.receipt_id, o.store_id, o.receipt_type, o.purchased_at, o.total_cents, o.document::jsonb
    FROM retail.receipts o
    WHERE o.receipt_id = (SELECT said ->> 'original_receipt_id' FROM receipt WHERE receipt_type = 'return')
    UNION ALL
    SELECT b.receipt_id, b.store_id, 'return', b.purchased_at, b.total_cents, b.document::jsonb
    FROM search.list_returns(%(receipt_id)s, %(most)s) b
    WHERE EXISTS (SELECT FROM receipt)
)
SELECT p.receipt_id, p.receipt_type, p.purchased_at, p.total_cents, p.said ->> 'currency' AS currency,
    p.said ->> 'operator_id' AS operator_id, p.said ->> 'customer_id' AS customer_id,
    p.said ->> 'original_receipt_id' AS original_receipt_id, s.name AS store_name
FROM printed p JOIN retail.stores s USING (store_id);

-- name: list_handled
-- What was done with a receipt since it was printed.
SELECT received_at AS at, 'received' AS kind, NULL AS by, NULL AS detail, 1 AS times
FROM retail.receipts WHERE receipt_id = %(receipt_id)s
UNION ALL
SELECT refined_at, 'refined', NULL, NULL, 1
FROM retail.receipts WHERE receipt_id = %(receipt_id)s AND refined_at IS NOT NULL
UNION ALL
SELECT sent_at, 'mailed', sent_by, sent_to, 1
FROM mail.list_sent(%(receipt_id)s, %(most)s)
UNION ALL
SELECT viewed_at, 'viewed', viewed_by, NULL, times
FROM audit.list_views(%(receipt_id)s, %(most)s);
