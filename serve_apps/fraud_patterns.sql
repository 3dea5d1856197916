-- name: list_patterns
-- Patterns of the scope after a place in the list, the strongest first.
SELECT pattern_id, kind, subject, subject_id, month, strength, figures, explanation, receipt_count
FROM retail.fraud_patterns
WHERE (%(after)s::integer IS NULL OR strength < %(after)s OR (strength = %(after)s AND pattern_id > %(after_id)s))
    AND (%(kind)s::text IS NULL OR kind = %(kind)s)
    AND (%(since)s::date IS NULL OR month >= date_trunc('month', %(since)s::date::timestamp))
ORDER BY strength DESC, pattern_id
LIMIT %(rows)s;

-- name: count_by_kind
-- Patterns of the scope by kind and month.
SELECT kind, month, count(*) AS patterns
FROM retail.fraud_patterns
WHERE %(since)s::date IS NULL OR month >= date_trunc('month', %(since)s::date::timestamp)
GROUP BY kind, month
ORDER BY month, kind;

-- name: count_by_store
-- Patterns of the scope by store, those of most patterns first.
SELECT s.store_id, s.name AS store_name, count(*) AS patterns
FROM retail.fraud_patterns p
JOIN retail.stores s ON s.store_id = ANY (p.store_ids)
WHERE s.region_id = ANY ((SELECT access.my_regions())::smallint[])
    AND (%(since)s::date IS NULL OR p.month >= date_trunc('month', %(since)s::date::timestamp))
GROUP BY s.store_id, s.name
ORDER BY patterns DESC, s.store_id
LIMIT %(rows)s;

-- name: find_pattern
-- What a pattern of the scope is about, the days it is of, and the receipts that show it.
SELECT subject, subject_id, receipt_types, first_at, last_at, coalesce((first_at - interval '1 day')::date, month) AS first_on,
    coalesce((last_at + interval '1 day')::date, (month + interval '1 month - 1 day')::date) AS last_on
FROM retail.fraud_patterns
WHERE pattern_id = %(pattern_id)s;

-- name: list_receipts_of_customer
-- A customer's receipts of some types and days, the newest first.
SELECT r.document, s.name AS store_name, s.time_zone, r.purchased_on
FROM retail.receipts r JOIN retail.stores s USING (store_id)
WHERE r.customer_id = %(subject_id)s AND r.receipt_type = ANY (%(receipt_types)s)
    AND r.purchased_on BETWEEN %(first_on)s AND %(last_on)s
    AND (%(first_at)s::timestamptz IS NULL OR r.purchased_at BETWEEN %(first_at)s AND %(last_at)s)
ORDER BY r.purchased_at DESC, r.receipt_id DESC
LIMIT %(rows)s;

-- name: list_receipts_of_register
-- A register's receipts of some types and days, the newest first; its number stands in their ids.
SELECT r.document, s.name AS store_name, s.time_zone, r.purchased_on
FROM retail.receipts r JOIN retail.stores s USING (store_id)
WHERE r.store_id = %(store_id)s AND substr(r.receipt_id, 12, 3) = lpad(%(part)s, 3, '0')
    AND r.receipt_type = ANY (%(receipt_types)s) AND r.purchased_on BETWEEN %(first_on)s AND %(last_on)s
ORDER BY r.purchased_at DESC, r.receipt_id DESC
LIMIT %(rows)s;

-- name: list_receipts_of_operator
-- An operator's receipts of some types and days in a store, the newest first.
SELECT r.document, s.name AS store_name, s.time_zone, r.purchased_on
FROM retail.receipts r JOIN retail.stores s USING (store_id)
WHERE r.store_id = %(store_id)s AND r.document::json ->> 'operator_id' = %(part)s
    AND r.receipt_type = ANY (%(receipt_types)s) AND r.purchased_on BETWEEN %(first_on)s AND %(last_on)s
ORDER BY r.purchased_at DESC, r.receipt_id DESC
LIMIT %(rows)s;

-- name: list_receipts_of_card
-- Receipts that a card paid in some stores, of some types and days, the newest first. Without a brand any has it.
SELECT r.document, s.name AS store_name, s.time_zone, r.purchased_on
FROM retail.receipts r JOIN retail.stores s USING (store_id)
WHERE (%(store_id)s::integer IS NULL OR r.store_id = %(store_id)s)
    AND (%(region_id)s::smallint IS NULL OR r.region_id = %(region_id)s)
    AND r.card_last4 @> ARRAY[%(part)s] AND r.receipt_type = ANY (%(receipt_types)s)
    AND r.purchased_on BETWEEN %(first_on)s AND %(last_on)s
    AND (%(first_at)s::timestamptz IS NULL OR r.purchased_at BETWEEN %(first_at)s AND %(last_at)s)
    AND (%(brand)s::text IS NULL OR EXISTS (
        SELECT FROM json_array_elements(r.document::json -> 'tenders') AS t
        WHERE t ->> 'card_last4' = %(part)s
            AND regexp_replace(lower(coalesce(t ->> 'card_brand', '')), '[^a-z0-9]', '', 'g') = %(brand)s
    ))
ORDER BY r.purchased_at DESC, r.receipt_id DESC
LIMIT %(rows)s;

-- name: list_receipts_of_receipt
-- A receipt and the returns that name it, the newest first.
SELECT r.document, s.name AS store_name, s.time_zone, r.purchased_on
FROM retail.receipts r JOIN retail.stores s USING (store_id)
WHERE r.receipt_id = %(subject_id)s
    OR r.receipt_id IN (SELECT b.receipt_id FROM search.list_returns(%(subject_id)s, %(rows)s) b)
ORDER BY r.purchased_at DESC, r.receipt_id DESC
LIMIT %(rows)s;
