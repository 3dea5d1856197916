-- What privacy officers work with: the audit trail searched, and people's requests about their own data.

CREATE SCHEMA compliance AUTHORIZATION receipts_owner;

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

-- Privacy requests ---------------------------------------------------------------------------------------------------

-- Grain: one row per request of a person to see, or to have erased, what is held of them. Deadlines are worked out by
-- receipts/deadlines.py when it is opened, also the one that an extension would bring.
CREATE TABLE compliance.requests (
    request_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('access', 'erasure')),
    law text NOT NULL CHECK (law IN ('gdpr', 'ccpa')),
    customer_id text COLLATE "C" NOT NULL,
    channel text NOT NULL CHECK (channel IN ('phone', 'email', 'letter', 'store', 'agent')),
    state text NOT NULL DEFAULT 'received'
        CHECK (state IN ('received', 'verified', 'in_progress', 'approved', 'completed', 'refused')),
    received_on date NOT NULL,
    confirm_by date,  -- null: the law sets no day
    confirmed_on date,
    due_on date NOT NULL,
    extended boolean NOT NULL DEFAULT false,
    extended_due_on date NOT NULL,
    opened_by text NOT NULL,
    opened_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    carried_out_at timestamptz CHECK (carried_out_at IS NULL OR kind = 'erasure')  -- set by what erases, and by nothing else
);
CREATE INDEX requests_by_deadline ON compliance.requests (due_on, request_id);
CREATE INDEX requests_by_customer ON compliance.requests (customer_id);

-- Grain: one row per step that an officer took. What is written as a reason may tell of a person.
CREATE TABLE compliance.steps (
    step_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    request_id bigint NOT NULL REFERENCES compliance.requests,
    taken_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    taken_by text NOT NULL,
    step text NOT NULL
        CHECK (step IN ('confirm', 'verify_identity', 'start', 'extend', 'refuse', 'approve', 'complete')),
    reason text,
    CHECK (step NOT IN ('extend', 'refuse') OR coalesce(btrim(reason), '') <> '')
);
CREATE INDEX steps_by_request ON compliance.steps (request_id, step_id);

CREATE FUNCTION compliance.refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'what was done about a privacy request is never changed';
END
$$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON compliance.steps
    FOR EACH ROW EXECUTE FUNCTION compliance.refuse_change();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON compliance.steps
    FOR EACH STATEMENT EXECUTE FUNCTION compliance.refuse_change();
CREATE TRIGGER kept BEFORE DELETE ON compliance.requests
    FOR EACH ROW EXECUTE FUNCTION compliance.refuse_change();

-- Officers alone, also through the owner's functions.
ALTER TABLE compliance.requests ENABLE ROW LEVEL SECURITY;
ALTER TABLE compliance.requests FORCE ROW LEVEL SECURITY;
ALTER TABLE compliance.steps ENABLE ROW LEVEL SECURITY;
ALTER TABLE compliance.steps FORCE ROW LEVEL SECURITY;
CREATE POLICY officers ON compliance.requests TO receipts_api, receipts_owner
    USING ((SELECT access.my_role()) = 'privacy_officer');
CREATE POLICY officers ON compliance.steps TO receipts_api, receipts_owner
    USING ((SELECT access.my_role()) = 'privacy_officer');

-- Takes a step, if the request is where it can be taken, and says what came of it: 'taken', or why not. The one way in
-- which a request moves on. `p_today` is the day where the officers are.
CREATE FUNCTION compliance.take_step(p_request_id bigint, p_step text, p_reason text, p_today date) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    one compliance.requests;
    is_open boolean;
BEGIN
    SELECT * INTO one FROM compliance.requests r WHERE r.request_id = p_request_id FOR UPDATE;
    IF NOT FOUND THEN
        RETURN 'not_found';
    END IF;
    is_open := one.state NOT IN ('completed', 'refused');
    IF (CASE p_step
        WHEN 'confirm' THEN is_open AND one.confirmed_on IS NULL
        WHEN 'verify_identity' THEN one.state = 'received'
        WHEN 'start' THEN one.state = 'verified'
        WHEN 'extend' THEN is_open AND NOT one.extended
        WHEN 'refuse' THEN is_open AND one.carried_out_at IS NULL
        WHEN 'approve' THEN one.kind = 'erasure' AND one.state = 'in_progress'
        WHEN 'complete' THEN one.state = CASE one.kind WHEN 'erasure' THEN 'approved' ELSE 'in_progress' END
    END) IS NOT TRUE THEN
        RETURN 'not_now';
    END IF;
    IF p_step = 'extend' AND p_today > one.due_on THEN
        RETURN 'too_late';
    END IF;
    IF p_step = 'approve' AND (one.opened_by = access.my_principal() OR EXISTS (
        SELECT FROM compliance.steps s
        WHERE s.request_id = p_request_id AND s.step = 'start' AND s.taken_by = access.my_principal()
    )) THEN
        RETURN 'same_officer';
    END IF;
    IF p_step = 'complete' AND one.kind = 'erasure' AND one.carried_out_at IS NULL THEN
        RETURN 'not_carried_out';
    END IF;
    INSERT INTO compliance.steps (request_id, taken_by, step, reason)
        VALUES (p_request_id, access.my_principal(), p_step, p_reason);
    UPDATE compliance.requests r SET
        state = CASE p_step
            WHEN 'verify_identity' THEN 'verified'
            WHEN 'start' THEN 'in_progress'
            WHEN 'approve' THEN 'approved'
            WHEN 'complete' THEN 'completed'
            WHEN 'refuse' THEN 'refused'
            ELSE r.state
        END,
        confirmed_on = CASE p_step WHEN 'confirm' THEN p_today ELSE r.confirmed_on END,
        extended = r.extended OR p_step = 'extend',
        due_on = CASE p_step WHEN 'extend' THEN r.extended_due_on ELSE r.due_on END
    WHERE r.request_id = p_request_id;
    RETURN 'taken';
END
$$;

REVOKE ALL ON FUNCTION compliance.take_step(bigint, text, text, date) FROM PUBLIC;
GRANT USAGE ON SCHEMA compliance TO receipts_api;
GRANT SELECT, INSERT (kind, law, customer_id, channel, received_on, confirm_by, due_on, extended_due_on, opened_by)
    ON compliance.requests TO receipts_api;
GRANT SELECT ON compliance.steps TO receipts_api;
GRANT EXECUTE ON FUNCTION compliance.take_step(bigint, text, text, date) TO receipts_api;
