-- Serving at full strength: a lookup is one statement, and the audit trail a chain.

SET LOCAL ROLE receipts_owner;

-- Puts the scope's handle on the statement's own transaction and reads under it: one round trip, and nothing of the
-- scope is left on the connection. The caller's rights and row-level security apply, as if it had sent both.
CREATE FUNCTION retail.find_receipts(p_scope text, p_receipt_ids text[])
RETURNS TABLE (receipt_id text, document text, store_document text, customer_id text)
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_catalog.set_config('app.scope', p_scope, true);
    RETURN QUERY
        SELECT r.receipt_id, r.document, s.document, r.customer_id
        FROM retail.receipts r
        JOIN retail.stores s USING (store_id)
        WHERE r.receipt_id = ANY (p_receipt_ids);
END
$$;
CREATE FUNCTION retail.find_context(p_scope text, p_customer_id text)
RETURNS TABLE (
    customer_id text, first_name text, last_name text, email_masked text, phone_masked text, city text,
    customer_since date, document text
)
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_catalog.set_config('app.scope', p_scope, true);
    RETURN QUERY
        SELECT c.customer_id, c.first_name, c.last_name, c.email_masked, c.phone_masked, c.city, c.customer_since,
            p.document
        FROM retail.customers c
        LEFT JOIN retail.customer_profiles p USING (customer_id)
        WHERE c.customer_id = p_customer_id;
END
$$;

-- The receipts of a customer before a place in the list, the newest first. A customer without one there is one row of
-- nulls, and nobody's customer none.
CREATE FUNCTION retail.list_receipts(
    p_scope text, p_customer_id text, p_before_at timestamptz, p_before_id text, p_rows integer
)
RETURNS TABLE (
    document text, store_name text, time_zone text, purchased_on date, purchased_at timestamptz, receipt_id text
)
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_catalog.set_config('app.scope', p_scope, true);
    RETURN QUERY
        SELECT r.document, s.name, s.time_zone, r.purchased_on, r.purchased_at, r.receipt_id
        FROM retail.receipts r
        JOIN retail.stores s USING (store_id)
        WHERE r.customer_id = p_customer_id AND (r.purchased_at, r.receipt_id) < (p_before_at, p_before_id)
        ORDER BY r.purchased_at DESC, r.receipt_id DESC
        LIMIT p_rows;
    IF NOT FOUND THEN
        RETURN QUERY
            SELECT NULL::text, NULL::text, NULL::text, NULL::date, NULL::timestamptz, NULL::text
            FROM retail.customers c WHERE c.customer_id = p_customer_id;
    END IF;
END
$$;

REVOKE ALL ON FUNCTION retail.find_receipts(text, text[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION retail.find_context(text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION retail.list_receipts(text, text, timestamptz, text, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION retail.find_receipts(text, text[]), retail.find_context(text, text),
    retail.list_receipts(text, text, timestamptz, text, integer) TO receipts_api;

-- The audit trail's spool -------------------------------------------------------------------------------------------

-- A replica makes the events of many requests durable as one row, whose digest covers the row before it. `audit.project`
-- takes them apart into audit.events, which is searched; the spool is the evidence.

CREATE SEQUENCE audit.chain_numbers MAXVALUE 4294967295;

-- Grain: one row per chain, which one process writes for a day at most. A chain's number begins with its day, so that
-- the spool's partitions are months and a group's key stays the same when it is sent again.
CREATE TABLE audit.chains (
    chain bigint PRIMARY KEY,
    opened_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    opened_by name NOT NULL DEFAULT session_user,
    root bytea NOT NULL,  -- what the first group's digest covers: nobody knows it before
    projected bigint NOT NULL DEFAULT 0,  -- the last group that stands in audit.events
    head bytea NOT NULL,  -- its digest
    closed_at timestamptz
);
CREATE INDEX chains_open ON audit.chains (chain) WHERE closed_at IS NULL;

-- Grain: one row per group of events that became durable together.
CREATE TABLE audit.spool (
    chain bigint NOT NULL,
    seq bigint NOT NULL CHECK (seq > 0),
    recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    previous bytea NOT NULL,
    digest bytea NOT NULL,  -- SHA-256 of `previous` and `payload`
    payload text NOT NULL,  -- a JSON array of events
    PRIMARY KEY (chain, seq)
) PARTITION BY RANGE (chain);
CREATE TABLE audit.spool_other PARTITION OF audit.spool DEFAULT;

-- Grain: one row per group, in the order in which groups were taken apart: one number says how far a copy of it is.
CREATE TABLE audit.projections (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    chain bigint NOT NULL,
    seq bigint NOT NULL,
    events integer NOT NULL,
    UNIQUE (chain, seq)
);

-- Grain: one row per group that does not follow from the one before it. Nothing but tampering or a bug makes one.
CREATE TABLE audit.faults (
    chain bigint NOT NULL,
    seq bigint NOT NULL,
    found_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (chain, seq)
);

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON audit.spool
    FOR EACH ROW EXECUTE FUNCTION audit.refuse_change();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON audit.spool
    FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON audit.spool_other
    FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON audit.faults
    FOR EACH ROW EXECUTE FUNCTION audit.refuse_change();

CREATE FUNCTION audit.chain_day(p_day date) RETURNS bigint
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
AS $$ SELECT (p_day - date '1970-01-01')::bigint << 32 $$;

CREATE FUNCTION audit.today() RETURNS date
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$ SELECT (now() AT TIME ZONE 'UTC')::date $$;

-- Makes the partitions of this month and the next; safe to repeat. `receipts up` and the pipeline call it.
CREATE OR REPLACE FUNCTION audit.make_partitions(p_today date DEFAULT current_date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    first date;
    next date;
    name text;
BEGIN
    FOR i IN 0..1 LOOP
        first := (date_trunc('month', p_today) + make_interval(months => i))::date;
        next := (first + interval '1 month')::date;
        name := format('events_%s', to_char(first, 'YYYY_MM'));
        IF to_regclass(format('audit.%I', name)) IS NULL THEN
            EXECUTE format('CREATE TABLE audit.%I PARTITION OF audit.events FOR VALUES FROM (%L) TO (%L)',
                name, first::timestamp AT TIME ZONE 'UTC', next::timestamp AT TIME ZONE 'UTC');
            EXECUTE format('CREATE TRIGGER no_truncate BEFORE TRUNCATE ON audit.%I
                FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change()', name);
        END IF;
        name := format('spool_%s', to_char(first, 'YYYY_MM'));
        IF to_regclass(format('audit.%I', name)) IS NULL THEN
            EXECUTE format('CREATE TABLE audit.%I PARTITION OF audit.spool FOR VALUES FROM (%L) TO (%L)',
                name, audit.chain_day(first), audit.chain_day(next));
            EXECUTE format('CREATE TRIGGER no_truncate BEFORE TRUNCATE ON audit.%I
                FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change()', name);
        END IF;
    END LOOP;
END
$$;

CREATE FUNCTION audit.open_chain() RETURNS TABLE (chain bigint, head bytea)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    WITH fresh AS (SELECT sha256(uuid_send(gen_random_uuid())) AS root)
    INSERT INTO audit.chains AS c (chain, root, head)
    SELECT audit.chain_day(audit.today()) + nextval('audit.chain_numbers'), root, root FROM fresh
    RETURNING c.chain, c.head
$$;

-- Says whether the group is durable, now or from an attempt before. Not when another group stands there, nor when the
-- chain is older than yesterday: its writer opens a new one.
CREATE FUNCTION audit.append(p_chain bigint, p_seq bigint, p_previous bytea, p_digest bytea, p_payload text)
RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF p_chain < audit.chain_day(audit.today() - 1) THEN
        RETURN false;
    END IF;
    INSERT INTO audit.spool (chain, seq, previous, digest, payload)
    VALUES (p_chain, p_seq, p_previous, p_digest, p_payload)
    ON CONFLICT DO NOTHING;
    RETURN FOUND OR EXISTS (SELECT FROM audit.spool s WHERE s.chain = p_chain AND s.seq = p_seq AND s.digest = p_digest);
END
$$;

-- Takes groups apart into audit.events, each once and in the order of its chain; returns how many groups. One that does
-- not follow from the one before is taken apart too, and noted.
CREATE FUNCTION audit.project(p_most integer DEFAULT 1000) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    one record;
    batch record;
    added integer;
    moved integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('audit.project', 0));
    FOR one IN SELECT c.chain, c.projected, c.head FROM audit.chains c WHERE c.closed_at IS NULL ORDER BY c.chain LOOP
        FOR batch IN
            SELECT s.seq, s.previous, s.digest, s.payload FROM audit.spool s
            WHERE s.chain = one.chain AND s.seq > one.projected ORDER BY s.seq LIMIT p_most - moved
        LOOP
            IF batch.seq <> one.projected + 1 OR batch.previous <> one.head
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
            FROM jsonb_array_elements(batch.payload::jsonb) WITH ORDINALITY AS told (e, place);
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

REVOKE ALL ON FUNCTION audit.open_chain() FROM PUBLIC;
REVOKE ALL ON FUNCTION audit.append(bigint, bigint, bytea, bytea, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION audit.project(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit.open_chain() TO receipts_api, receipts_auth;
GRANT EXECUTE ON FUNCTION audit.append(bigint, bigint, bytea, bytea, text) TO receipts_api, receipts_auth;
GRANT EXECUTE ON FUNCTION audit.project(integer) TO receipts_pipeline;
REVOKE INSERT ON audit.events FROM receipts_api, receipts_auth;
