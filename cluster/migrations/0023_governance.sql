-- The audit trail searched by privacy officers.

SET LOCAL ROLE receipts_owner;

-- The audit trail's search ------------------------------------------------------------------------------------------

-- Made on the parent, they are made on every partition, also on those to come. While they are built the trail is not
-- taken apart (audit.project waits), and nobody's answer waits for that.
CREATE INDEX events_by_receipt ON audit.events USING gin (receipt_ids);
-- What is asked for because it is rare, in the order of the pages. What is not rare here is found by walking the trail
-- itself, and an index of it would be as large as the trail.
CREATE INDEX events_by_outcome ON audit.events (outcome, occurred_at, event_id) WHERE outcome <> 'answered';
CREATE INDEX events_by_purpose ON audit.events (purpose, occurred_at, event_id) WHERE purpose <> 'customer_service';
CREATE INDEX events_by_route ON audit.events (route, occurred_at, event_id) WHERE route NOT IN (
    'GET /receipt/{receipt_id}', 'GET /customers/{customer_id}/receipts', 'GET /cs/context/{customer_id}',
    'POST /search/', 'POST /search/fuzzy/'
);

-- Says whether a payload is an array of events that audit.events and its indexes can hold: now also receipts, routes,
-- outcomes and purposes are in an index, which takes a third of a page of each. See 0013_audit_unreadable.sql.
CREATE OR REPLACE FUNCTION audit.is_readable(p_payload text) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN NOT EXISTS (
        SELECT FROM jsonb_array_elements(p_payload::jsonb) AS told (e)
        WHERE (
            jsonb_typeof(e) = 'object'
            AND e ->> 'occurred_at' ~ '^2\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$'
            AND (e ->> 'occurred_at')::timestamptz IS NOT NULL
            AND jsonb_typeof(e -> 'status') = 'number' AND (e ->> 'status')::smallint IS NOT NULL
            AND NOT EXISTS (
                SELECT FROM unnest(ARRAY['principal_id', 'role', 'session_id', 'route', 'outcome', 'purpose',
                    'client_address', 'request_id']) AS name
                WHERE jsonb_typeof(e -> name) IS DISTINCT FROM 'string'
            )
            AND NOT EXISTS (
                SELECT FROM unnest(ARRAY['principal_id', 'route', 'outcome', 'purpose']) AS name
                WHERE octet_length(e ->> name) > 1000
            )
            AND NOT EXISTS (
                SELECT FROM jsonb_array_elements(e -> 'receipt_ids') AS each
                WHERE jsonb_typeof(each) <> 'string' OR octet_length(each #>> '{}') > 1000
            )
            AND NOT EXISTS (
                SELECT FROM jsonb_array_elements(e -> 'customer_ids') AS each
                WHERE jsonb_typeof(each) <> 'string' OR octet_length(each #>> '{}') > 1000
            )
        ) IS NOT TRUE
    );
EXCEPTION
    WHEN data_exception OR program_limit_exceeded THEN  -- no JSON, no array, no such day, nested too deep
        RETURN false;
END
$$;

-- The trail as privacy officers read it. It reads with its owner's rights, and nothing of it for any other scope: the
-- condition is of the whole query and is decided before the first event is looked at. No security barrier: behind one
-- the GIN indexes could not be used, whose operators are not leakproof.
CREATE VIEW audit.trail AS
    SELECT event_id, occurred_at, principal_id, role, route, outcome, status, receipt_ids, customer_ids, purpose,
        constraints, client_address, request_id
    FROM audit.events
    WHERE (SELECT access.my_role()) = 'privacy_officer';
GRANT SELECT ON audit.trail TO receipts_api;
