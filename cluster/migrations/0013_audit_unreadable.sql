-- No group, whatever it holds, keeps those after it from being taken apart.

SET LOCAL ROLE receipts_owner;

-- Says whether a payload is an array of events that audit.events and its indexes can hold. A process that writes groups
-- may have been taken over; a digest says that a payload is what was sent, not that it makes sense. The block's
-- subtransaction writes nothing, so that thousands of them in a transaction slow nobody's snapshots.
CREATE FUNCTION audit.is_readable(p_payload text) RETURNS boolean
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
            AND octet_length(e ->> 'principal_id') <= 1000  -- a third of a page is what an index takes
            AND NOT EXISTS (
                SELECT FROM jsonb_array_elements(e -> 'receipt_ids') AS each WHERE jsonb_typeof(each) <> 'string'
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
REVOKE ALL ON FUNCTION audit.is_readable(text) FROM PUBLIC;

-- Takes groups apart into audit.events, each once and in the order of its chain; returns how many groups. One that does
-- not follow from the one before is taken apart too, and noted; one that cannot be read is noted and passed over.
CREATE OR REPLACE FUNCTION audit.project(p_most integer DEFAULT 1000) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    one record;
    batch record;
    added integer;
    readable boolean;
    moved integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('audit.project', 0));
    FOR one IN SELECT c.chain, c.projected, c.head FROM audit.chains c WHERE c.closed_at IS NULL ORDER BY c.chain LOOP
        FOR batch IN
            SELECT s.seq, s.previous, s.digest, s.payload FROM audit.spool s
            WHERE s.chain = one.chain AND s.seq > one.projected ORDER BY s.seq LIMIT p_most - moved
        LOOP
            readable := audit.is_readable(batch.payload);
            IF NOT readable OR batch.seq <> one.projected + 1 OR batch.previous <> one.head
                OR batch.digest <> sha256(batch.previous || convert_to(batch.payload, 'UTF8'))
            THEN
                INSERT INTO audit.faults (chain, seq) VALUES (one.chain, batch.seq) ON CONFLICT DO NOTHING;
            END IF;
            INSERT INTO audit.events (
                event_id, occurred_at, principal_id, role, session_id, route, outcome, status,
                receipt_ids, customer_ids, purpose, constraints, client_address, request_id
            )
            SELECT
                md5(format('%s:%s:%s', one.chain, batch.seq, place))::uuid, (e ->> 'occurred_at')::timestamptz,
                e ->> 'principal_id', e ->> 'role', e ->> 'session_id', e ->> 'route', e ->> 'outcome',
                (e ->> 'status')::smallint,
                ARRAY(SELECT jsonb_array_elements_text(e -> 'receipt_ids')),
                ARRAY(SELECT jsonb_array_elements_text(e -> 'customer_ids')),
                e ->> 'purpose', coalesce((e -> 'constraints')::text, ''), e ->> 'client_address', e ->> 'request_id'
            FROM jsonb_array_elements(CASE WHEN readable THEN batch.payload ELSE '[]' END::jsonb)
                WITH ORDINALITY AS told (e, place);
            GET DIAGNOSTICS added = ROW_COUNT;
            INSERT INTO audit.projections (chain, seq, events) VALUES (one.chain, batch.seq, added);
            one.projected := batch.seq;
            one.head := batch.digest;
            moved := moved + 1;
        END LOOP;
        UPDATE audit.chains c SET projected = one.projected, head = one.head
            WHERE c.chain = one.chain AND c.projected <> one.projected;
        EXIT WHEN moved >= p_most;
        -- Nothing is appended to it any more, and all of it was seen.
        UPDATE audit.chains c SET closed_at = clock_timestamp()
            WHERE c.chain = one.chain AND c.chain < audit.chain_day(audit.today() - 2);
    END LOOP;
    RETURN moved;
END
$$;
