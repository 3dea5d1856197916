-- name: list_events
-- Events that fit, before a place in the trail, the newest first. Those about a receipt or customer are few, and the
-- planner does not know how few: it would rather walk the trail in its order than find them by their index and sort
-- them. Adding nothing to the instant hides that order from it; where nobody is named, the constant goes and the order
-- is there to be walked.
SELECT event_id, occurred_at, principal_id, role, route, outcome, status, receipt_ids, customer_ids, purpose,
    constraints, client_address, request_id
FROM audit.trail
WHERE occurred_at <= %(before_at)s::timestamptz AND (occurred_at, event_id) < (%(before_at)s, %(before_id)s::uuid)
    AND (%(since)s::timestamptz IS NULL OR occurred_at >= %(since)s)
    AND (%(until)s::timestamptz IS NULL OR occurred_at < %(until)s)
    AND (%(principal_id)s::text IS NULL OR principal_id = %(principal_id)s)
    AND (%(receipt_id)s::text IS NULL OR receipt_ids @> ARRAY[%(receipt_id)s])
    AND (%(customer_id)s::text IS NULL OR customer_ids @> ARRAY[%(customer_id)s])
    AND (%(route)s::text IS NULL OR route = %(route)s)
    AND (%(outcome)s::text IS NULL OR outcome = %(outcome)s)
    AND (%(purpose)s::text IS NULL OR purpose = %(purpose)s)
ORDER BY
    CASE WHEN %(receipt_id)s IS NULL AND %(customer_id)s IS NULL THEN occurred_at ELSE occurred_at + interval '0' END DESC,
    event_id DESC
LIMIT %(rows)s;

-- name: count_events
-- How many events fit, counted no further than `most`.
SELECT count(*) FROM (
    SELECT FROM audit.trail
    WHERE (%(since)s::timestamptz IS NULL OR occurred_at >= %(since)s)
        AND (%(until)s::timestamptz IS NULL OR occurred_at < %(until)s)
        AND (%(principal_id)s::text IS NULL OR principal_id = %(principal_id)s)
        AND (%(receipt_id)s::text IS NULL OR receipt_ids @> ARRAY[%(receipt_id)s])
        AND (%(customer_id)s::text IS NULL OR customer_ids @> ARRAY[%(customer_id)s])
        AND (%(route)s::text IS NULL OR route = %(route)s)
        AND (%(outcome)s::text IS NULL OR outcome = %(outcome)s)
        AND (%(purpose)s::text IS NULL OR purpose = %(purpose)s)
    LIMIT %(most)s
) AS fitting;
