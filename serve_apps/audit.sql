-- name: record_events
-- Appends a group of events; one that an earlier attempt already made durable changes nothing.
INSERT INTO audit.events (
    event_id, occurred_at, principal_id, role, session_id, route, outcome, status,
    receipt_ids, customer_ids, purpose, constraints, client_address, request_id
)
SELECT
    e.event_id, e.occurred_at, e.principal_id, e.role, e.session_id, e.route, e.outcome, e.status,
    string_to_array(e.receipt_ids, ','), string_to_array(e.customer_ids, ','),
    e.purpose, e.constraints, e.client_address, e.request_id
FROM unnest(
    %s::uuid[], %s::timestamptz[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::smallint[],
    %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[]
) AS e (
    event_id, occurred_at, principal_id, role, session_id, route, outcome, status,
    receipt_ids, customer_ids, purpose, constraints, client_address, request_id
)
ON CONFLICT DO NOTHING;
