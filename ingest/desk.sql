-- What a gateway does for the quarantine desk by itself.

-- name: take_order
-- The oldest order that waits and that no other gateway is at.
SELECT order_id, quarantine_id, action, payload
FROM ingest.desk_orders
WHERE done_at IS NULL
ORDER BY order_id
LIMIT 1
FOR UPDATE SKIP LOCKED;

-- name: finish_order
-- Note what became of an order; its payload is not needed any more.
UPDATE ingest.desk_orders
SET done_at = clock_timestamp(), outcome = %(outcome)s, payload = NULL
WHERE order_id = %(order_id)s;

-- name: list_ready_ids
-- Refusals whose store has become known since.
SELECT q.quarantine_id
FROM ingest.quarantine q
JOIN retail.stores s ON s.store_id = q.missing_store_id
WHERE q.state = 'held' AND q.missing_store_id IS NOT NULL
ORDER BY q.quarantine_id
LIMIT %(limit)s;
