-- name: list_refusals
-- Refused records that fit, before a place in the list, the newest first.
SELECT quarantine_id, bronze_table, received_at, source, state, kind, reason, missing_store_id, accepted_key
FROM ingest.quarantine
WHERE quarantine_id < %(before)s
    AND (%(state)s::text IS NULL OR state = %(state)s)
    AND (%(kind)s::text IS NULL OR kind = %(kind)s)
    AND (%(bronze_table)s::text IS NULL OR bronze_table = %(bronze_table)s)
    AND (%(since)s::timestamptz IS NULL OR received_at >= %(since)s)
ORDER BY quarantine_id DESC
LIMIT %(rows)s;

-- name: find_refusal
-- One refused record with its payload.
SELECT quarantine_id, bronze_table, received_at, source, state, kind, reason, missing_store_id, accepted_key, payload
FROM ingest.quarantine
WHERE quarantine_id = %(quarantine_id)s;

-- name: record_order
-- Order something to be done with a refused record, if it is there.
INSERT INTO ingest.desk_orders (quarantine_id, action, payload, ordered_by)
SELECT quarantine_id, %(action)s, %(payload)s, %(ordered_by)s
FROM ingest.quarantine
WHERE quarantine_id = %(quarantine_id)s
RETURNING order_id, quarantine_id, action, ordered_by, ordered_at, done_at, outcome;

-- name: find_order
-- What became of an order.
SELECT order_id, quarantine_id, action, ordered_by, ordered_at, done_at, outcome
FROM ingest.desk_orders
WHERE order_id = %(order_id)s;
