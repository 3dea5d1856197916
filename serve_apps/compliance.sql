-- name: record_request
-- Open a request.
INSERT INTO compliance.requests
    (kind, law, customer_id, channel, received_on, confirm_by, due_on, extended_due_on, opened_by)
VALUES (
    %(kind)s, %(law)s, %(customer_id)s, %(channel)s, %(received_on)s, %(confirm_by)s, %(due_on)s, %(extended_due_on)s,
    access.my_principal()
)
RETURNING request_id;

-- name: take_step
-- Take a step with a request, and say what came of it.
SELECT compliance.take_step(%(request_id)s, %(step)s, %(reason)s, %(today)s);

-- name: list_requests
-- Requests that fit, or one, after a place in the list, those that are due first before the others; each with its steps.
-- Overdue is one of which a day that the law sets has passed: to answer it, or to confirm it.
SELECT request_id, kind, law, customer_id, channel, state, received_on, confirm_by, confirmed_on, due_on, extended,
    overdue, opened_by, (
        SELECT coalesce(
            jsonb_agg(
                jsonb_build_object('at', s.taken_at, 'by', s.taken_by, 'step', s.step, 'reason', s.reason)
                ORDER BY s.step_id
            ), '[]')
        FROM compliance.steps s WHERE s.request_id = told.request_id
    ) AS history
FROM (
    SELECT *, state NOT IN ('completed', 'refused') AND (
        due_on < %(today)s OR coalesce(confirmed_on IS NULL AND confirm_by < %(today)s, false)
    ) AS overdue
    FROM compliance.requests
    WHERE (%(request_id)s::bigint IS NULL OR request_id = %(request_id)s)
        AND (%(state)s::text IS NULL OR state = %(state)s)
        AND (%(kind)s::text IS NULL OR kind = %(kind)s)
        AND (%(customer_id)s::text IS NULL OR customer_id = %(customer_id)s)
        AND (due_on, request_id) > (%(after_due)s, %(after_id)s)
) AS told
WHERE %(overdue)s::boolean IS NULL OR overdue = %(overdue)s
ORDER BY due_on, request_id
LIMIT %(rows)s;
