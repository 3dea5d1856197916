SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET transaction_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

CREATE SCHEMA access;

ALTER SCHEMA access OWNER TO receipts_owner;

CREATE SCHEMA audit;

ALTER SCHEMA audit OWNER TO receipts_owner;

CREATE SCHEMA auth;

ALTER SCHEMA auth OWNER TO receipts_owner;

CREATE SCHEMA compliance;

ALTER SCHEMA compliance OWNER TO receipts_owner;

CREATE SCHEMA fraud;

ALTER SCHEMA fraud OWNER TO receipts_owner;

CREATE SCHEMA ingest;

ALTER SCHEMA ingest OWNER TO receipts_owner;

CREATE SCHEMA limits;

ALTER SCHEMA limits OWNER TO receipts_owner;

CREATE SCHEMA mail;

ALTER SCHEMA mail OWNER TO receipts_owner;

CREATE SCHEMA operations;

ALTER SCHEMA operations OWNER TO receipts_owner;

CREATE SCHEMA portal;

ALTER SCHEMA portal OWNER TO receipts_owner;

CREATE SCHEMA retail;

ALTER SCHEMA retail OWNER TO receipts_owner;

CREATE SCHEMA search;

ALTER SCHEMA search OWNER TO receipts_search;

CREATE SCHEMA sync;

ALTER SCHEMA sync OWNER TO receipts_owner;

CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public;

COMMENT ON EXTENSION vector IS 'vector data type and ivfflat and hnsw access methods';

CREATE TYPE search.candidate AS (
	receipt_id text,
	skus text[],
	purchased_at timestamp with time zone,
	purchased_on date,
	points real,
	store_score real,
	date_score real,
	amount_score real,
	customer_score real,
	tender_score real
);

ALTER TYPE search.candidate OWNER TO receipts_search;

CREATE FUNCTION access.admit(p_issuer text, p_subject text, p_display_name text, p_role text, p_region_ids smallint[], p_all_regions boolean) RETURNS TABLE(principal_id text)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    who text;
BEGIN
    SELECT i.principal_id INTO who FROM access.identities i WHERE i.issuer = p_issuer AND i.subject = p_subject;
    IF who IS NULL AND p_role IS NOT NULL THEN
        who := 'person-' || left(encode(sha256(convert_to(p_issuer || E'\n' || p_subject, 'UTF8')), 'hex'), 24);
        INSERT INTO access.principals (principal_id, role, display_name, region_ids, all_regions, follows_groups)
        VALUES (who, p_role, p_display_name, p_region_ids, p_all_regions, true)
        ON CONFLICT DO NOTHING;
        INSERT INTO access.identities (issuer, subject, principal_id) VALUES (p_issuer, p_subject, who)
        ON CONFLICT DO NOTHING;
    ELSIF p_role IS NOT NULL THEN
        UPDATE access.principals p
        SET role = p_role, display_name = p_display_name, region_ids = p_region_ids, all_regions = p_all_regions
        WHERE p.principal_id = who AND p.follows_groups
            AND (p.role, p.display_name, p.region_ids, p.all_regions)
                IS DISTINCT FROM (p_role, p_display_name, p_region_ids, p_all_regions);
    END IF;
    RETURN QUERY
        SELECT p.principal_id FROM access.principals p
        WHERE p.principal_id = who AND p.active AND (p_role IS NOT NULL OR NOT p.follows_groups);
END
$$;

ALTER FUNCTION access.admit(p_issuer text, p_subject text, p_display_name text, p_role text, p_region_ids smallint[], p_all_regions boolean) OWNER TO receipts_owner;

CREATE FUNCTION access.list_principals() RETURNS TABLE(principal_id text, role text, display_name text)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT p.principal_id, p.role, p.display_name FROM access.principals p WHERE p.active ORDER BY p.principal_id
$$;

ALTER FUNCTION access.list_principals() OWNER TO receipts_owner;

CREATE FUNCTION access.my_principal() RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$ SELECT nullif(current_setting('app.principal', true), '') $$;

ALTER FUNCTION access.my_principal() OWNER TO receipts_owner;

CREATE FUNCTION access.my_regions() RETURNS smallint[]
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT CASE WHEN s.all_regions THEN (SELECT array_agg(r.region_id) FROM access.regions r) ELSE s.region_ids END
    FROM access.scopes s
    WHERE s.scope_id = nullif(current_setting('app.scope', true), '')::uuid
$$;

ALTER FUNCTION access.my_regions() OWNER TO receipts_owner;

CREATE FUNCTION access.my_role() RETURNS text
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT s.role FROM access.scopes s WHERE s.scope_id = nullif(current_setting('app.scope', true), '')::uuid
$$;

ALTER FUNCTION access.my_role() OWNER TO receipts_owner;

CREATE FUNCTION access.open_scope(p_principal_id text) RETURNS TABLE(scope_id uuid, role text, display_name text)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    who access.principals;
BEGIN
    SELECT * INTO who FROM access.principals p WHERE p.principal_id = p_principal_id AND p.active;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    INSERT INTO access.scopes (role, region_ids, all_regions) VALUES (who.role, who.region_ids, who.all_regions)
    ON CONFLICT DO NOTHING;
    RETURN QUERY
        SELECT s.scope_id, who.role, who.display_name FROM access.scopes s
        WHERE s.role = who.role AND s.region_ids = who.region_ids AND s.all_regions = who.all_regions;
END
$$;

ALTER FUNCTION access.open_scope(p_principal_id text) OWNER TO receipts_owner;

CREATE FUNCTION audit.chain_day(p_day date) RETURNS bigint
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$ SELECT (p_day - date '1970-01-01')::bigint << 32 $$;

ALTER FUNCTION audit.chain_day(p_day date) OWNER TO receipts_owner;

CREATE FUNCTION audit.drop_expired(p_month date, p_years integer DEFAULT 7) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '2s'
    AS $$
DECLARE
    first date := date_trunc('month', p_month)::date;
    until date := (first + interval '1 month' + make_interval(years => greatest(p_years, 7)))::date;
    suffix text := to_char(first, 'YYYY_MM');
    taken bigint := 0;
    told bigint := 0;
BEGIN
    IF audit.today() < until THEN
        RAISE EXCEPTION 'the audit trail of % is kept until %', to_char(first, 'YYYY-MM'), until;
    END IF;
    IF EXISTS (SELECT FROM audit.retirements r WHERE r.month = first AND r.what = 'month') THEN
        RETURN;
    END IF;
    IF to_regclass('audit.spool_' || suffix) IS NOT NULL THEN
        PERFORM audit.retire_spool(first);
    END IF;
    SELECT r.groups, r.events INTO taken, told FROM audit.retirements r WHERE r.month = first AND r.what = 'spool';
    EXECUTE format('DROP TABLE IF EXISTS audit.%I', 'events_' || suffix);
    PERFORM audit.record_retirement(first, 'month', coalesce(taken, 0), coalesce(told, 0));
END
$$;

ALTER FUNCTION audit.drop_expired(p_month date, p_years integer) OWNER TO receipts_owner;

CREATE FUNCTION audit.extend(p_chain bigint, p_seq bigint, p_previous bytea, p_payload text) RETURNS bytea
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    made bytea := sha256(p_previous || convert_to(p_payload, 'UTF8'));
BEGIN
    IF p_chain < audit.chain_day(audit.today() - 1) THEN
        RETURN NULL;
    END IF;
    INSERT INTO audit.spool (chain, seq, previous, digest, payload)
    VALUES (p_chain, p_seq, p_previous, made, p_payload)
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        PERFORM FROM audit.spool s WHERE s.chain = p_chain AND s.seq = p_seq AND s.digest = made;
        IF NOT FOUND THEN
            RETURN NULL;
        END IF;
        -- The attempt before may still wait for a standby; this transaction's own record makes its commit wait too.
        PERFORM pg_logical_emit_message(true, 'audit', '');
    END IF;
    RETURN made;
END
$$;

ALTER FUNCTION audit.extend(p_chain bigint, p_seq bigint, p_previous bytea, p_payload text) OWNER TO receipts_owner;

CREATE FUNCTION audit.is_readable(p_payload text) RETURNS boolean
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
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
$_$;

ALTER FUNCTION audit.is_readable(p_payload text) OWNER TO receipts_owner;

CREATE FUNCTION audit.list_months() RETURNS TABLE(month date, has_spool boolean)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
    SELECT to_date(right(c.relname, 7), 'YYYY_MM'), bool_or(c.relname LIKE 'spool%')
    FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid
    WHERE i.inhparent IN ('audit.spool'::regclass, 'audit.events'::regclass) AND c.relname ~ '_\d{4}_\d{2}$'
    GROUP BY 1 ORDER BY 1
$_$;

ALTER FUNCTION audit.list_months() OWNER TO receipts_owner;

CREATE FUNCTION audit.list_views(p_receipt_id text, p_most integer) RETURNS TABLE(viewed_by text, viewed_at timestamp with time zone, times bigint)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT coalesce(p.display_name, v.principal_id), max(v.occurred_at), count(*)
    FROM retail.receipts r
    JOIN retail.stores s ON s.store_id = r.store_id
    CROSS JOIN LATERAL (
        SELECT e.principal_id, e.occurred_at
        FROM audit.events e
        WHERE e.receipt_ids[1] = p_receipt_id AND e.outcome = 'answered'
            AND e.route IN ('GET /receipt/{receipt_id}', 'GET /receipt/')
        ORDER BY e.occurred_at DESC
        LIMIT 1000
    ) v
    LEFT JOIN access.principals p ON p.principal_id = v.principal_id
    WHERE r.receipt_id = p_receipt_id AND r.region_id = ANY (access.my_regions())
    GROUP BY v.principal_id, p.display_name, (v.occurred_at AT TIME ZONE s.time_zone)::date
    ORDER BY max(v.occurred_at) DESC
    LIMIT p_most
$$;

ALTER FUNCTION audit.list_views(p_receipt_id text, p_most integer) OWNER TO receipts_owner;

CREATE FUNCTION audit.make_partitions(p_today date DEFAULT CURRENT_DATE) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    first date;
    next date;
    part text;
    name text;
BEGIN
    FOR i IN 0..1 LOOP
        first := (date_trunc('month', p_today) + make_interval(months => i))::date;
        next := (first + interval '1 month')::date;
        FOREACH part IN ARRAY ARRAY['events', 'spool', 'projections'] LOOP
            name := format('%s_%s', part, to_char(first, 'YYYY_MM'));
            CONTINUE WHEN to_regclass(format('audit.%I', name)) IS NOT NULL;
            IF part = 'events' THEN
                EXECUTE format('CREATE TABLE audit.%I PARTITION OF audit.events FOR VALUES FROM (%L) TO (%L)',
                    name, first::timestamp AT TIME ZONE 'UTC', next::timestamp AT TIME ZONE 'UTC');
            ELSE
                EXECUTE format('CREATE TABLE audit.%I PARTITION OF audit.%I FOR VALUES FROM (%L) TO (%L)',
                    name, part, audit.chain_day(first), audit.chain_day(next));
            END IF;
            EXECUTE format('CREATE TRIGGER no_truncate BEFORE TRUNCATE ON audit.%I
                FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change()', name);
        END LOOP;
    END LOOP;
END
$$;

ALTER FUNCTION audit.make_partitions(p_today date) OWNER TO receipts_owner;

CREATE FUNCTION audit.open_chain() RETURNS TABLE(chain bigint, head bytea)
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    WITH fresh AS (SELECT sha256(uuid_send(gen_random_uuid())) AS root)
    INSERT INTO audit.chains AS c (chain, root, head)
    SELECT audit.chain_day(audit.today()) + nextval('audit.chain_numbers'), root, root FROM fresh
    RETURNING c.chain, c.head
$$;

ALTER FUNCTION audit.open_chain() OWNER TO receipts_owner;

CREATE FUNCTION audit.project(p_most integer DEFAULT 1000) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
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

ALTER FUNCTION audit.project(p_most integer) OWNER TO receipts_owner;

CREATE FUNCTION audit.record_retirement(p_month date, p_what text, p_groups bigint, p_events bigint) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    opened record;
BEGIN
    SELECT * INTO opened FROM audit.open_chain();
    PERFORM audit.extend(opened.chain, 1, opened.head, jsonb_build_array(jsonb_build_object(
        'occurred_at', clock_timestamp(), 'principal_id', session_user, 'role', 'retention', 'session_id', '',
        'route', 'audit retention', 'outcome', 'answered', 'status', 200, 'receipt_ids', '[]'::jsonb,
        'customer_ids', '[]'::jsonb, 'purpose', 'retention', 'client_address', '', 'request_id', '',
        'constraints', jsonb_build_object(
            'month', to_char(p_month, 'YYYY-MM'), 'what', p_what, 'groups', p_groups, 'events', p_events
        )))::text);
    INSERT INTO audit.retirements (month, what, groups, events, chain, seq)
        VALUES (p_month, p_what, p_groups, p_events, opened.chain, 1);
END
$$;

ALTER FUNCTION audit.record_retirement(p_month date, p_what text, p_groups bigint, p_events bigint) OWNER TO receipts_owner;

CREATE FUNCTION audit.refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    RAISE EXCEPTION 'the audit trail is append-only';
END
$$;

ALTER FUNCTION audit.refuse_change() OWNER TO receipts_owner;

CREATE FUNCTION audit.retire_spool(p_month date) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '2s'
    AS $$
DECLARE
    low bigint := audit.chain_day(p_month);
    high bigint := audit.chain_day((p_month + interval '1 month')::date);
    suffix text := to_char(p_month, 'YYYY_MM');
    kept bigint;
    taken bigint;
    told bigint;
BEGIN
    IF p_month > date_trunc('month', audit.today()) - interval '2 months' THEN
        RAISE EXCEPTION 'groups of % stay in Postgres until their month is over for a month', to_char(p_month, 'YYYY-MM');
    END IF;
    IF to_regclass('audit.spool_' || suffix) IS NULL THEN
        RETURN;
    END IF;
    SELECT count(*) INTO kept FROM audit.spool s WHERE s.chain >= low AND s.chain < high;
    SELECT count(*), coalesce(sum(p.events), 0) INTO taken, told
        FROM audit.projections p WHERE p.chain >= low AND p.chain < high;
    IF kept <> taken THEN
        RAISE EXCEPTION '% groups of % were not taken apart', kept - taken, to_char(p_month, 'YYYY-MM');
    END IF;
    EXECUTE format('DROP TABLE audit.%I', 'spool_' || suffix);
    EXECUTE format('DROP TABLE IF EXISTS audit.%I', 'projections_' || suffix);
    PERFORM audit.record_retirement(p_month, 'spool', kept, told);
END
$$;

ALTER FUNCTION audit.retire_spool(p_month date) OWNER TO receipts_owner;

CREATE FUNCTION audit.today() RETURNS date
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$ SELECT (now() AT TIME ZONE 'UTC')::date $$;

ALTER FUNCTION audit.today() OWNER TO receipts_owner;

CREATE FUNCTION auth.list_ended_sessions() RETURNS TABLE(session_id text)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT s.session_id FROM auth.sessions s WHERE s.ended_at IS NOT NULL AND s.tokens_until > clock_timestamp()
$$;

ALTER FUNCTION auth.list_ended_sessions() OWNER TO receipts_owner;

CREATE FUNCTION auth.rotate(p_digest bytea, p_next bytea, p_client_id text, p_idle_s integer, p_tokens_s integer, p_grace_s integer) RETURNS TABLE(outcome text, session_id text, principal_id text, left_s integer)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    session auth.sessions;
    held auth.refresh_tokens;
    at timestamptz;
BEGIN
    SELECT s.* INTO session FROM auth.sessions s
    WHERE s.session_id = (SELECT t.session_id FROM auth.refresh_tokens t WHERE t.token_digest = p_digest)
    FOR UPDATE;
    at := clock_timestamp();
    IF session.session_id IS NULL OR session.client_id <> p_client_id THEN
        RETURN QUERY SELECT 'unknown', NULL::text, NULL::text, 0;
        RETURN;
    END IF;
    SELECT t.* INTO held FROM auth.refresh_tokens t WHERE t.token_digest = p_digest;  -- as it is now, behind the lock
    IF session.ended_at IS NOT NULL OR session.expires_at <= at OR (held.used_at IS NULL AND held.idle_until <= at) THEN
        RETURN QUERY SELECT 'ended', session.session_id, session.principal_id, 0;
        RETURN;
    END IF;
    IF held.used_at IS NOT NULL THEN
        UPDATE auth.refresh_tokens t SET used_at = at
        WHERE t.token_digest = held.replaced_by AND t.used_at IS NULL
            AND held.used_at > at - make_interval(secs => p_grace_s);
        IF NOT FOUND THEN
            UPDATE auth.sessions s SET ended_at = at, ended_by = 'reuse' WHERE s.session_id = session.session_id;
            RETURN QUERY SELECT 'reused', session.session_id, session.principal_id, 0;
            RETURN;
        END IF;
    END IF;
    UPDATE auth.refresh_tokens t SET used_at = coalesce(t.used_at, at), replaced_by = p_next
    WHERE t.token_digest = p_digest;
    INSERT INTO auth.refresh_tokens (token_digest, session_id, idle_until)
    VALUES (p_next, session.session_id, least(at + make_interval(secs => p_idle_s), session.expires_at));
    UPDATE auth.sessions s SET tokens_until = greatest(s.tokens_until, at + make_interval(secs => p_tokens_s))
    WHERE s.session_id = session.session_id;
    RETURN QUERY SELECT 'rotated', session.session_id, session.principal_id,
        extract(epoch FROM session.expires_at - at)::integer;
END
$$;

ALTER FUNCTION auth.rotate(p_digest bytea, p_next bytea, p_client_id text, p_idle_s integer, p_tokens_s integer, p_grace_s integer) OWNER TO receipts_owner;

CREATE FUNCTION compliance.refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    RAISE EXCEPTION 'what was done about a privacy request is never changed';
END
$$;

ALTER FUNCTION compliance.refuse_change() OWNER TO receipts_owner;

CREATE FUNCTION compliance.take_step(p_request_id bigint, p_step text, p_reason text, p_today date) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
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

ALTER FUNCTION compliance.take_step(p_request_id bigint, p_step text, p_reason text, p_today date) OWNER TO receipts_owner;

CREATE FUNCTION fraud.regions_of(p_subject text, p_subject_id text) RETURNS smallint[]
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT ARRAY[r.region_id] FROM retail.receipts r WHERE p_subject = 'receipt' AND r.receipt_id = p_subject_id
    UNION ALL
    SELECT c.region_ids FROM retail.customers c WHERE p_subject = 'customer' AND c.customer_id = p_subject_id
$$;

ALTER FUNCTION fraud.regions_of(p_subject text, p_subject_id text) OWNER TO receipts_owner;

CREATE FUNCTION ingest.rotate_outbox(p_bytes bigint) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    state ingest.outbox_state;
    resting regclass;
    freed bigint := 0;
    left_over boolean;
BEGIN
    SELECT * INTO STRICT state FROM ingest.outbox_state;
    resting := format('ingest.outbox_%s', 1 - state.turn)::regclass;
    IF pg_relation_size(resting) > 0 AND state.turned_by < pg_snapshot_xmin(pg_current_snapshot()) THEN
        EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE xid > %L)', resting, state.drained) INTO left_over;
        IF NOT left_over THEN
            BEGIN
                PERFORM set_config('lock_timeout', '50ms', true);
                freed := pg_total_relation_size(resting);
                EXECUTE format('TRUNCATE %s', resting);
            EXCEPTION WHEN lock_not_available THEN
                freed := 0;
            END;
        END IF;
    END IF;
    IF pg_relation_size(resting) = 0
        AND pg_relation_size(format('ingest.outbox_%s', state.turn)::regclass) > p_bytes
    THEN
        UPDATE ingest.outbox_state SET turn = 1 - state.turn, turned_by = pg_current_xact_id();
    END IF;
    RETURN freed;
END
$$;

ALTER FUNCTION ingest.rotate_outbox(p_bytes bigint) OWNER TO receipts_owner;

CREATE FUNCTION limits.count_customers(p_principal bytea, p_customers bytea[], p_cap integer) RETURNS TABLE(fits boolean, seconds double precision)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    hour constant interval := interval '1 hour';
    moment timestamptz;
    counted integer;
    fresh integer;
BEGIN
    IF (length(p_principal) = 16 AND cardinality(p_customers) BETWEEN 1 AND 10000 AND p_cap > 0) IS NOT TRUE
        OR EXISTS (SELECT FROM unnest(p_customers) AS a (k) WHERE (length(a.k) = 16) IS NOT TRUE)
    THEN
        RAISE EXCEPTION 'limits.count_customers takes digests of 16 bytes and a cap'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM set_config('synchronous_commit', 'off', true);
    -- One at a time for each principal: two replicas must not both find the last place.
    PERFORM pg_advisory_xact_lock(hashtextextended('limits.customers:' || encode(p_principal, 'hex'), 0));
    moment := clock_timestamp();
    DELETE FROM limits.customers c WHERE c.principal = p_principal AND c.seen_at <= moment - hour;
    SELECT count(*) INTO counted FROM limits.customers c WHERE c.principal = p_principal;
    SELECT count(DISTINCT a.k) INTO fresh FROM unnest(p_customers) AS a (k)
        WHERE NOT EXISTS (SELECT FROM limits.customers c WHERE c.principal = p_principal AND c.customer = a.k);
    IF counted + fresh <= p_cap THEN
        INSERT INTO limits.customers (principal, customer, seen_at)
            SELECT DISTINCT p_principal, a.k, moment FROM unnest(p_customers) AS a (k) ON CONFLICT DO NOTHING;
        RETURN QUERY SELECT true, extract(epoch FROM min(c.seen_at) + hour - moment)::float8
            FROM limits.customers c WHERE c.principal = p_principal AND c.customer = ANY (p_customers);
    ELSE
        RETURN QUERY SELECT false, coalesce((
            SELECT extract(epoch FROM c.seen_at + hour - moment)::float8 FROM limits.customers c
            WHERE c.principal = p_principal ORDER BY c.seen_at
            OFFSET greatest(least(counted + fresh - p_cap, counted), 1) - 1 LIMIT 1
        ), 3600);
    END IF;
END
$$;

ALTER FUNCTION limits.count_customers(p_principal bytea, p_customers bytea[], p_cap integer) OWNER TO receipts_owner;

CREATE FUNCTION limits.lease(p_holder uuid, p_keys bytea[], p_wanted integer[], p_intervals_ns bigint[], p_bursts integer[]) RETURNS TABLE(key_given bytea, tokens integer, wait_ns bigint, holders integer)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    at_ns bigint := (extract(epoch FROM clock_timestamp()) * 1000000000)::bigint;
    alive integer;
BEGIN
    IF EXISTS (
        SELECT FROM unnest(p_keys, p_wanted, p_intervals_ns, p_bursts) AS a (k, wanted, interval_ns, burst)
        WHERE (length(a.k) = 16 AND a.wanted BETWEEN -a.burst AND 1000000
            AND a.interval_ns BETWEEN 1 AND 86400000000000 AND a.burst BETWEEN 1 AND 1000000
            AND a.burst * (a.interval_ns / 1000000000.0) <= 172800) IS NOT TRUE
    ) THEN
        RAISE EXCEPTION 'limits.lease takes digests of 16 bytes, at most 1,000,000 tokens, and buckets that fill in two days'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM set_config('synchronous_commit', 'off', true);
    RETURN QUERY
        INSERT INTO limits.buckets AS b (key, full_at, interval_ns, burst, granted)
        SELECT a.k, at_ns + a.interval_ns * least(a.wanted, a.burst), a.interval_ns, a.burst, least(a.wanted, a.burst)
        FROM unnest(p_keys, p_wanted, p_intervals_ns, p_bursts) AS a (k, wanted, interval_ns, burst)
        ORDER BY a.k
        ON CONFLICT (key) DO UPDATE SET
            full_at = greatest(b.full_at, at_ns) + excluded.interval_ns
                * limits.take(b.full_at, at_ns, excluded.interval_ns, excluded.burst, excluded.granted),
            granted = limits.take(b.full_at, at_ns, excluded.interval_ns, excluded.burst, excluded.granted),
            interval_ns = excluded.interval_ns,
            burst = excluded.burst
        RETURNING b.key, b.granted, greatest(b.full_at - at_ns - (b.burst - 1) * b.interval_ns, 0), 0;
    INSERT INTO limits.holders AS h (holder, seen_at) VALUES (p_holder, clock_timestamp())
        ON CONFLICT (holder) DO UPDATE SET seen_at = excluded.seen_at
        WHERE h.seen_at < excluded.seen_at - interval '10 seconds';
    IF FOUND THEN  -- the last locks of this call, and none is waited for
        DELETE FROM limits.buckets d WHERE d.key IN (
            SELECT b.key FROM limits.buckets b WHERE b.full_at < at_ns LIMIT 1000 FOR UPDATE SKIP LOCKED
        );
        DELETE FROM limits.customers d WHERE (d.principal, d.customer) IN (
            SELECT c.principal, c.customer FROM limits.customers c
            WHERE c.seen_at < clock_timestamp() - interval '1 hour' LIMIT 1000 FOR UPDATE SKIP LOCKED
        );
        DELETE FROM limits.holders d WHERE d.holder IN (
            SELECT h.holder FROM limits.holders h
            WHERE h.seen_at < clock_timestamp() - interval '30 seconds' FOR UPDATE SKIP LOCKED
        );
    END IF;
    SELECT count(*) INTO alive FROM limits.holders h WHERE h.seen_at > clock_timestamp() - interval '30 seconds';
    RETURN QUERY SELECT NULL::bytea, 0, 0::bigint, alive;
END
$$;

ALTER FUNCTION limits.lease(p_holder uuid, p_keys bytea[], p_wanted integer[], p_intervals_ns bigint[], p_bursts integer[]) OWNER TO receipts_owner;

CREATE FUNCTION limits.take(p_full_at bigint, p_now bigint, p_interval_ns bigint, p_burst integer, p_wanted integer) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT least(
        p_wanted,
        greatest(p_burst - (greatest(p_full_at - p_now, 0) + p_interval_ns - 1) / p_interval_ns, 0)
    )::integer
$$;

ALTER FUNCTION limits.take(p_full_at bigint, p_now bigint, p_interval_ns bigint, p_burst integer, p_wanted integer) OWNER TO receipts_owner;

CREATE FUNCTION mail.forget_address() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    DELETE FROM mail.addresses a WHERE a.delivery_id = NEW.delivery_id;
    RETURN NULL;
END
$$;

ALTER FUNCTION mail.forget_address() OWNER TO receipts_owner;

CREATE FUNCTION mail.is_address(p_text text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
    SELECT length(p_text) <= 254
        AND p_text ~ '^[A-Za-z0-9!#$%&''*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&''*+/=?^_`{|}~-]+)*@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])$'
        AND position('@' IN p_text) <= 65
$_$;

ALTER FUNCTION mail.is_address(p_text text) OWNER TO receipts_owner;

CREATE FUNCTION mail.list_sent(p_receipt_id text, p_most integer) RETURNS TABLE(sent_by text, sent_at timestamp with time zone, sent_to text)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT coalesce(p.display_name, d.requested_by), d.sent_at, d.email_masked
    FROM retail.receipts r
    JOIN mail.deliveries d ON d.receipt_id = r.receipt_id AND d.status = 'sent'
    LEFT JOIN access.principals p ON p.principal_id = d.requested_by
    WHERE r.receipt_id = p_receipt_id AND r.region_id = ANY (access.my_regions())
    ORDER BY d.sent_at DESC
    LIMIT p_most
$$;

ALTER FUNCTION mail.list_sent(p_receipt_id text, p_most integer) OWNER TO receipts_owner;

CREATE FUNCTION mail.schedule(p_receipt_id text, p_email text, p_email_masked text, p_gift boolean, p_requested_by text, p_key text, p_undo_s double precision) RETURNS TABLE(outcome text, receipt_id text, delivery_id uuid)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    v_key bytea := sha256(convert_to(p_key, 'UTF8'));
    v_at timestamptz := clock_timestamp();
    v_email text := btrim(p_email);
    v_masked text := p_email_masked;
    v_digest bytea;
    v_receipt record;
    v_before mail.deliveries;
    v_made uuid;
BEGIN
    SELECT r.receipt_id, r.customer_id INTO v_receipt FROM retail.receipts r WHERE r.receipt_id = p_receipt_id;
    IF NOT FOUND THEN
        RETURN QUERY SELECT 'no_receipt', NULL::text, NULL::uuid;
        RETURN;
    END IF;
    IF p_email IS NULL THEN
        SELECT btrim(o.email), c.email_masked INTO v_email, v_masked
        FROM retail.customer_contacts o JOIN retail.customers c ON c.customer_id = o.customer_id
        WHERE o.customer_id = v_receipt.customer_id;
    END IF;
    v_digest := sha256((SELECT k.key FROM mail.digest_key k) || convert_to(lower(v_email), 'UTF8'));
    FOR v_round IN 1..2 LOOP  -- the second is for who met the same key on its way in
        SELECT d.* INTO v_before FROM mail.deliveries d WHERE d.requested_by = p_requested_by AND d.key_digest = v_key;
        IF FOUND THEN
            RETURN QUERY SELECT
                CASE WHEN (v_before.receipt_id, v_before.gift, v_before.on_file) = (p_receipt_id, p_gift, p_email IS NULL)
                    AND (v_before.on_file OR v_before.address_digest = v_digest) THEN 'known' ELSE 'other_request' END,
                v_before.receipt_id, v_before.delivery_id;
            RETURN;
        END IF;
        IF coalesce(v_email, '') = '' THEN
            RETURN QUERY SELECT 'no_address', v_receipt.receipt_id, NULL::uuid;
            RETURN;
        END IF;
        IF NOT mail.is_address(v_email) THEN
            RETURN QUERY SELECT 'malformed', v_receipt.receipt_id, NULL::uuid;
            RETURN;
        END IF;
        INSERT INTO mail.deliveries AS d (
            receipt_id, customer_id, gift, on_file, email_masked, address_digest, requested_by, key_digest,
            requested_at, send_at, due_at
        )
        VALUES (
            p_receipt_id, v_receipt.customer_id, p_gift, p_email IS NULL, v_masked, v_digest, p_requested_by, v_key,
            v_at, v_at + make_interval(secs => p_undo_s), v_at + make_interval(secs => p_undo_s)
        )
        ON CONFLICT DO NOTHING
        RETURNING d.delivery_id INTO v_made;
        IF v_made IS NOT NULL THEN
            INSERT INTO mail.addresses (delivery_id, address) VALUES (v_made, v_email);
            PERFORM pg_notify('mail', '');
            RETURN QUERY SELECT 'scheduled', v_receipt.receipt_id, v_made;
            RETURN;
        END IF;
    END LOOP;
    -- The key was used for a receipt that the caller may not see any more.
    RETURN QUERY SELECT 'other_request', v_receipt.receipt_id, NULL::uuid;
END
$$;

ALTER FUNCTION mail.schedule(p_receipt_id text, p_email text, p_email_masked text, p_gift boolean, p_requested_by text, p_key text, p_undo_s double precision) OWNER TO receipts_owner;

CREATE FUNCTION operations.find_status(p_principal_id text) RETURNS TABLE(looked_at timestamp with time zone, age_s double precision, told jsonb)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT s.looked_at, greatest(extract(epoch FROM clock_timestamp() - s.looked_at), 0)::float8, s.told
    FROM operations.status s
    WHERE EXISTS (
        SELECT FROM access.principals p
        WHERE p.principal_id = p_principal_id AND p.role = 'admin' AND p.active
    )
$$;

ALTER FUNCTION operations.find_status(p_principal_id text) OWNER TO receipts_owner;

CREATE FUNCTION retail.find_context(p_scope text, p_customer_id text) RETURNS TABLE(customer_id text, first_name text, last_name text, email_masked text, phone_masked text, city text, customer_since date, document text)
    LANGUAGE plpgsql
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
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

ALTER FUNCTION retail.find_context(p_scope text, p_customer_id text) OWNER TO receipts_owner;

CREATE FUNCTION retail.find_receipts(p_scope text, p_receipt_ids text[]) RETURNS TABLE(receipt_id text, document text, store_document text, customer_id text)
    LANGUAGE plpgsql
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
BEGIN
    PERFORM pg_catalog.set_config('app.scope', p_scope, true);
    RETURN QUERY
        SELECT r.receipt_id, r.document, s.document, r.customer_id
        FROM retail.receipts r
        JOIN retail.stores s USING (store_id)
        WHERE r.receipt_id = ANY (p_receipt_ids);
END
$$;

ALTER FUNCTION retail.find_receipts(p_scope text, p_receipt_ids text[]) OWNER TO receipts_owner;

CREATE FUNCTION retail.find_receipts_on_record(p_scope text, p_receipt_ids text, p_events text, p_chain bigint, p_seq bigint, p_previous bytea) RETURNS TABLE(receipt_id text, body bytea, customer_id text, digest bytea)
    LANGUAGE plpgsql
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
DECLARE
    one record;
    payload text := '';
BEGIN
    PERFORM pg_catalog.set_config('app.scope', p_scope, true);
    FOR one IN
        SELECT asked.id, asked.told, s.store_id IS NOT NULL AS is_there, r.customer_id,
            convert_to('{"receipt":' || r.document || ',"store":' || s.document || '}', 'UTF8') AS body
        FROM unnest(string_to_array(p_receipt_ids, ','), string_to_array(p_events, E'\n')) AS asked (id, told)
        LEFT JOIN retail.receipts r ON r.receipt_id = asked.id
        LEFT JOIN retail.stores s ON s.store_id = r.store_id
    LOOP
        payload := payload || CASE WHEN payload = '' THEN '[' ELSE ',' END || one.told
            || CASE WHEN one.is_there THEN ',"outcome":"answered","status":200,"customer_ids":['
                    || coalesce(to_json(one.customer_id)::text, '')
                ELSE ',"outcome":"not_found","status":404,"customer_ids":[' END
            || '],"receipt_ids":["' || one.id || '"]}';
        receipt_id := one.id;
        body := one.body;
        customer_id := one.customer_id;
        RETURN NEXT;
    END LOOP;
    receipt_id := NULL;
    body := NULL;
    customer_id := NULL;
    digest := audit.extend(p_chain, p_seq, p_previous, payload || ']');
    RETURN NEXT;
END
$$;

ALTER FUNCTION retail.find_receipts_on_record(p_scope text, p_receipt_ids text, p_events text, p_chain bigint, p_seq bigint, p_previous bytea) OWNER TO receipts_owner;

CREATE FUNCTION retail.list_receipts(p_scope text, p_customer_id text, p_before_at timestamp with time zone, p_before_id text, p_rows integer) RETURNS TABLE(document text, store_name text, time_zone text, purchased_on date, purchased_at timestamp with time zone, receipt_id text)
    LANGUAGE plpgsql
    SET plan_cache_mode TO 'force_generic_plan'
    AS $$
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

ALTER FUNCTION retail.list_receipts(p_scope text, p_customer_id text, p_before_at timestamp with time zone, p_before_id text, p_rows integer) OWNER TO receipts_owner;

CREATE FUNCTION retail.name_keys(p_name_norm text) RETURNS text[]
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
    SELECT coalesce(array_agg(DISTINCT k.key), '{}')
    FROM unnest(string_to_array(p_name_norm, ' ')) AS w(word)
    CROSS JOIN LATERAL (
        VALUES (w.word),
            ('^' || left(w.word, 3)),
            (right(w.word, 3) || '$'),
            ('=' || left(w.word, 1) || regexp_replace(translate(substr(w.word, 2), 'aeiouyhw', ''), '(.)\1+', '\1', 'g'))
    ) AS k(key)
    WHERE w.word <> ''
$_$;

ALTER FUNCTION retail.name_keys(p_name_norm text) OWNER TO receipts_owner;

CREATE FUNCTION retail.operator_key(p_document text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT split_part(split_part(left(p_document, 400), '"operator_id":"', 2), '"', 1) $$;

ALTER FUNCTION retail.operator_key(p_document text) OWNER TO receipts_owner;

CREATE FUNCTION retail.reveal_contacts(p_scope text, p_customer_id text) RETURNS TABLE(email text, phone text, address text)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    PERFORM set_config('app.scope', p_scope, true);
    RETURN QUERY
        SELECT o.email, o.phone, o.address
        FROM retail.customers c JOIN retail.customer_contacts o ON o.customer_id = c.customer_id
        WHERE c.customer_id = p_customer_id AND c.region_ids && access.my_regions();
END
$$;

ALTER FUNCTION retail.reveal_contacts(p_scope text, p_customer_id text) OWNER TO receipts_owner;

CREATE FUNCTION retail.sku_keys(p_skus text[], p_on date) RETURNS text[]
    LANGUAGE sql IMMUTABLE STRICT COST 10000 PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT p_skus || string_to_array(w.week || array_to_string(p_skus, ',' || w.week), ',')
    FROM (SELECT ((p_on - date '1970-01-01') / 7)::text || ':') AS w (week)
    WHERE p_skus <> '{}'
$$;

ALTER FUNCTION retail.sku_keys(p_skus text[], p_on date) OWNER TO receipts_owner;

CREATE FUNCTION search.all_but_one(p_text text) RETURNS tsquery
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    v_stems text[] := (tsvector_to_array(to_tsvector('english', p_text)))[1:8];
    v_any tsquery;
    v_all tsquery;
BEGIN
    FOR v_left_out IN 1..cardinality(v_stems) LOOP
        v_all := NULL;
        FOR v_at IN 1..cardinality(v_stems) LOOP
            IF v_at <> v_left_out THEN
                v_all := coalesce(v_all && plainto_tsquery('simple', v_stems[v_at]),
                    plainto_tsquery('simple', v_stems[v_at]));
            END IF;
        END LOOP;
        v_any := coalesce(v_any || v_all, v_all);
    END LOOP;
    RETURN v_any;
END
$$;

ALTER FUNCTION search.all_but_one(p_text text) OWNER TO receipts_search;

CREATE FUNCTION search.bearers_of(p_name_norm text, p_regions smallint[], p_most integer) RETURNS TABLE(customer_ids text[])
    LANGUAGE sql STABLE
    AS $$
    SELECT array_agg(o.customer_id)
    FROM (
        SELECT c.customer_id FROM retail.customers c
        WHERE c.name_norm = p_name_norm AND c.region_ids && p_regions
        LIMIT p_most
    ) AS o
$$;

ALTER FUNCTION search.bearers_of(p_name_norm text, p_regions smallint[], p_most integer) OWNER TO receipts_search;

CREATE FUNCTION search.coverage(p_stems integer, p_named integer, p_name tsvector) RETURNS real
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (((p_stems - CASE WHEN (p_named = 0) THEN 1 ELSE 0 END))::real / (GREATEST((SELECT count(*) AS count FROM unnest(tsvector_to_array(coverage.p_name)) stem(stem) WHERE ((stem.stem !~ '^[0-9]'::text) AND (stem.stem <> ALL ('{fl,oz,ounc,lb,pound,ct,count,pk,pack,l,ltr,liter,ml,g,kg,gal,qt,pt,ea,each}'::text[])))), (1)::bigint))::double precision);

ALTER FUNCTION search.coverage(p_stems integer, p_named integer, p_name tsvector) OWNER TO receipts_search;

CREATE FUNCTION search.find_customers_by_contact(p_email_norm text, p_phone_norm text, p_most integer) RETURNS TABLE(customer_id text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_custom_plan'
    AS $$
DECLARE
    v_regions smallint[] := access.my_regions();
BEGIN
    RETURN QUERY
        SELECT c.customer_id
        FROM retail.customer_contacts o JOIN retail.customers c ON c.customer_id = o.customer_id
        WHERE (p_email_norm <> '' OR p_phone_norm <> '')
            AND (p_email_norm IS NULL OR o.email_norm = p_email_norm)
            AND (p_phone_norm IS NULL OR o.phone_norm = p_phone_norm)
            AND c.region_ids && v_regions
        ORDER BY c.customer_id
        LIMIT p_most;
END
$$;

ALTER FUNCTION search.find_customers_by_contact(p_email_norm text, p_phone_norm text, p_most integer) OWNER TO receipts_search;

CREATE FUNCTION search.find_people(p_spellings text[], p_starts integer[], p_ends integer[], p_costs real[], p_names integer, p_bearers integer) RETURNS TABLE(name_norm text, customer_ids text[])
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET max_parallel_workers_per_gather TO '0'
    AS $$
DECLARE
    v_regions smallint[] := access.my_regions();
    v_first integer := (SELECT min(s) FROM unnest(p_starts) AS s);
    v_last integer := (SELECT max(e) FROM unnest(p_ends) AS e);
    v_initial text := (SELECT t.spelling FROM unnest(p_spellings) AS t(spelling) WHERE length(t.spelling) = 1 LIMIT 1);
    v_words text[]; v_starts integer[]; v_ends integer[]; v_costs real[];
    v_left text[]; v_right text[];
    v_names text[]; v_near text[];
BEGIN
    FOR v_edits IN 1..2 LOOP
        SELECT array_agg(m.word), array_agg(m.starts), array_agg(m.ends), array_agg(m.cost),
            array_agg(m.word) FILTER (WHERE m.ends < v_last), array_agg(m.word) FILTER (WHERE m.starts > v_first)
        INTO v_words, v_starts, v_ends, v_costs, v_left, v_right
        FROM search.near_words(
            p_spellings, p_starts, p_ends, p_costs, v_edits, (200 * v_edits - 100) / (v_last - v_first + 1)
        ) AS m;
        WITH found AS (
            SELECT p.name_norm, p.first_word, p.last_word FROM search.name_pairs p
            WHERE p.last_word = ANY (v_right) AND p.first_word = ANY (v_left)
            UNION ALL
            SELECT p.name_norm, p.first_word, p.last_word FROM search.name_pairs p
            WHERE p.last_word = ANY (v_left) AND p.first_word = ANY (v_right)
        ), matched AS MATERIALIZED (
            SELECT m.word COLLATE "C" AS word, m.starts, m.ends, m.cost
            FROM unnest(v_words, v_starts, v_ends, v_costs) AS m(word, starts, ends, cost)
        ), costly AS (
            SELECT f.name_norm, a.cost + b.cost AS cost
            FROM found f
            JOIN matched a ON a.word = f.first_word
            JOIN matched b ON b.word = f.last_word AND (a.ends < b.starts OR b.ends < a.starts)
            UNION ALL
            (SELECT p.name_norm, m.cost
            FROM matched m JOIN search.name_pairs p ON p.last_word = m.word
            WHERE m.starts = v_first AND m.ends = v_last
            ORDER BY m.cost LIMIT 2000)
            UNION ALL
            (SELECT p.name_norm, m.cost + 0.05
            FROM matched m JOIN search.name_pairs p ON p.first_word = m.word
            WHERE m.starts = v_first AND m.ends = v_last
            ORDER BY m.cost LIMIT 2000)
            UNION ALL
            SELECT p.name_norm, 0.1
            FROM unnest(p_spellings) AS t(spelling)
            CROSS JOIN LATERAL generate_series(2, length(t.spelling) - 1) AS cut
            JOIN search.name_pairs p ON
                (p.first_word = left(t.spelling, cut - 1) AND p.last_word = substr(t.spelling, cut))
                OR (p.last_word = left(t.spelling, cut - 1) AND p.first_word = substr(t.spelling, cut))
            WHERE v_first = v_last
            UNION ALL
            (SELECT p.name_norm, m.cost + 0.1
            FROM matched m JOIN search.name_pairs p ON p.last_word = m.word
                AND p.first_word >= v_initial AND p.first_word < v_initial || chr(1114111)
            WHERE v_initial IS NOT NULL
            ORDER BY m.cost LIMIT 2000)
            UNION ALL
            (SELECT p.name_norm, m.cost + 0.15
            FROM matched m JOIN search.name_pairs p ON p.first_word = m.word
                AND p.last_word >= v_initial AND p.last_word < v_initial || chr(1114111)
            WHERE v_initial IS NOT NULL
            ORDER BY m.cost LIMIT 2000)
        )
        SELECT array_agg(n.name_norm), array_agg(n.name_norm) FILTER (WHERE n.cost < 0.21)
        INTO v_names, v_near
        FROM (
            SELECT c.name_norm, min(c.cost) AS cost FROM costly c GROUP BY c.name_norm
            ORDER BY min(c.cost), c.name_norm
        ) AS n;
        EXIT WHEN EXISTS (
            SELECT FROM unnest(v_near) AS n(name_norm) JOIN retail.customers c ON c.name_norm = n.name_norm
            WHERE c.region_ids && v_regions
        );
        v_near := NULL;
    END LOOP;
    RETURN QUERY
        SELECT n.name_norm, b.customer_ids
        FROM unnest(v_names) AS n(name_norm)
        CROSS JOIN LATERAL search.bearers_of(n.name_norm, v_regions, p_bearers) AS b(customer_ids)
        WHERE b.customer_ids IS NOT NULL
        LIMIT p_names;
    IF v_near IS NULL AND v_first < v_last THEN
        RETURN QUERY
            SELECT r.name_norm, b.customer_ids
            FROM search.related_names(ARRAY(
                SELECT m.word FROM unnest(v_words, v_starts, v_ends, v_costs) AS m(word, starts, ends, cost)
                WHERE m.starts = m.ends AND m.cost < 0.2 ORDER BY m.cost LIMIT 8
            )) AS r(name_norm)
            CROSS JOIN LATERAL search.bearers_of(r.name_norm, v_regions, p_bearers) AS b(customer_ids)
            WHERE b.customer_ids IS NOT NULL;
    END IF;
END
$$;

ALTER FUNCTION search.find_people(p_spellings text[], p_starts integer[], p_ends integer[], p_costs real[], p_names integer, p_bearers integer) OWNER TO receipts_search;

CREATE FUNCTION search.forget_names() RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '1s'
    AS $$
DECLARE
    v_names text[];
BEGIN
    IF NOT EXISTS (SELECT FROM search.names_left) THEN
        RETURN 0;
    END IF;
    LOCK TABLE search.name_pairs IN SHARE ROW EXCLUSIVE MODE;
    WITH taken AS (DELETE FROM search.names_left RETURNING name_norm)
    SELECT array_agg(DISTINCT t.name_norm) INTO v_names
    FROM taken t WHERE NOT EXISTS (SELECT FROM retail.customers c WHERE c.name_norm = t.name_norm);
    DELETE FROM search.name_pairs p
    USING unnest(v_names) AS n(name_norm) CROSS JOIN LATERAL search.pairs_of(n.name_norm) AS o
    WHERE p.last_word = o.last_word AND p.first_word = o.first_word AND p.name_norm = n.name_norm;
    DELETE FROM search.name_keys k
    USING (
        SELECT DISTINCT left(w.word, 40) COLLATE "C" AS word
        FROM unnest(v_names) AS n(name_norm) CROSS JOIN LATERAL string_to_table(n.name_norm, ' ') AS w(word)
    ) AS w CROSS JOIN LATERAL search.keys_of(w.word) AS o(key)
    WHERE k.key = o.key AND k.word = w.word
        AND NOT EXISTS (SELECT FROM search.name_pairs p WHERE p.last_word = w.word)
        AND NOT EXISTS (SELECT FROM search.name_pairs p WHERE p.first_word = w.word);
    RETURN coalesce(cardinality(v_names), 0);
EXCEPTION WHEN lock_not_available THEN
    RETURN NULL;
END
$$;

ALTER FUNCTION search.forget_names() OWNER TO receipts_search;

CREATE FUNCTION search.keys_of(p_word text) RETURNS SETOF text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    SELECT left(p_word, 8)
    UNION ALL
    SELECT left(p_word, a.i - 1) || substr(left(p_word, 8), a.i + 1, b.j - a.i - 1) || substr(left(p_word, 8), b.j + 1)
    FROM (VALUES (1), (2), (3), (4), (5), (6), (7), (8)) AS a(i)
    JOIN (VALUES (2), (3), (4), (5), (6), (7), (8), (9)) AS b(j) ON b.j > a.i  -- past the end: only one is deleted
    WHERE a.i <= length(p_word) AND b.j <= length(p_word) + 1 AND (b.j > length(p_word) OR length(p_word) >= 5)
    UNION ALL
    SELECT '=' || search.sound_of(p_word)
$$;

ALTER FUNCTION search.keys_of(p_word text) OWNER TO receipts_search;

CREATE FUNCTION search.learn_names(p_names text[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
BEGIN
    LOCK TABLE search.name_pairs IN ROW EXCLUSIVE MODE;
    WITH entered AS (
        INSERT INTO search.name_pairs (last_word, first_word, name_norm)
        SELECT p.last_word, p.first_word, p.name_norm
        FROM (
            SELECT split_part(n.name_norm, ' ', 2), split_part(n.name_norm, ' ', 1), n.name_norm
            FROM unnest(p_names) AS n(name_norm)
            -- Two words, as nearly all names are, at a tenth of the cost.
            WHERE split_part(n.name_norm, ' ', 2) <> '' AND split_part(n.name_norm, ' ', 3) = ''
                AND length(n.name_norm) <= 40
            UNION ALL
            SELECT o.last_word, o.first_word, n.name_norm
            FROM unnest(p_names) AS n(name_norm) CROSS JOIN LATERAL search.pairs_of(n.name_norm) AS o
            WHERE split_part(n.name_norm, ' ', 2) = '' OR split_part(n.name_norm, ' ', 3) <> ''
                OR length(n.name_norm) > 40
        ) AS p(last_word, first_word, name_norm)
        WHERE NOT EXISTS (
            SELECT FROM search.name_pairs k
            WHERE k.last_word = p.last_word AND k.first_word = p.first_word AND k.name_norm = p.name_norm
        )
        ORDER BY p.last_word COLLATE "C"  -- neighbours of the index are entered together
        RETURNING name_norm
    ), word AS (
        SELECT DISTINCT left(w.word, 40) COLLATE "C" AS word
        FROM entered e CROSS JOIN LATERAL string_to_table(e.name_norm, ' ') AS w(word)
    )
    INSERT INTO search.name_keys (key, word)
    SELECT DISTINCT k.key COLLATE "C", w.word
    FROM word w CROSS JOIN LATERAL search.keys_of(w.word) AS k(key)
    WHERE NOT EXISTS (SELECT FROM search.name_keys o WHERE o.key = left(w.word, 8) AND o.word = w.word)
    ORDER BY 1;
END
$$;

ALTER FUNCTION search.learn_names(p_names text[]) OWNER TO receipts_search;

CREATE FUNCTION search.learn_renamed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    PERFORM search.learn_names(ARRAY[NEW.name_norm]);
    INSERT INTO search.names_left (name_norm) VALUES (OLD.name_norm);
    RETURN NULL;
END
$$;

ALTER FUNCTION search.learn_renamed() OWNER TO receipts_search;

CREATE FUNCTION search.learn_written() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    PERFORM search.learn_names(ARRAY(SELECT DISTINCT w.name_norm FROM written w));
    RETURN NULL;
END
$$;

ALTER FUNCTION search.learn_written() OWNER TO receipts_search;

CREATE FUNCTION search.likeness_costs(p_alike real) RETURNS real
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ((((0.3)::double precision * (p_alike - (0.8)::double precision)) + (CASE WHEN (p_alike > (0.99)::double precision) THEN 0.1 ELSE (0)::numeric END)::double precision))::real;

ALTER FUNCTION search.likeness_costs(p_alike real) OWNER TO receipts_search;

CREATE FUNCTION search.list_returns(p_receipt_id text, p_most integer) RETURNS TABLE(receipt_id text, purchased_at timestamp with time zone, store_id integer, total_cents bigint, document text)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT r.receipt_id, r.purchased_at, r.store_id, r.total_cents, r.document
    FROM retail.receipts r
    WHERE r.receipt_type = 'return' AND r.document::jsonb ->> 'original_receipt_id' = p_receipt_id
        AND r.region_id = ANY (access.my_regions())
    ORDER BY r.purchased_at, r.receipt_id
    LIMIT p_most
$$;

ALTER FUNCTION search.list_returns(p_receipt_id text, p_most integer) OWNER TO receipts_search;

CREATE FUNCTION search.near_words(p_spellings text[], p_starts integer[], p_ends integer[], p_costs real[], p_edits integer, p_most integer) RETURNS TABLE(word text, starts integer, ends integer, cost real)
    LANGUAGE sql STABLE
    AS $$
    SELECT t.spelling COLLATE "C", t.starts, t.ends, t.cost
    FROM unnest(p_spellings, p_starts, p_ends, p_costs) AS t(spelling, starts, ends, cost)
    WHERE length(t.spelling) > 1
    UNION ALL
    SELECT n.word, t.starts, t.ends, n.cost
    FROM (
        SELECT o.spelling, o.starts, o.ends, length(o.spelling) AS size
        FROM unnest(p_spellings, p_starts, p_ends, p_costs) AS o(spelling, starts, ends, cost)
        WHERE o.cost = 0 AND length(o.spelling) > 1
        OFFSET 0
    ) AS t
    CROSS JOIN LATERAL (
        SELECT f.word, CASE
                WHEN f.common = 0 THEN 0.35::real
                ELSE greatest(
                    least(greatest(t.size, f.size), 8) - f.common
                        + (greatest(t.size, f.size) > 8 AND right(t.spelling, 3) <> right(f.word, 3))::integer,
                    abs(t.size - f.size)
                )::real / greatest(t.size, f.size) * CASE WHEN f.sounds THEN 0.6::real ELSE 1::real END
            END + CASE WHEN left(f.word, 1) = left(t.spelling, 1) THEN 0::real ELSE 0.03::real END
                + CASE WHEN right(f.word, 1) = right(t.spelling, 1) THEN 0::real ELSE 0.02::real END AS cost
        FROM (
            SELECT k.word, min(q.size) = 0 AS sounds, max(q.size) AS common, length(k.word) AS size
            FROM (
                SELECT o.key, CASE WHEN left(o.key, 1) = '=' THEN 0 ELSE length(o.key) END AS size
                FROM search.keys_of(t.spelling) AS o(key)
                OFFSET 0  -- once for each key, not for each word
            ) AS q
            JOIN search.name_keys k ON k.key = q.key COLLATE "C"
            WHERE q.size = 0 OR q.size >= least(t.size, 8) - p_edits
            GROUP BY k.word
            OFFSET 0  -- and its length once, not each time it is asked for
        ) AS f
        ORDER BY cost, f.word
        LIMIT p_most
    ) AS n
$$;

ALTER FUNCTION search.near_words(p_spellings text[], p_starts integer[], p_ends integer[], p_costs real[], p_edits integer, p_most integer) OWNER TO receipts_search;

CREATE FUNCTION search.nearest_products(p_embedding public.halfvec, p_most integer, p_skus text[]) RETURNS TABLE(sku text, similarity real, embedding public.halfvec)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_custom_plan'
    AS $$
DECLARE
    v_skus text[];
BEGIN
    -- Comparing ten thousand takes as long as the index takes to pass over as many that are not wanted.
    IF p_skus IS NULL OR cardinality(p_skus) > 10000 THEN
        PERFORM set_config('hnsw.ef_search', '200', true);  -- recall 0.97 of the nearest hundred at 2 ms
        PERFORM set_config('hnsw.iterative_scan', 'relaxed_order', true);
        SELECT array_agg(p.sku) INTO v_skus
        FROM (
            SELECT e.text_digest
            FROM retail.product_embeddings e
            WHERE EXISTS (
                SELECT FROM retail.products o
                WHERE o.text_digest = e.text_digest AND (p_skus IS NULL OR o.sku = ANY (p_skus))
            )
            ORDER BY e.embedding OPERATOR(public.<=>) p_embedding
            LIMIT p_most
        ) n
        JOIN retail.products p ON p.text_digest = n.text_digest
        WHERE p_skus IS NULL OR p.sku = ANY (p_skus);
        IF cardinality(v_skus) < p_most OR v_skus IS NULL THEN
            v_skus := p_skus;
        END IF;
    ELSE
        v_skus := p_skus;
    END IF;
    RETURN QUERY
        SELECT p.sku, (1 - (e.embedding OPERATOR(public.<=>) p_embedding))::real, e.embedding
        FROM retail.products p
        JOIN retail.product_embeddings e ON e.text_digest = p.text_digest
        WHERE v_skus IS NULL OR p.sku = ANY (v_skus)
        ORDER BY e.embedding OPERATOR(public.<=>) p_embedding, p.sku
        LIMIT p_most;
END
$$;

ALTER FUNCTION search.nearest_products(p_embedding public.halfvec, p_most integer, p_skus text[]) OWNER TO receipts_search;

CREATE FUNCTION search.note_deleted() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    INSERT INTO search.names_left (name_norm) SELECT DISTINCT g.name_norm FROM gone g;
    RETURN NULL;
END
$$;

ALTER FUNCTION search.note_deleted() OWNER TO receipts_search;

CREATE FUNCTION search.pairs_of(p_name_norm text) RETURNS TABLE(first_word text, last_word text)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    SELECT array_to_string(w.words[a.i:a.j], ''), array_to_string(w.words[b.i:b.j], '')
    FROM (SELECT search.words_of(p_name_norm) OFFSET 0) AS w(words)  -- once, and not for every pair
    JOIN (VALUES (1, 1), (2, 2), (3, 3), (4, 4), (1, 2), (2, 3), (3, 4), (1, 3), (2, 4)) AS a(i, j) ON true
    JOIN (VALUES (2, 2), (3, 3), (4, 4), (5, 5), (2, 3), (3, 4), (4, 5), (2, 4), (3, 5)) AS b(i, j) ON b.i > a.j
    WHERE b.j <= cardinality(w.words)
    UNION ALL
    SELECT '', left(p_name_norm, 40) WHERE p_name_norm <> '' AND position(' ' IN p_name_norm) = 0
        AND octet_length(p_name_norm) <= 1000
$$;

ALTER FUNCTION search.pairs_of(p_name_norm text) OWNER TO receipts_search;

CREATE FUNCTION search.related_names(p_words text[]) RETURNS SETOF text
    LANGUAGE sql STABLE
    AS $$
    SELECT DISTINCT r.name_norm
    FROM unnest(p_words) AS m(word)
    CROSS JOIN LATERAL (
        (SELECT array_agg(o.name_norm) AS names
        FROM (
            SELECT p.name_norm FROM search.name_pairs p
            WHERE p.last_word = m.word COLLATE "C" AND right(p.name_norm, length(m.word)) = m.word LIMIT 21
        ) AS o)
        UNION ALL
        (SELECT array_agg(o.name_norm) AS names
        FROM (
            SELECT p.name_norm FROM search.name_pairs p
            WHERE p.first_word = m.word COLLATE "C" AND left(p.name_norm, length(m.word)) = m.word LIMIT 21
        ) AS o)
    ) AS b
    CROSS JOIN LATERAL unnest(b.names) AS r(name_norm)
    WHERE cardinality(b.names) <= 20
$$;

ALTER FUNCTION search.related_names(p_words text[]) OWNER TO receipts_search;

CREATE FUNCTION search.search_customers(p_words text[], p_most integer) RETURNS TABLE(customer_id text, name_norm text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_custom_plan'
    AS $$
DECLARE
    v_regions smallint[] := access.my_regions();
    v_first text[] := retail.name_keys(p_words[1]);
    v_last text[] := retail.name_keys(p_words[cardinality(p_words)]);
BEGIN
    RETURN QUERY
        SELECT c.customer_id, c.name_norm
        FROM retail.customers c
        WHERE retail.name_keys(c.name_norm) && v_first AND retail.name_keys(c.name_norm) && v_last
            AND c.region_ids && v_regions
        ORDER BY (SELECT count(*) FROM unnest(string_to_array(c.name_norm, ' ')) AS w(word)
                  WHERE w.word = ANY (p_words)) DESC,
            c.customer_id
        LIMIT p_most;
END
$$;

ALTER FUNCTION search.search_customers(p_words text[], p_most integer) OWNER TO receipts_search;

CREATE FUNCTION search.search_products(p_lexical text, p_embedding public.halfvec, p_most integer, p_skus text[] DEFAULT NULL::text[]) RETURNS TABLE(sku text, similarity real, is_literal boolean)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_custom_plan'
    AS $$
DECLARE
    v_query tsquery := plainto_tsquery('english', p_lexical);
    v_stems integer := length(to_tsvector('english', p_lexical));
    v_words text[] := string_to_array(p_lexical, ' ');
    v_words_told text[] := tsvector_to_array(to_tsvector('english', p_lexical));
    v_names tsquery := v_query;  -- what wins by its name
    v_least real := 0;  -- of a name's words that the phrase must hold, for the name to win
    v_named integer;
    v_won integer;
    v_told integer;
    v_asked public.halfvec;
    v_describes boolean := p_lexical ~ '\m(?:for|from|in|on|some|something|to|without)\M';  -- rather than names
    v_far real;  -- how much farther from the phrase its namesakes are than what it means
    v_skus text[];
    v_scores real[];
    v_embeddings public.halfvec[];
BEGIN
    SELECT count(*) INTO v_named FROM retail.products p WHERE p.name_lexemes @@ v_query;
    IF v_named = 0 AND v_stems >= 3 THEN
        v_names := search.all_but_one(p_lexical);
        v_least := 0.75;
    END IF;
    IF p_embedding IS NOT NULL THEN
        -- The phrase and what is nearest to it say together what was meant better than the phrase alone.
        SELECT coalesce(p_embedding OPERATOR(public.+) public.avg(m.embedding), p_embedding) INTO v_asked
        FROM (
            SELECT n.embedding  -- of different texts: sizes of one thing say nothing new
            FROM search.nearest_products(p_embedding, 60, NULL) AS n
            GROUP BY n.similarity, n.embedding
            ORDER BY n.similarity DESC
            LIMIT 20
        ) m;
        SELECT array_agg(n.sku), array_agg(n.similarity), array_agg(n.embedding) INTO v_skus, v_scores, v_embeddings
        FROM search.nearest_products(v_asked, 100, NULL) AS n;
        IF v_named > 0 AND (v_named <= 20 OR v_describes) THEN
            SELECT (SELECT avg(score) FROM unnest(v_scores[1:10]) AS score) - avg(m.similarity) INTO v_far
            FROM (
                SELECT 1 - (e.embedding OPERATOR(public.<=>) v_asked) AS similarity
                FROM retail.products p
                JOIN retail.product_embeddings e ON e.text_digest = p.text_digest
                WHERE p.name_lexemes @@ v_query
                ORDER BY e.embedding OPERATOR(public.<=>) v_asked
                LIMIT 10
            ) m;
        END IF;
        IF v_named > 0 AND v_far > 0.06 AND v_describes THEN
            v_least := 0.99;  -- only the very name is a name
        ELSIF v_named BETWEEN 1 AND 20 AND v_far > 0.06 AND 2 * v_named <= (
            SELECT count(*) FROM (SELECT FROM retail.products p WHERE p.concept_lexemes @@ v_query LIMIT 40) m
        ) THEN
            v_least := 0.99;  -- twice as many are so as are called so
        ELSIF v_named BETWEEN 1 AND 7 AND v_far > 0.06 AND v_stems < 3 THEN
            v_least := 0.6;
        END IF;
        IF p_skus IS NOT NULL THEN
            SELECT array_agg(n.sku), array_agg(n.similarity), array_agg(n.embedding)
            INTO v_skus, v_scores, v_embeddings
            FROM search.nearest_products(v_asked, greatest(p_most, 100), p_skus) AS n;
        END IF;
    END IF;
    RETURN QUERY
        SELECT p.sku,
            (CASE WHEN v_named = 0 THEN 0.75
                -- "Light roast" is not lightly roasted, though the stems are the same. Thousands are not told apart.
                WHEN v_named > 1000 OR string_to_array(split_part(p.search_text, ' | ', 1), ' ') @> v_words THEN 0.9 ELSE 0.8 END
            + CASE WHEN v_named = 0 THEN 0.05 ELSE 0.1 END * CASE WHEN p_embedding IS NULL THEN 1
                ELSE coalesce(greatest(1 - (e.embedding OPERATOR(public.<=>) v_asked), 0), 0.5) END)::real AS score,
            v_named > 0
        FROM retail.products p
        LEFT JOIN retail.product_embeddings e ON e.text_digest = p.text_digest
        WHERE p.name_lexemes @@ v_names AND search.coverage(v_stems, v_named, p.name_lexemes) >= v_least
            AND (p_skus IS NULL OR p.sku = ANY (p_skus))
        ORDER BY score DESC, p.sku
        LIMIT p_most;
    GET DIAGNOSTICS v_won = ROW_COUNT;
    IF v_won >= p_most OR p_embedding IS NULL THEN
        RETURN;
    END IF;
    SELECT array_agg(c.sku ORDER BY c.score DESC, c.sku), array_agg(c.score ORDER BY c.score DESC, c.sku),
        array_agg(c.embedding ORDER BY c.score DESC, c.sku), count(DISTINCT c.told)
    INTO v_skus, v_scores, v_embeddings, v_told
    FROM (
        -- More where the phrase's very words are said of it.
        SELECT n.sku, n.embedding, ((n.score + 0.3 * greatest(CASE WHEN p.concept_lexemes @@ v_query THEN 1 ELSE 0 END,
                0.7 * power(search.told_share(v_words_told, p.search_text), 2))) / 1.3)::real AS score,
            CASE WHEN p.concept_lexemes @@ v_query THEN p.text_digest END AS told
        FROM (
            SELECT m.sku, m.score, m.embedding FROM unnest(v_skus, v_scores, v_embeddings) AS m(sku, score, embedding)
            UNION ALL
            -- Names that do not win are answered too, wherever they lie.
            SELECT o.sku, (1 - (e.embedding OPERATOR(public.<=>) v_asked))::real, e.embedding
            FROM retail.products o
            JOIN retail.product_embeddings e ON e.text_digest = o.text_digest
            WHERE v_least > 0 AND o.name_lexemes @@ v_query AND o.sku <> ALL (v_skus)
                AND (p_skus IS NULL OR o.sku = ANY (p_skus))
        ) n
        JOIN retail.products p ON p.sku = n.sku
        -- Below it neighbours have nothing in common with what was asked; beside names more is expected.
        WHERE (p.name_lexemes @@ v_query
                OR 1 - (n.embedding OPERATOR(public.<=>) p_embedding) >= CASE WHEN v_won = 0 THEN 0.4 ELSE 0.5 END)
            AND NOT (p.name_lexemes @@ v_names AND search.coverage(v_stems, v_named, p.name_lexemes) >= v_least)
    ) c;
    IF v_skus IS NULL THEN
        RETURN;
    END IF;
    RETURN QUERY
        SELECT r.sku, (0.75 * r.score)::real, p.name_lexemes @@ v_query
        FROM search.varied_products(v_skus, v_scores, v_embeddings,
            CASE WHEN v_won = 0 AND v_told >= 10 THEN 10 ELSE 0 END) AS r  -- a concept of many things: show kinds of it
        JOIN retail.products p ON p.sku = r.sku
        ORDER BY r.score DESC, r.sku
        LIMIT p_most - v_won;
END
$$;

ALTER FUNCTION search.search_products(p_lexical text, p_embedding public.halfvec, p_most integer, p_skus text[]) OWNER TO receipts_search;

CREATE FUNCTION search.search_receipts(p_receipt_id text, p_store_ids integer[], p_store_scores real[], p_date_from date, p_date_to date, p_date_tolerance integer, p_low bigint, p_high bigint, p_amount_tolerance bigint, p_customer_ids text[], p_customer_scores real[], p_card text, p_tenders text[], p_skus text[], p_terms integer[], p_similarities real[], p_literals boolean[], p_phrases integer, p_without text[], p_after_score real, p_after_at timestamp with time zone, p_after_id text, p_rows integer) RETURNS TABLE(document text, store_name text, time_zone text, purchased_on date, purchased_at timestamp with time zone, score real, store_score real, date_score real, amount_score real, customer_score real, tender_score real, skus text[], terms integer[], similarities real[], literals boolean[], searched_from date)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_custom_plan'
    AS $$
DECLARE
    v_regions smallint[] := access.my_regions();
    v_enough CONSTANT integer := 500;
    v_most_keys CONSTANT integer := 1500;  -- of an index, in one window: some microseconds each
    v_low bigint := p_low - p_amount_tolerance;
    v_high bigint := p_high + p_amount_tolerance;
    v_tenders text[] := (SELECT array_agg('%"tender_type":"' || t || '"%') FROM unnest(p_tenders) AS t);
    v_store_weight real := CASE WHEN p_store_ids IS NULL THEN 0 ELSE 2 END;
    v_date_weight real := CASE WHEN coalesce(p_date_from, p_date_to) IS NULL THEN 0 ELSE 2 END;
    v_amount_weight real := CASE WHEN coalesce(p_low, p_high) IS NULL THEN 0 ELSE 2 END;
    v_tender_weight real := CASE WHEN p_tenders IS NULL THEN 0 ELSE 1 END;
    v_customer_weight real := CASE WHEN p_customer_ids IS NULL THEN 0 ELSE 3 END;
    v_card_weight real := CASE WHEN p_card IS NULL THEN 0 ELSE 3 END;
    v_product_weight real := CASE WHEN p_skus IS NULL THEN 0 ELSE 3 END;
    v_is_named boolean := coalesce(p_receipt_id, p_card) IS NOT NULL OR p_customer_ids IS NOT NULL;
    v_oldest date := greatest(p_date_from - p_date_tolerance, (SELECT min(r.purchased_on) FROM retail.receipts r));
    v_to date := least(p_date_to + p_date_tolerance, (SELECT max(r.purchased_on) FROM retail.receipts r));
    v_from date;
    -- At first as many days as have five thousand receipts in the stores asked for, by what the planner knows.
    v_receipts real := (SELECT c.reltuples FROM pg_class c WHERE c.oid = 'retail.receipts'::regclass)
        * CASE WHEN p_store_ids IS NULL THEN 1
        ELSE cardinality(p_store_ids) / greatest((SELECT count(*) FROM retail.stores), 1)::real END;
    v_span integer := CASE WHEN v_is_named THEN v_to - v_oldest + 1 WHEN v_receipts > 0
        THEN least(3650, ceil(5000 * (v_to - v_oldest + 1) / v_receipts)) ELSE 28 END;
    v_bought text[];  -- articles, where other constraints leave few receipts
    v_keys text[];  -- and keys of them in the index, where they do not
    v_found search.candidate[] := '{}';
    v_before integer;
BEGIN
    WHILE v_to >= v_oldest AND cardinality(v_found) < v_enough LOOP
        v_from := greatest(v_oldest, v_to - v_span + 1);
        IF p_skus IS NULL THEN
            NULL;
        ELSIF v_is_named OR p_store_ids IS NOT NULL THEN
            v_bought := p_skus;
            v_keys := NULL;
        ELSE
            v_bought := NULL;
            IF cardinality(p_skus) * (1 + (v_to - v_from) / 7) > v_most_keys THEN
                v_from := v_oldest;  -- so few fit so far that those of all years together are quickly read
                v_keys := p_skus;
            ELSE
                SELECT array_agg(DISTINCT w || ':' || s) INTO v_keys
                FROM unnest(p_skus) AS s,
                    generate_series((v_from - date '1970-01-01') / 7, (v_to - date '1970-01-01') / 7) AS w;
            END IF;
        END IF;
        v_before := cardinality(v_found);
        SELECT v_found || coalesce(array_agg(f::search.candidate), '{}') INTO v_found FROM (
            SELECT c.receipt_id, c.skus, c.purchased_at, c.purchased_on,
                (v_store_weight * coalesce(c.store_score, 0) + v_date_weight * coalesce(c.date_score, 0)
                    + v_amount_weight * coalesce(c.amount_score, 0) + v_tender_weight * coalesce(c.tender_score, 0)
                    + v_customer_weight * coalesce(c.customer_score, 0) + v_card_weight)::real AS points,
                c.store_score, c.date_score, c.amount_score, c.customer_score, c.tender_score
            FROM (
                SELECT r.receipt_id, r.skus, r.purchased_at, r.purchased_on,
                    CASE WHEN p_store_ids IS NULL THEN NULL
                    ELSE p_store_scores[array_position(p_store_ids, r.store_id)] END AS store_score,
                    CASE WHEN v_date_weight = 0 THEN NULL
                    ELSE 1 - 0.5 * greatest(p_date_from - r.purchased_on, r.purchased_on - p_date_to, 0)
                        / greatest(p_date_tolerance, 1) END::real AS date_score,
                    CASE WHEN v_amount_weight = 0 THEN NULL
                    ELSE 1 - 0.5 * greatest(p_low - r.total_cents, r.total_cents - p_high, 0)
                        / greatest(p_amount_tolerance, 1) END::real AS amount_score,
                    CASE WHEN p_customer_ids IS NULL THEN NULL
                    ELSE p_customer_scores[array_position(p_customer_ids, r.customer_id)] END AS customer_score,
                    CASE WHEN v_tenders IS NULL THEN NULL
                    ELSE (r.document LIKE ANY (v_tenders))::integer END::real AS tender_score
                FROM retail.receipts r
                WHERE r.region_id = ANY (v_regions)
                    AND (p_receipt_id IS NULL OR r.receipt_id = p_receipt_id)
                    AND (p_store_ids IS NULL OR r.store_id = ANY (p_store_ids))
                    AND r.purchased_on BETWEEN v_from AND v_to
                    AND (v_low IS NULL OR r.total_cents >= v_low)
                    AND (v_high IS NULL OR r.total_cents <= v_high)
                    AND (p_customer_ids IS NULL OR r.customer_id = ANY (p_customer_ids))
                    AND (p_card IS NULL OR r.card_last4 @> ARRAY[p_card])
                    -- Hashed, where && would compare each article with each.
                    AND (v_bought IS NULL OR EXISTS (SELECT FROM unnest(r.skus) AS b(sku) WHERE b.sku = ANY (v_bought)))
                    AND (v_keys IS NULL OR retail.sku_keys(r.skus, r.purchased_on) && v_keys)
                    AND (p_without IS NULL OR NOT r.skus && p_without)
            ) AS c
            ORDER BY points DESC, c.purchased_at DESC
            LIMIT 4 * v_enough
        ) AS f;
        v_to := v_from - 1;
        v_span := least(8 * v_span, 1 + ceil(1.2 * v_span * (v_enough - cardinality(v_found))
            / greatest(cardinality(v_found) - v_before, 1)))::integer;
    END LOOP;
    RETURN QUERY
        WITH candidate AS MATERIALIZED (
            SELECT * FROM unnest(v_found)
        ), product AS MATERIALIZED (
            SELECT * FROM unnest(p_skus, p_terms, p_similarities, p_literals) AS p(sku, term, similarity, is_literal)
        ), held AS MATERIALIZED (
            SELECT c.receipt_id, p.sku, p.term, p.similarity, p.is_literal
            FROM candidate c CROSS JOIN LATERAL unnest(c.skus) AS s(sku) JOIN product p ON p.sku = s.sku
        ), best AS (
            SELECT t.receipt_id, sum(t.similarity) / p_phrases AS product_score
            FROM (
                SELECT h.receipt_id, h.term, max(h.similarity) AS similarity FROM held h GROUP BY h.receipt_id, h.term
            ) t
            GROUP BY t.receipt_id
        ), scored AS (
            SELECT c.*,
                coalesce((c.points + v_product_weight * coalesce(b.product_score, 0)) / nullif(v_store_weight
                    + v_date_weight + v_amount_weight + v_tender_weight + v_customer_weight + v_card_weight
                    + v_product_weight, 0), 1)::real AS score
            FROM candidate c LEFT JOIN best b ON b.receipt_id = c.receipt_id
        ), page AS MATERIALIZED (
            SELECT * FROM scored s
            WHERE p_after_id IS NULL OR (s.score, s.purchased_at, s.receipt_id) < (p_after_score, p_after_at, p_after_id)
            ORDER BY s.score DESC, s.purchased_at DESC, s.receipt_id DESC
            LIMIT p_rows
        )
        SELECT r.document, s.name, s.time_zone, r.purchased_on, r.purchased_at, g.score,
            g.store_score, g.date_score, g.amount_score, g.customer_score, g.tender_score,
            m.skus, m.terms, m.similarities, m.literals, CASE WHEN v_to >= v_oldest THEN v_from END
        FROM page g
        JOIN retail.receipts r ON r.receipt_id = g.receipt_id
        JOIN retail.stores s ON s.store_id = r.store_id
        CROSS JOIN LATERAL (
            SELECT array_agg(h.sku ORDER BY h.similarity DESC, h.sku), array_agg(h.term ORDER BY h.similarity DESC, h.sku),
                array_agg(h.similarity ORDER BY h.similarity DESC, h.sku),
                array_agg(h.is_literal ORDER BY h.similarity DESC, h.sku)
            FROM held h WHERE h.receipt_id = g.receipt_id
        ) AS m(skus, terms, similarities, literals)
        ORDER BY g.score DESC, r.purchased_at DESC, r.receipt_id DESC;
END
$$;

ALTER FUNCTION search.search_receipts(p_receipt_id text, p_store_ids integer[], p_store_scores real[], p_date_from date, p_date_to date, p_date_tolerance integer, p_low bigint, p_high bigint, p_amount_tolerance bigint, p_customer_ids text[], p_customer_scores real[], p_card text, p_tenders text[], p_skus text[], p_terms integer[], p_similarities real[], p_literals boolean[], p_phrases integer, p_without text[], p_after_score real, p_after_at timestamp with time zone, p_after_id text, p_rows integer) OWNER TO receipts_search;

CREATE FUNCTION search.search_receipts(p_receipt_id text, p_store_ids integer[], p_store_scores real[], p_date_from date, p_date_to date, p_date_tolerance integer, p_low bigint, p_high bigint, p_amount_tolerance bigint, p_customer_ids text[], p_customer_scores real[], p_card text, p_tenders text[], p_skus text[], p_terms integer[], p_similarities real[], p_literals boolean[], p_phrases integer, p_without text[], p_register integer, p_operator text, p_number_from integer, p_number_to integer, p_time_from time without time zone, p_time_to time without time zone, p_after_score real, p_after_at timestamp with time zone, p_after_id text, p_rows integer) RETURNS TABLE(document text, store_name text, time_zone text, purchased_on date, purchased_at timestamp with time zone, score real, store_score real, date_score real, amount_score real, customer_score real, tender_score real, skus text[], terms integer[], similarities real[], literals boolean[], searched_from date)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_custom_plan'
    AS $$
DECLARE
    v_regions smallint[] := access.my_regions();
    v_enough CONSTANT integer := 500;
    v_most_keys CONSTANT integer := 1500;  -- of an index, in one window: some microseconds each
    v_low bigint := p_low - p_amount_tolerance;
    v_high bigint := p_high + p_amount_tolerance;
    -- Register and number as they stand in a receipt's id (receipts/identity.py), which is parsed for nothing else.
    v_register text := lpad(p_register::text, 3, '0');
    v_number_from text := lpad(p_number_from::text, 6, '0');
    v_number_to text := lpad(p_number_to::text, 6, '0');
    v_operator_key text := split_part(to_json(p_operator)::text, '"', 2);
    v_time_from time := CASE WHEN p_time_to IS NULL THEN p_time_from ELSE coalesce(p_time_from, '00:00') END;
    v_time_before time := CASE WHEN p_time_to < '23:59' THEN p_time_to + interval '1 minute' ELSE '24:00' END;
    v_tenders text[] := (SELECT array_agg('%"tender_type":"' || t || '"%') FROM unnest(p_tenders) AS t);
    v_store_weight real := CASE WHEN p_store_ids IS NULL THEN 0 ELSE 2 END;
    v_date_weight real := CASE WHEN coalesce(p_date_from, p_date_to) IS NULL THEN 0 ELSE 2 END;
    v_amount_weight real := CASE WHEN coalesce(p_low, p_high) IS NULL THEN 0 ELSE 2 END;
    v_tender_weight real := CASE WHEN p_tenders IS NULL THEN 0 ELSE 1 END;
    v_customer_weight real := CASE WHEN p_customer_ids IS NULL THEN 0 ELSE 3 END;
    v_card_weight real := CASE WHEN p_card IS NULL THEN 0 ELSE 3 END;
    v_product_weight real := CASE WHEN p_skus IS NULL THEN 0 ELSE 3 END;
    v_is_named boolean := coalesce(p_receipt_id, p_card) IS NOT NULL OR p_customer_ids IS NOT NULL;
    v_oldest date := greatest(p_date_from - p_date_tolerance, (SELECT min(r.purchased_on) FROM retail.receipts r));
    v_to date := least(p_date_to + p_date_tolerance, (SELECT max(r.purchased_on) FROM retail.receipts r));
    v_from date;
    -- At first as many days as have five thousand receipts in the stores asked for, by what the planner knows.
    v_receipts real := (SELECT c.reltuples FROM pg_class c WHERE c.oid = 'retail.receipts'::regclass)
        * CASE WHEN p_store_ids IS NULL THEN 1
        ELSE cardinality(p_store_ids) / greatest((SELECT count(*) FROM retail.stores), 1)::real END;
    v_span integer := CASE WHEN v_is_named THEN v_to - v_oldest + 1 WHEN v_receipts > 0
        THEN least(3650, ceil(5000 * (v_to - v_oldest + 1) / v_receipts)) ELSE 28 END;
    v_bought text[];  -- articles, where other constraints leave few receipts
    v_keys text[];  -- and keys of them in the index, where they do not
    v_found search.candidate[] := '{}';
    v_before integer;
BEGIN
    WHILE v_to >= v_oldest AND cardinality(v_found) < v_enough LOOP
        v_from := greatest(v_oldest, v_to - v_span + 1);
        IF p_skus IS NULL THEN
            NULL;
        ELSIF v_is_named OR p_store_ids IS NOT NULL THEN
            v_bought := p_skus;
            v_keys := NULL;
        ELSE
            v_bought := NULL;
            IF cardinality(p_skus) * (1 + (v_to - v_from) / 7) > v_most_keys THEN
                v_from := v_oldest;  -- so few fit so far that those of all years together are quickly read
                v_keys := p_skus;
            ELSE
                SELECT array_agg(DISTINCT w || ':' || s) INTO v_keys
                FROM unnest(p_skus) AS s,
                    generate_series((v_from - date '1970-01-01') / 7, (v_to - date '1970-01-01') / 7) AS w;
            END IF;
        END IF;
        v_before := cardinality(v_found);
        SELECT v_found || coalesce(array_agg(f::search.candidate), '{}') INTO v_found FROM (
            SELECT c.receipt_id, c.skus, c.purchased_at, c.purchased_on,
                (v_store_weight * coalesce(c.store_score, 0) + v_date_weight * coalesce(c.date_score, 0)
                    + v_amount_weight * coalesce(c.amount_score, 0) + v_tender_weight * coalesce(c.tender_score, 0)
                    + v_customer_weight * coalesce(c.customer_score, 0) + v_card_weight)::real AS points,
                c.store_score, c.date_score, c.amount_score, c.customer_score, c.tender_score
            FROM (
                SELECT r.receipt_id, r.skus, r.purchased_at, r.purchased_on,
                    CASE WHEN p_store_ids IS NULL THEN NULL
                    ELSE p_store_scores[array_position(p_store_ids, r.store_id)] END AS store_score,
                    CASE WHEN v_date_weight = 0 THEN NULL
                    ELSE 1 - 0.5 * greatest(p_date_from - r.purchased_on, r.purchased_on - p_date_to, 0)
                        / greatest(p_date_tolerance, 1) END::real AS date_score,
                    CASE WHEN v_amount_weight = 0 THEN NULL
                    ELSE 1 - 0.5 * greatest(p_low - r.total_cents, r.total_cents - p_high, 0)
                        / greatest(p_amount_tolerance, 1) END::real AS amount_score,
                    CASE WHEN p_customer_ids IS NULL THEN NULL
                    ELSE p_customer_scores[array_position(p_customer_ids, r.customer_id)] END AS customer_score,
                    CASE WHEN v_tenders IS NULL THEN NULL
                    ELSE (r.document LIKE ANY (v_tenders))::integer END::real AS tender_score
                FROM retail.receipts r
                WHERE r.region_id = ANY (v_regions)
                    AND (p_receipt_id IS NULL OR r.receipt_id = p_receipt_id)
                    AND (p_store_ids IS NULL OR r.store_id = ANY (p_store_ids))
                    AND r.purchased_on BETWEEN v_from AND v_to
                    AND (v_low IS NULL OR r.total_cents >= v_low)
                    AND (v_high IS NULL OR r.total_cents <= v_high)
                    AND (p_customer_ids IS NULL OR r.customer_id = ANY (p_customer_ids))
                    AND (p_card IS NULL OR r.card_last4 @> ARRAY[p_card])
                    -- Hashed, where && would compare each article with each.
                    AND (v_bought IS NULL OR EXISTS (SELECT FROM unnest(r.skus) AS b(sku) WHERE b.sku = ANY (v_bought)))
                    AND (v_keys IS NULL OR retail.sku_keys(r.skus, r.purchased_on) && v_keys)
                    AND (p_without IS NULL OR NOT r.skus && p_without)
                    AND (v_register IS NULL OR substr(r.receipt_id, 12, 3) = v_register)
                    AND (v_number_from IS NULL OR substr(r.receipt_id, 15, 6) >= v_number_from)
                    AND (v_number_to IS NULL OR substr(r.receipt_id, 15, 6) <= v_number_to)
                    AND (p_operator IS NULL OR (
                        retail.operator_key(r.document) = v_operator_key
                        AND r.document::json ->> 'operator_id' = p_operator
                    ))
                    AND (v_time_from IS NULL OR (
                        SELECT local.time >= v_time_from AND local.time < v_time_before
                        FROM retail.stores s, LATERAL (
                            SELECT (r.purchased_at AT TIME ZONE s.time_zone)::time
                        ) AS local (time)
                        WHERE s.store_id = r.store_id
                    ))
            ) AS c
            ORDER BY points DESC, c.purchased_at DESC
            LIMIT 4 * v_enough
        ) AS f;
        v_to := v_from - 1;
        v_span := least(8 * v_span, 1 + ceil(1.2 * v_span * (v_enough - cardinality(v_found))
            / greatest(cardinality(v_found) - v_before, 1)))::integer;
    END LOOP;
    RETURN QUERY
        WITH candidate AS MATERIALIZED (
            SELECT * FROM unnest(v_found)
        ), product AS MATERIALIZED (
            SELECT * FROM unnest(p_skus, p_terms, p_similarities, p_literals) AS p(sku, term, similarity, is_literal)
        ), held AS MATERIALIZED (
            SELECT c.receipt_id, p.sku, p.term, p.similarity, p.is_literal
            FROM candidate c CROSS JOIN LATERAL unnest(c.skus) AS s(sku) JOIN product p ON p.sku = s.sku
        ), best AS (
            SELECT t.receipt_id, sum(t.similarity) / p_phrases AS product_score
            FROM (
                SELECT h.receipt_id, h.term, max(h.similarity) AS similarity FROM held h GROUP BY h.receipt_id, h.term
            ) t
            GROUP BY t.receipt_id
        ), scored AS (
            SELECT c.*,
                coalesce((c.points + v_product_weight * coalesce(b.product_score, 0)) / nullif(v_store_weight
                    + v_date_weight + v_amount_weight + v_tender_weight + v_customer_weight + v_card_weight
                    + v_product_weight, 0), 1)::real AS score
            FROM candidate c LEFT JOIN best b ON b.receipt_id = c.receipt_id
        ), page AS MATERIALIZED (
            SELECT * FROM scored s
            WHERE p_after_id IS NULL OR (s.score, s.purchased_at, s.receipt_id) < (p_after_score, p_after_at, p_after_id)
            ORDER BY s.score DESC, s.purchased_at DESC, s.receipt_id DESC
            LIMIT p_rows
        )
        SELECT r.document, s.name, s.time_zone, r.purchased_on, r.purchased_at, g.score,
            g.store_score, g.date_score, g.amount_score, g.customer_score, g.tender_score,
            m.skus, m.terms, m.similarities, m.literals, CASE WHEN v_to >= v_oldest THEN v_from END
        FROM page g
        JOIN retail.receipts r ON r.receipt_id = g.receipt_id
        JOIN retail.stores s ON s.store_id = r.store_id
        CROSS JOIN LATERAL (
            SELECT array_agg(h.sku ORDER BY h.similarity DESC, h.sku), array_agg(h.term ORDER BY h.similarity DESC, h.sku),
                array_agg(h.similarity ORDER BY h.similarity DESC, h.sku),
                array_agg(h.is_literal ORDER BY h.similarity DESC, h.sku)
            FROM held h WHERE h.receipt_id = g.receipt_id
        ) AS m(skus, terms, similarities, literals)
        ORDER BY g.score DESC, r.purchased_at DESC, r.receipt_id DESC;
END
$$;

ALTER FUNCTION search.search_receipts(p_receipt_id text, p_store_ids integer[], p_store_scores real[], p_date_from date, p_date_to date, p_date_tolerance integer, p_low bigint, p_high bigint, p_amount_tolerance bigint, p_customer_ids text[], p_customer_scores real[], p_card text, p_tenders text[], p_skus text[], p_terms integer[], p_similarities real[], p_literals boolean[], p_phrases integer, p_without text[], p_register integer, p_operator text, p_number_from integer, p_number_to integer, p_time_from time without time zone, p_time_to time without time zone, p_after_score real, p_after_at timestamp with time zone, p_after_id text, p_rows integer) OWNER TO receipts_search;

CREATE FUNCTION search.search_terms(p_lexical text[], p_embeddings text[], p_most integer) RETURNS TABLE(skus text[], terms integer[], similarities real[], literals boolean[])
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT array_agg(f.sku), array_agg(t.term::integer), array_agg(f.similarity), array_agg(f.is_literal)
    FROM unnest(p_lexical, p_embeddings) WITH ORDINALITY AS t(lexical, embedding, term)
    CROSS JOIN LATERAL search.search_products(t.lexical, t.embedding::public.halfvec, p_most) AS f
$$;

ALTER FUNCTION search.search_terms(p_lexical text[], p_embeddings text[], p_most integer) OWNER TO receipts_search;

CREATE FUNCTION search.sound_of(p_word text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    SELECT CASE WHEN left(p_word, 1) IN ('a', 'e', 'i', 'o', 'u', 'y', 'h') THEN 'a' ELSE '' END || left(
        regexp_replace(
            translate(
                replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(
                replace(replace(replace(replace(replace(replace(
                    CASE WHEN left(p_word, 2) IN ('gn', 'kn', 'pn', 'ps', 'wh', 'wr') THEN substr(p_word, 2)
                    ELSE p_word END,
                    'sch', 's'), 'sh', 's'), 'sz', 's'), 'tch', 'j'), 'chr', 'kr'), 'chae', 'ka'), 'ch', 'j'),
                    'cs', 'j'), 'ck', 'k'), 'ce', 'se'), 'ci', 'si'), 'cy', 'sy'), 'ph', 'f'), 'dge', 'je'),
                    'ge', 'je'), 'gi', 'ji'), 'gy', 'jy'), 'gh', ''), 'x', 'ks'),
                'cqzvwdbaeiouyh', 'kksfftp'
            ),
            '(.)\1+', '\1', 'g'
        ),
        12
    )
$$;

ALTER FUNCTION search.sound_of(p_word text) OWNER TO receipts_search;

CREATE FUNCTION search.told_share(p_stems text[], p_search_text text) RETURNS real
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (((SELECT count(*) AS count FROM unnest(tsvector_to_array(to_tsvector('english'::regconfig, ((split_part(told_share.p_search_text, ' | '::text, 2) || ' '::text) || split_part(told_share.p_search_text, ' | '::text, 3))))) stem(stem) WHERE (stem.stem = ANY (told_share.p_stems))))::real / (GREATEST(cardinality(p_stems), 1))::double precision);

ALTER FUNCTION search.told_share(p_stems text[], p_search_text text) OWNER TO receipts_search;

CREATE FUNCTION search.varied_products(p_skus text[], p_scores real[], p_embeddings public.halfvec[], p_most integer) RETURNS TABLE(sku text, score real)
    LANGUAGE plpgsql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    -- Below it products are of different kinds, and nothing is taken off.
    v_alike real[] := array_fill(0.8::real, ARRAY[cardinality(p_skus)]);
    v_taken integer[] := '{}';
    v_best integer;
BEGIN
    FOR v_place IN 1..least(p_most, cardinality(p_skus)) LOOP
        SELECT c.at INTO v_best
        FROM unnest(p_scores, v_alike) WITH ORDINALITY AS c(score, alike, at)
        WHERE c.at <> ALL (v_taken)
        ORDER BY c.score - search.likeness_costs(c.alike) DESC, c.at
        LIMIT 1;
        v_taken := v_taken || v_best;
        SELECT array_agg(
            CASE WHEN c.at = ANY (v_taken) THEN c.alike
            ELSE greatest(c.alike, 1 - (c.embedding OPERATOR(public.<=>) p_embeddings[v_best])) END ORDER BY c.at
        ) INTO v_alike
        FROM unnest(p_embeddings, v_alike) WITH ORDINALITY AS c(embedding, alike, at);
    END LOOP;
    RETURN QUERY
        SELECT c.sku, c.score - search.likeness_costs(c.alike)
        FROM unnest(p_skus, p_scores, v_alike) AS c(sku, score, alike);
END
$$;

ALTER FUNCTION search.varied_products(p_skus text[], p_scores real[], p_embeddings public.halfvec[], p_most integer) OWNER TO receipts_search;

CREATE FUNCTION search.words_of(p_name_norm text) RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    SELECT CASE
        WHEN octet_length(p_name_norm) > 1000 THEN '{}'
        WHEN cardinality(string_to_array(p_name_norm, ' ')) <= 5 AND length(p_name_norm) <= 40
            THEN string_to_array(p_name_norm, ' ')
        ELSE (
            SELECT array_agg(left(w.word, 40) ORDER BY w.place)
            FROM string_to_table(p_name_norm, ' ') WITH ORDINALITY AS w(word, place)
            WHERE w.place <= 2 OR w.place > cardinality(string_to_array(p_name_norm, ' ')) - 3
        )
    END
$$;

ALTER FUNCTION search.words_of(p_name_norm text) OWNER TO receipts_search;

SET default_tablespace = '';

SET default_table_access_method = heap;

CREATE TABLE access.identities (
    issuer text NOT NULL COLLATE pg_catalog."C",
    subject text NOT NULL COLLATE pg_catalog."C",
    principal_id text NOT NULL COLLATE pg_catalog."C",
    linked_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

ALTER TABLE access.identities OWNER TO receipts_owner;

CREATE TABLE access.principals (
    principal_id text NOT NULL COLLATE pg_catalog."C",
    role text NOT NULL,
    display_name text NOT NULL,
    region_ids smallint[] NOT NULL,
    all_regions boolean DEFAULT false NOT NULL,
    active boolean DEFAULT true NOT NULL,
    follows_groups boolean DEFAULT false NOT NULL,
    CONSTRAINT principals_role_check CHECK ((role = ANY (ARRAY['cs_rep'::text, 'supervisor'::text, 'fraud_team'::text, 'privacy_officer'::text, 'admin'::text, 'till'::text])))
);

ALTER TABLE access.principals OWNER TO receipts_owner;

CREATE TABLE access.regions (
    region_id smallint NOT NULL,
    name text NOT NULL
);

ALTER TABLE access.regions OWNER TO receipts_owner;

CREATE TABLE access.scopes (
    scope_id uuid DEFAULT gen_random_uuid() NOT NULL,
    region_ids smallint[] NOT NULL,
    all_regions boolean NOT NULL,
    role text
);

ALTER TABLE access.scopes OWNER TO receipts_owner;

CREATE SEQUENCE audit.chain_numbers
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    MAXVALUE 4294967295
    CACHE 1;

ALTER SEQUENCE audit.chain_numbers OWNER TO receipts_owner;

CREATE TABLE audit.chains (
    chain bigint NOT NULL,
    opened_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    opened_by name DEFAULT SESSION_USER NOT NULL,
    root bytea NOT NULL,
    projected bigint DEFAULT 0 NOT NULL,
    head bytea NOT NULL,
    closed_at timestamp with time zone
);

ALTER TABLE audit.chains OWNER TO receipts_owner;

CREATE TABLE audit.events (
    event_id uuid NOT NULL,
    occurred_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    principal_id text NOT NULL,
    role text NOT NULL,
    session_id text NOT NULL,
    route text NOT NULL,
    outcome text NOT NULL,
    status smallint NOT NULL,
    receipt_ids text[] NOT NULL,
    customer_ids text[] NOT NULL,
    purpose text NOT NULL,
    constraints text NOT NULL,
    client_address text NOT NULL,
    request_id text NOT NULL
)
PARTITION BY RANGE (occurred_at);

ALTER TABLE audit.events OWNER TO receipts_owner;

CREATE TABLE audit.events_other (
    event_id uuid CONSTRAINT events_event_id_not_null NOT NULL,
    occurred_at timestamp with time zone DEFAULT clock_timestamp() CONSTRAINT events_occurred_at_not_null NOT NULL,
    principal_id text CONSTRAINT events_principal_id_not_null NOT NULL,
    role text CONSTRAINT events_role_not_null NOT NULL,
    session_id text CONSTRAINT events_session_id_not_null NOT NULL,
    route text CONSTRAINT events_route_not_null NOT NULL,
    outcome text CONSTRAINT events_outcome_not_null NOT NULL,
    status smallint CONSTRAINT events_status_not_null NOT NULL,
    receipt_ids text[] CONSTRAINT events_receipt_ids_not_null NOT NULL,
    customer_ids text[] CONSTRAINT events_customer_ids_not_null NOT NULL,
    purpose text CONSTRAINT events_purpose_not_null NOT NULL,
    constraints text CONSTRAINT events_constraints_not_null NOT NULL,
    client_address text CONSTRAINT events_client_address_not_null NOT NULL,
    request_id text CONSTRAINT events_request_id_not_null NOT NULL
);

ALTER TABLE audit.events_other OWNER TO receipts_owner;

CREATE TABLE audit.faults (
    chain bigint NOT NULL,
    seq bigint NOT NULL,
    found_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

ALTER TABLE audit.faults OWNER TO receipts_owner;

CREATE SEQUENCE audit.positions
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE audit.positions OWNER TO receipts_owner;

CREATE TABLE audit.projections (
    "position" bigint DEFAULT nextval('audit.positions'::regclass) CONSTRAINT projections_position_not_null1 NOT NULL,
    chain bigint CONSTRAINT projections_chain_not_null1 NOT NULL,
    seq bigint CONSTRAINT projections_seq_not_null1 NOT NULL,
    events integer CONSTRAINT projections_events_not_null1 NOT NULL
)
PARTITION BY RANGE (chain);

ALTER TABLE audit.projections OWNER TO receipts_owner;

CREATE TABLE audit.projections_other (
    "position" bigint DEFAULT nextval('audit.positions'::regclass) CONSTRAINT projections_position_not_null1 NOT NULL,
    chain bigint CONSTRAINT projections_chain_not_null1 NOT NULL,
    seq bigint CONSTRAINT projections_seq_not_null1 NOT NULL,
    events integer CONSTRAINT projections_events_not_null1 NOT NULL
);

ALTER TABLE audit.projections_other OWNER TO receipts_owner;

CREATE TABLE audit.retirements (
    month date NOT NULL,
    what text NOT NULL,
    retired_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    retired_by name DEFAULT SESSION_USER NOT NULL,
    groups bigint NOT NULL,
    events bigint NOT NULL,
    chain bigint NOT NULL,
    seq bigint NOT NULL,
    CONSTRAINT retirements_month_check CHECK ((EXTRACT(day FROM month) = (1)::numeric)),
    CONSTRAINT retirements_what_check CHECK ((what = ANY (ARRAY['spool'::text, 'month'::text])))
);

ALTER TABLE audit.retirements OWNER TO receipts_owner;

CREATE TABLE audit.spool (
    chain bigint NOT NULL,
    seq bigint NOT NULL,
    recorded_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    previous bytea NOT NULL,
    digest bytea NOT NULL,
    payload text NOT NULL,
    CONSTRAINT spool_seq_check CHECK ((seq > 0))
)
PARTITION BY RANGE (chain);

ALTER TABLE audit.spool OWNER TO receipts_owner;

CREATE TABLE audit.spool_other (
    chain bigint CONSTRAINT spool_chain_not_null NOT NULL,
    seq bigint CONSTRAINT spool_seq_not_null NOT NULL,
    recorded_at timestamp with time zone DEFAULT clock_timestamp() CONSTRAINT spool_recorded_at_not_null NOT NULL,
    previous bytea CONSTRAINT spool_previous_not_null NOT NULL,
    digest bytea CONSTRAINT spool_digest_not_null NOT NULL,
    payload text CONSTRAINT spool_payload_not_null NOT NULL,
    CONSTRAINT spool_seq_check CHECK ((seq > 0))
);

ALTER TABLE audit.spool_other OWNER TO receipts_owner;

CREATE VIEW audit.trail AS
 SELECT event_id,
    occurred_at,
    principal_id,
    role,
    route,
    outcome,
    status,
    receipt_ids,
    customer_ids,
    purpose,
    constraints,
    client_address,
    request_id
   FROM audit.events
  WHERE (( SELECT access.my_role() AS my_role) = 'privacy_officer'::text);

ALTER VIEW audit.trail OWNER TO receipts_owner;

CREATE TABLE auth.clients (
    client_id text NOT NULL COLLATE pg_catalog."C",
    secret_digest bytea NOT NULL,
    note text NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    revoked_at timestamp with time zone,
    expires_at timestamp with time zone
);

ALTER TABLE auth.clients OWNER TO receipts_owner;

CREATE TABLE auth.codes (
    code_digest bytea NOT NULL,
    principal_id text NOT NULL,
    client_id text NOT NULL,
    redirect_uri text NOT NULL,
    code_challenge text NOT NULL,
    nonce text NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

ALTER TABLE auth.codes OWNER TO receipts_owner;

CREATE TABLE auth.refresh_tokens (
    token_digest bytea NOT NULL,
    session_id text NOT NULL COLLATE pg_catalog."C",
    idle_until timestamp with time zone NOT NULL,
    used_at timestamp with time zone,
    replaced_by bytea
);

ALTER TABLE auth.refresh_tokens OWNER TO receipts_owner;

CREATE TABLE auth.sessions (
    session_id text NOT NULL COLLATE pg_catalog."C",
    principal_id text NOT NULL COLLATE pg_catalog."C",
    client_id text NOT NULL,
    opened_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    tokens_until timestamp with time zone NOT NULL,
    ended_at timestamp with time zone,
    ended_by text,
    CONSTRAINT sessions_ended_by_check CHECK ((ended_by = ANY (ARRAY['sign_out'::text, 'revocation'::text, 'reuse'::text, 'deactivation'::text])))
);

ALTER TABLE auth.sessions OWNER TO receipts_owner;

CREATE TABLE auth.sign_ins (
    state_digest bytea NOT NULL,
    browser_digest bytea NOT NULL,
    asked text NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

ALTER TABLE auth.sign_ins OWNER TO receipts_owner;

CREATE TABLE compliance.requests (
    request_id bigint NOT NULL,
    kind text NOT NULL,
    law text NOT NULL,
    customer_id text NOT NULL COLLATE pg_catalog."C",
    channel text NOT NULL,
    state text DEFAULT 'received'::text NOT NULL,
    received_on date NOT NULL,
    confirm_by date,
    confirmed_on date,
    due_on date NOT NULL,
    extended boolean DEFAULT false NOT NULL,
    extended_due_on date NOT NULL,
    opened_by text NOT NULL,
    opened_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    carried_out_at timestamp with time zone,
    CONSTRAINT requests_channel_check CHECK ((channel = ANY (ARRAY['phone'::text, 'email'::text, 'letter'::text, 'store'::text, 'agent'::text]))),
    CONSTRAINT requests_check CHECK (((carried_out_at IS NULL) OR (kind = 'erasure'::text))),
    CONSTRAINT requests_kind_check CHECK ((kind = ANY (ARRAY['access'::text, 'erasure'::text]))),
    CONSTRAINT requests_law_check CHECK ((law = ANY (ARRAY['gdpr'::text, 'ccpa'::text]))),
    CONSTRAINT requests_state_check CHECK ((state = ANY (ARRAY['received'::text, 'verified'::text, 'in_progress'::text, 'approved'::text, 'completed'::text, 'refused'::text])))
);

ALTER TABLE ONLY compliance.requests FORCE ROW LEVEL SECURITY;

ALTER TABLE compliance.requests OWNER TO receipts_owner;

ALTER TABLE compliance.requests ALTER COLUMN request_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME compliance.requests_request_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE compliance.steps (
    step_id bigint NOT NULL,
    request_id bigint NOT NULL,
    taken_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    taken_by text NOT NULL,
    step text NOT NULL,
    reason text,
    CONSTRAINT steps_check CHECK (((step <> ALL (ARRAY['extend'::text, 'refuse'::text])) OR (COALESCE(btrim(reason), ''::text) <> ''::text))),
    CONSTRAINT steps_step_check CHECK ((step = ANY (ARRAY['confirm'::text, 'verify_identity'::text, 'start'::text, 'extend'::text, 'refuse'::text, 'approve'::text, 'complete'::text])))
);

ALTER TABLE ONLY compliance.steps FORCE ROW LEVEL SECURITY;

ALTER TABLE compliance.steps OWNER TO receipts_owner;

ALTER TABLE compliance.steps ALTER COLUMN step_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME compliance.steps_step_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE fraud.flags (
    flag_id bigint NOT NULL,
    subject text NOT NULL,
    subject_id text NOT NULL COLLATE pg_catalog."C",
    reason text NOT NULL,
    note text NOT NULL,
    state text DEFAULT 'open'::text NOT NULL,
    raised_by text NOT NULL,
    raised_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    reviewed_by text,
    reviewed_at timestamp with time zone,
    review_note text,
    CONSTRAINT flags_check CHECK ((reviewed_by <> raised_by)),
    CONSTRAINT flags_check1 CHECK (((state = 'open'::text) = (reviewed_by IS NULL))),
    CONSTRAINT flags_check2 CHECK ((num_nulls(reviewed_by, reviewed_at, review_note) = ANY (ARRAY[0, 3]))),
    CONSTRAINT flags_reason_check CHECK ((reason = ANY (ARRAY['return_abuse'::text, 'card_misuse'::text, 'identity'::text, 'employee'::text, 'other'::text]))),
    CONSTRAINT flags_state_check CHECK ((state = ANY (ARRAY['open'::text, 'confirmed'::text, 'cleared'::text]))),
    CONSTRAINT flags_subject_check CHECK ((subject = ANY (ARRAY['receipt'::text, 'customer'::text])))
);

ALTER TABLE ONLY fraud.flags FORCE ROW LEVEL SECURITY;

ALTER TABLE fraud.flags OWNER TO receipts_owner;

ALTER TABLE fraud.flags ALTER COLUMN flag_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME fraud.flags_flag_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE ingest.clients (
    client_id text NOT NULL COLLATE pg_catalog."C",
    secret_digest bytea NOT NULL,
    store_ids integer[] NOT NULL,
    all_stores boolean DEFAULT false NOT NULL,
    note text DEFAULT ''::text NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    revoked_at timestamp with time zone,
    CONSTRAINT clients_check CHECK ((all_stores = (cardinality(store_ids) = 0)))
);

ALTER TABLE ingest.clients OWNER TO receipts_owner;

CREATE TABLE ingest.corrections (
    receipt_id text NOT NULL COLLATE pg_catalog."C",
    payload_digest bytea NOT NULL,
    received_at timestamp with time zone NOT NULL
);

ALTER TABLE ingest.corrections OWNER TO receipts_owner;

CREATE TABLE ingest.desk_orders (
    order_id bigint NOT NULL,
    quarantine_id bigint NOT NULL,
    action text NOT NULL,
    payload text,
    ordered_by text NOT NULL,
    ordered_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    done_at timestamp with time zone,
    outcome text,
    CONSTRAINT desk_orders_action_check CHECK ((action = ANY (ARRAY['replay'::text, 'fix'::text, 'dismiss'::text]))),
    CONSTRAINT desk_orders_check CHECK ((((action = 'fix'::text) = (payload IS NOT NULL)) OR (done_at IS NOT NULL)))
);

ALTER TABLE ingest.desk_orders OWNER TO receipts_owner;

ALTER TABLE ingest.desk_orders ALTER COLUMN order_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME ingest.desk_orders_order_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE SEQUENCE ingest.gateway_numbers
    AS integer
    START WITH 0
    INCREMENT BY 1
    MINVALUE 0
    MAXVALUE 1023
    CACHE 1
    CYCLE;

ALTER SEQUENCE ingest.gateway_numbers OWNER TO receipts_owner;

CREATE TABLE ingest.import_refusals (
    content_digest bytea NOT NULL,
    record bigint NOT NULL,
    "position" bigint NOT NULL,
    skipped boolean NOT NULL,
    reason text NOT NULL
);

ALTER TABLE ingest.import_refusals OWNER TO receipts_owner;

CREATE TABLE ingest.imports (
    content_digest bytea NOT NULL,
    format text NOT NULL,
    file_name text NOT NULL,
    started_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    finished_at timestamp with time zone,
    records bigint DEFAULT 0 NOT NULL,
    new bigint DEFAULT 0 NOT NULL,
    known bigint DEFAULT 0 NOT NULL,
    refused bigint DEFAULT 0 NOT NULL,
    skipped bigint DEFAULT 0 NOT NULL,
    broken text,
    CONSTRAINT imports_check CHECK ((records = (((new + known) + refused) + skipped)))
);

ALTER TABLE ingest.imports OWNER TO receipts_owner;

CREATE TABLE ingest.outbox (
    turn smallint NOT NULL,
    sequence bigint CONSTRAINT outbox_sequence_not_null1 NOT NULL,
    xid xid8 DEFAULT pg_current_xact_id() CONSTRAINT outbox_xid_not_null1 NOT NULL,
    bronze_table text CONSTRAINT outbox_bronze_table_not_null1 NOT NULL,
    record_key text,
    store_id integer,
    received_at timestamp with time zone CONSTRAINT outbox_received_at_not_null1 NOT NULL,
    source text CONSTRAINT outbox_source_not_null1 NOT NULL,
    payload_digest bytea CONSTRAINT outbox_payload_digest_not_null1 NOT NULL,
    payload text CONSTRAINT outbox_payload_not_null1 NOT NULL,
    refusal text
)
PARTITION BY LIST (turn);

ALTER TABLE ingest.outbox OWNER TO receipts_owner;

CREATE TABLE ingest.outbox_0 (
    turn smallint CONSTRAINT outbox_turn_not_null NOT NULL,
    sequence bigint CONSTRAINT outbox_sequence_not_null1 NOT NULL,
    xid xid8 DEFAULT pg_current_xact_id() CONSTRAINT outbox_xid_not_null1 NOT NULL,
    bronze_table text CONSTRAINT outbox_bronze_table_not_null1 NOT NULL,
    record_key text,
    store_id integer,
    received_at timestamp with time zone CONSTRAINT outbox_received_at_not_null1 NOT NULL,
    source text CONSTRAINT outbox_source_not_null1 NOT NULL,
    payload_digest bytea CONSTRAINT outbox_payload_digest_not_null1 NOT NULL,
    payload text CONSTRAINT outbox_payload_not_null1 NOT NULL,
    refusal text
);

ALTER TABLE ingest.outbox_0 OWNER TO receipts_owner;

CREATE TABLE ingest.outbox_1 (
    turn smallint CONSTRAINT outbox_turn_not_null NOT NULL,
    sequence bigint CONSTRAINT outbox_sequence_not_null1 NOT NULL,
    xid xid8 DEFAULT pg_current_xact_id() CONSTRAINT outbox_xid_not_null1 NOT NULL,
    bronze_table text CONSTRAINT outbox_bronze_table_not_null1 NOT NULL,
    record_key text,
    store_id integer,
    received_at timestamp with time zone CONSTRAINT outbox_received_at_not_null1 NOT NULL,
    source text CONSTRAINT outbox_source_not_null1 NOT NULL,
    payload_digest bytea CONSTRAINT outbox_payload_digest_not_null1 NOT NULL,
    payload text CONSTRAINT outbox_payload_not_null1 NOT NULL,
    refusal text
);

ALTER TABLE ingest.outbox_1 OWNER TO receipts_owner;

CREATE TABLE ingest.outbox_state (
    singleton boolean DEFAULT true NOT NULL,
    turn smallint DEFAULT 0 NOT NULL,
    turned_by xid8 DEFAULT '0'::xid8 NOT NULL,
    drained xid8 DEFAULT '0'::xid8 NOT NULL,
    CONSTRAINT outbox_state_singleton_check CHECK (singleton)
);

ALTER TABLE ingest.outbox_state OWNER TO receipts_owner;

CREATE TABLE ingest.quarantine (
    quarantine_id bigint NOT NULL,
    bronze_table text NOT NULL,
    received_at timestamp with time zone NOT NULL,
    source text NOT NULL,
    reason text NOT NULL,
    payload text NOT NULL,
    payload_digest bytea NOT NULL,
    state text DEFAULT 'held'::text NOT NULL,
    replayed_at timestamp with time zone,
    kind text DEFAULT 'malformed'::text NOT NULL,
    missing_store_id integer,
    accepted_key text,
    CONSTRAINT quarantine_state_check CHECK ((state = ANY (ARRAY['held'::text, 'replayed'::text, 'fixed'::text, 'dismissed'::text])))
);

ALTER TABLE ingest.quarantine OWNER TO receipts_owner;

ALTER TABLE ingest.quarantine ALTER COLUMN quarantine_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME ingest.quarantine_quarantine_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE ingest.settled (
    bronze_table text NOT NULL,
    version bigint NOT NULL,
    settled_at timestamp with time zone NOT NULL
);

ALTER TABLE ingest.settled OWNER TO receipts_owner;

CREATE UNLOGGED TABLE limits.buckets (
    key bytea NOT NULL,
    full_at bigint NOT NULL,
    interval_ns bigint NOT NULL,
    burst integer NOT NULL,
    granted integer NOT NULL
)
WITH (fillfactor='50');

ALTER TABLE limits.buckets OWNER TO receipts_owner;

CREATE UNLOGGED TABLE limits.customers (
    principal bytea NOT NULL,
    customer bytea NOT NULL,
    seen_at timestamp with time zone NOT NULL
);

ALTER TABLE limits.customers OWNER TO receipts_owner;

CREATE UNLOGGED TABLE limits.holders (
    holder uuid NOT NULL,
    seen_at timestamp with time zone NOT NULL
)
WITH (fillfactor='50');

ALTER TABLE limits.holders OWNER TO receipts_owner;

CREATE TABLE mail.addresses (
    delivery_id uuid NOT NULL,
    address text NOT NULL,
    CONSTRAINT addresses_address_check CHECK (mail.is_address(address))
);

ALTER TABLE ONLY mail.addresses FORCE ROW LEVEL SECURITY;

ALTER TABLE mail.addresses OWNER TO receipts_owner;

CREATE TABLE mail.deliveries (
    delivery_id uuid DEFAULT gen_random_uuid() NOT NULL,
    receipt_id text NOT NULL COLLATE pg_catalog."C",
    customer_id text COLLATE pg_catalog."C",
    gift boolean NOT NULL,
    on_file boolean NOT NULL,
    email_masked text NOT NULL,
    address_digest bytea NOT NULL,
    status text DEFAULT 'scheduled'::text NOT NULL,
    requested_by text NOT NULL,
    key_digest bytea,
    requested_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    send_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    due_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    attempts smallint DEFAULT 0 NOT NULL,
    sent_at timestamp with time zone,
    detail text,
    CONSTRAINT deliveries_status_check CHECK ((status = ANY (ARRAY['scheduled'::text, 'sending'::text, 'sent'::text, 'failed'::text, 'cancelled'::text])))
);

ALTER TABLE ONLY mail.deliveries FORCE ROW LEVEL SECURITY;

ALTER TABLE mail.deliveries OWNER TO receipts_owner;

CREATE TABLE mail.digest_key (
    singleton boolean DEFAULT true NOT NULL,
    key bytea DEFAULT sha256((uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()))) NOT NULL,
    CONSTRAINT digest_key_singleton_check CHECK (singleton)
);

ALTER TABLE mail.digest_key OWNER TO receipts_owner;

CREATE TABLE operations.status (
    is_last boolean DEFAULT true NOT NULL,
    looked_at timestamp with time zone NOT NULL,
    told jsonb NOT NULL,
    CONSTRAINT status_is_last_check CHECK (is_last)
)
WITH (fillfactor='50');

ALTER TABLE operations.status OWNER TO receipts_owner;

CREATE TABLE portal.sessions (
    cookie_digest bytea NOT NULL,
    principal_id text NOT NULL,
    role text NOT NULL,
    display_name text NOT NULL,
    sealed_tokens bytea NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

ALTER TABLE portal.sessions OWNER TO receipts_owner;

CREATE TABLE portal.sign_ins (
    cookie_digest bytea NOT NULL,
    return_to text NOT NULL,
    sealed_state bytea NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

ALTER TABLE portal.sign_ins OWNER TO receipts_owner;

CREATE TABLE public.schema_migrations (
    number integer NOT NULL,
    name text NOT NULL,
    digest text NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE public.schema_migrations OWNER TO postgres;

CREATE TABLE retail.customer_contacts (
    customer_id text NOT NULL COLLATE pg_catalog."C",
    email text NOT NULL,
    email_norm text NOT NULL,
    phone text NOT NULL,
    phone_norm text NOT NULL,
    address text NOT NULL
);

ALTER TABLE ONLY retail.customer_contacts FORCE ROW LEVEL SECURITY;

ALTER TABLE retail.customer_contacts OWNER TO receipts_owner;

CREATE TABLE retail.customer_profiles (
    customer_id text NOT NULL COLLATE pg_catalog."C",
    region_ids smallint[] NOT NULL,
    lifetime_spend_cents bigint NOT NULL,
    visits integer NOT NULL,
    last_visit_at timestamp with time zone,
    document text NOT NULL
);

ALTER TABLE ONLY retail.customer_profiles FORCE ROW LEVEL SECURITY;

ALTER TABLE retail.customer_profiles OWNER TO receipts_owner;

CREATE TABLE retail.customers (
    customer_id text NOT NULL COLLATE pg_catalog."C",
    first_name text NOT NULL,
    last_name text NOT NULL,
    name_norm text NOT NULL,
    email_masked text NOT NULL,
    phone_masked text NOT NULL,
    city text NOT NULL,
    customer_since date NOT NULL,
    home_store_id integer NOT NULL,
    region_ids smallint[] NOT NULL,
    payload_digest bytea NOT NULL
);

ALTER TABLE ONLY retail.customers FORCE ROW LEVEL SECURITY;

ALTER TABLE retail.customers OWNER TO receipts_owner;

CREATE TABLE retail.exports (
    export_id uuid DEFAULT gen_random_uuid() NOT NULL,
    requested_by text NOT NULL COLLATE pg_catalog."C",
    requested_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    expires_at timestamp with time zone DEFAULT (clock_timestamp() + '01:00:00'::interval) NOT NULL,
    format text NOT NULL,
    reason text NOT NULL,
    date_from date NOT NULL,
    date_to date NOT NULL,
    store_ids integer[],
    rows_total bigint NOT NULL,
    rows_done bigint DEFAULT 0 NOT NULL,
    state text DEFAULT 'ready'::text NOT NULL,
    failure text,
    download integer DEFAULT 0 NOT NULL,
    moved_at timestamp with time zone,
    CONSTRAINT exports_check CHECK (((date_to >= date_from) AND (date_to <= (date_from + 365)))),
    CONSTRAINT exports_format_check CHECK ((format = ANY (ARRAY['csv'::text, 'parquet'::text]))),
    CONSTRAINT exports_reason_check CHECK ((reason = ANY (ARRAY['audit_request'::text, 'chargeback'::text, 'legal'::text, 'analysis'::text, 'other'::text]))),
    CONSTRAINT exports_state_check CHECK ((state = ANY (ARRAY['ready'::text, 'running'::text, 'done'::text, 'failed'::text])))
);

ALTER TABLE ONLY retail.exports FORCE ROW LEVEL SECURITY;

ALTER TABLE retail.exports OWNER TO receipts_owner;

CREATE TABLE retail.fraud_patterns (
    pattern_id text NOT NULL COLLATE pg_catalog."C",
    source text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL COLLATE pg_catalog."C",
    subject text NOT NULL COLLATE pg_catalog."C",
    subject_id text NOT NULL COLLATE pg_catalog."C",
    month date NOT NULL,
    strength integer NOT NULL,
    figures text NOT NULL,
    explanation text NOT NULL,
    receipt_types text[] NOT NULL,
    receipt_count bigint NOT NULL,
    first_at timestamp with time zone,
    last_at timestamp with time zone,
    store_ids integer[] NOT NULL,
    region_ids smallint[] NOT NULL
);

ALTER TABLE ONLY retail.fraud_patterns FORCE ROW LEVEL SECURITY;

ALTER TABLE retail.fraud_patterns OWNER TO receipts_owner;

CREATE TABLE retail.product_embeddings (
    text_digest text NOT NULL COLLATE pg_catalog."C",
    embedding public.halfvec(384) NOT NULL,
    model text NOT NULL
);

ALTER TABLE retail.product_embeddings OWNER TO receipts_owner;

CREATE TABLE retail.products (
    sku text NOT NULL COLLATE pg_catalog."C",
    description text NOT NULL,
    department text NOT NULL,
    category text NOT NULL,
    search_text text NOT NULL,
    text_digest text NOT NULL COLLATE pg_catalog."C",
    name_lexemes tsvector GENERATED ALWAYS AS (to_tsvector('english'::regconfig, split_part(search_text, ' | '::text, 1))) STORED,
    concept_lexemes tsvector GENERATED ALWAYS AS (to_tsvector('english'::regconfig, split_part(search_text, ' | '::text, 3))) STORED
);

ALTER TABLE retail.products OWNER TO receipts_owner;

CREATE TABLE retail.receipts (
    receipt_id text NOT NULL COLLATE pg_catalog."C",
    store_id integer NOT NULL,
    region_id smallint NOT NULL,
    receipt_type text NOT NULL,
    purchased_at timestamp with time zone NOT NULL,
    purchased_on date NOT NULL,
    customer_id text COLLATE pg_catalog."C",
    total_cents bigint NOT NULL,
    card_last4 text[] NOT NULL,
    skus text[] NOT NULL,
    document text NOT NULL,
    payload_digest bytea NOT NULL,
    first_digest bytea NOT NULL,
    received_at timestamp with time zone NOT NULL,
    refined_at timestamp with time zone
);

ALTER TABLE ONLY retail.receipts FORCE ROW LEVEL SECURITY;

ALTER TABLE retail.receipts OWNER TO receipts_owner;

CREATE TABLE retail.spending_insights (
    customer_id text NOT NULL COLLATE pg_catalog."C",
    month date NOT NULL,
    category text NOT NULL COLLATE pg_catalog."C",
    lines bigint NOT NULL,
    spend_cents bigint NOT NULL,
    discount_cents bigint NOT NULL
);

ALTER TABLE ONLY retail.spending_insights FORCE ROW LEVEL SECURITY;

ALTER TABLE retail.spending_insights OWNER TO receipts_owner;

CREATE TABLE retail.stores (
    store_id integer NOT NULL,
    region_id smallint NOT NULL,
    name text NOT NULL,
    name_norm text NOT NULL,
    aliases_norm text[] NOT NULL,
    time_zone text NOT NULL,
    document text NOT NULL,
    payload_digest bytea NOT NULL
);

ALTER TABLE retail.stores OWNER TO receipts_owner;

CREATE TABLE search.name_keys (
    key text NOT NULL COLLATE pg_catalog."C",
    word text NOT NULL COLLATE pg_catalog."C"
);

ALTER TABLE search.name_keys OWNER TO receipts_search;

CREATE TABLE search.name_pairs (
    last_word text NOT NULL COLLATE pg_catalog."C",
    first_word text NOT NULL COLLATE pg_catalog."C",
    name_norm text NOT NULL
);

ALTER TABLE search.name_pairs OWNER TO receipts_search;

CREATE TABLE search.names_left (
    name_norm text NOT NULL
);

ALTER TABLE search.names_left OWNER TO receipts_search;

CREATE UNLOGGED TABLE sync.arriving_customer_profiles (
    customer_id text COLLATE pg_catalog."C",
    region_ids text,
    lifetime_spend_cents bigint,
    visits integer,
    last_visit_at timestamp with time zone,
    document text
);

ALTER TABLE sync.arriving_customer_profiles OWNER TO receipts_owner;

CREATE UNLOGGED TABLE sync.arriving_fraud_patterns (
    source text,
    pattern_id text COLLATE pg_catalog."C",
    kind text,
    subject text,
    subject_id text,
    month date,
    figures text,
    explanation text,
    strength integer,
    receipt_types text,
    receipt_count bigint,
    first_at timestamp with time zone,
    last_at timestamp with time zone,
    store_ids text
);

ALTER TABLE sync.arriving_fraud_patterns OWNER TO receipts_owner;

CREATE UNLOGGED TABLE sync.arriving_product_embeddings (
    text_digest text COLLATE pg_catalog."C",
    embedding text,
    model text
);

ALTER TABLE sync.arriving_product_embeddings OWNER TO receipts_owner;

CREATE UNLOGGED TABLE sync.arriving_products (
    sku text COLLATE pg_catalog."C",
    description text,
    department text,
    category text,
    search_text text,
    text_digest text COLLATE pg_catalog."C"
);

ALTER TABLE sync.arriving_products OWNER TO receipts_owner;

CREATE UNLOGGED TABLE sync.arriving_receipts (
    receipt_id text COLLATE pg_catalog."C",
    store_id integer,
    region_id smallint,
    receipt_type text,
    purchased_at timestamp with time zone,
    purchased_on date,
    customer_id text COLLATE pg_catalog."C",
    total_cents bigint,
    card_last4 text,
    skus text,
    document text,
    payload_digest bytea,
    received_at timestamp with time zone
);

ALTER TABLE sync.arriving_receipts OWNER TO receipts_owner;

CREATE UNLOGGED TABLE sync.arriving_spending_insights (
    customer_id text COLLATE pg_catalog."C",
    month date,
    category text COLLATE pg_catalog."C",
    lines bigint,
    spend_cents bigint,
    discount_cents bigint
);

ALTER TABLE sync.arriving_spending_insights OWNER TO receipts_owner;

CREATE TABLE sync.backfills (
    table_name text NOT NULL,
    version bigint NOT NULL,
    began_empty boolean NOT NULL,
    path text DEFAULT ''::text NOT NULL,
    rows bigint DEFAULT 0 NOT NULL,
    started_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

ALTER TABLE sync.backfills OWNER TO receipts_owner;

CREATE TABLE sync.watermarks (
    table_name text NOT NULL,
    version bigint NOT NULL,
    committed_at timestamp with time zone NOT NULL,
    synced_at timestamp with time zone NOT NULL
);

ALTER TABLE sync.watermarks OWNER TO receipts_owner;

ALTER TABLE ONLY audit.events ATTACH PARTITION audit.events_other DEFAULT;

ALTER TABLE ONLY audit.projections ATTACH PARTITION audit.projections_other DEFAULT;

ALTER TABLE ONLY audit.spool ATTACH PARTITION audit.spool_other DEFAULT;

ALTER TABLE ONLY ingest.outbox ATTACH PARTITION ingest.outbox_0 FOR VALUES IN ('0');

ALTER TABLE ONLY ingest.outbox ATTACH PARTITION ingest.outbox_1 FOR VALUES IN ('1');

ALTER TABLE ONLY access.identities
    ADD CONSTRAINT identities_pkey PRIMARY KEY (issuer, subject);

ALTER TABLE ONLY access.principals
    ADD CONSTRAINT principals_pkey PRIMARY KEY (principal_id);

ALTER TABLE ONLY access.regions
    ADD CONSTRAINT regions_pkey PRIMARY KEY (region_id);

ALTER TABLE ONLY access.scopes
    ADD CONSTRAINT scopes_key UNIQUE NULLS NOT DISTINCT (role, region_ids, all_regions);

ALTER TABLE ONLY access.scopes
    ADD CONSTRAINT scopes_pkey PRIMARY KEY (scope_id);

ALTER TABLE ONLY audit.chains
    ADD CONSTRAINT chains_pkey PRIMARY KEY (chain);

ALTER TABLE ONLY audit.events
    ADD CONSTRAINT events_pkey PRIMARY KEY (occurred_at, event_id);

ALTER TABLE ONLY audit.events_other
    ADD CONSTRAINT events_other_pkey PRIMARY KEY (occurred_at, event_id);

ALTER TABLE ONLY audit.faults
    ADD CONSTRAINT faults_pkey PRIMARY KEY (chain, seq);

ALTER TABLE ONLY audit.projections
    ADD CONSTRAINT projections_pkey1 PRIMARY KEY (chain, seq);

ALTER TABLE ONLY audit.projections_other
    ADD CONSTRAINT projections_other_pkey PRIMARY KEY (chain, seq);

ALTER TABLE ONLY audit.retirements
    ADD CONSTRAINT retirements_pkey PRIMARY KEY (month, what);

ALTER TABLE ONLY audit.spool
    ADD CONSTRAINT spool_pkey PRIMARY KEY (chain, seq);

ALTER TABLE ONLY audit.spool_other
    ADD CONSTRAINT spool_other_pkey PRIMARY KEY (chain, seq);

ALTER TABLE ONLY auth.clients
    ADD CONSTRAINT clients_pkey PRIMARY KEY (client_id);

ALTER TABLE ONLY auth.codes
    ADD CONSTRAINT codes_pkey PRIMARY KEY (code_digest);

ALTER TABLE ONLY auth.refresh_tokens
    ADD CONSTRAINT refresh_tokens_pkey PRIMARY KEY (token_digest);

ALTER TABLE ONLY auth.sessions
    ADD CONSTRAINT sessions_pkey PRIMARY KEY (session_id);

ALTER TABLE ONLY auth.sign_ins
    ADD CONSTRAINT sign_ins_pkey PRIMARY KEY (state_digest);

ALTER TABLE ONLY compliance.requests
    ADD CONSTRAINT requests_pkey PRIMARY KEY (request_id);

ALTER TABLE ONLY compliance.steps
    ADD CONSTRAINT steps_pkey PRIMARY KEY (step_id);

ALTER TABLE ONLY fraud.flags
    ADD CONSTRAINT flags_pkey PRIMARY KEY (flag_id);

ALTER TABLE ONLY ingest.clients
    ADD CONSTRAINT clients_pkey PRIMARY KEY (client_id);

ALTER TABLE ONLY ingest.corrections
    ADD CONSTRAINT corrections_pkey PRIMARY KEY (receipt_id, payload_digest);

ALTER TABLE ONLY ingest.desk_orders
    ADD CONSTRAINT desk_orders_pkey PRIMARY KEY (order_id);

ALTER TABLE ONLY ingest.import_refusals
    ADD CONSTRAINT import_refusals_pkey PRIMARY KEY (content_digest, record);

ALTER TABLE ONLY ingest.imports
    ADD CONSTRAINT imports_pkey PRIMARY KEY (content_digest);

ALTER TABLE ONLY ingest.outbox_state
    ADD CONSTRAINT outbox_state_pkey PRIMARY KEY (singleton);

ALTER TABLE ONLY ingest.quarantine
    ADD CONSTRAINT quarantine_bronze_table_payload_digest_key UNIQUE (bronze_table, payload_digest);

ALTER TABLE ONLY ingest.quarantine
    ADD CONSTRAINT quarantine_pkey PRIMARY KEY (quarantine_id);

ALTER TABLE ONLY ingest.settled
    ADD CONSTRAINT settled_pkey PRIMARY KEY (bronze_table);

ALTER TABLE ONLY limits.buckets
    ADD CONSTRAINT buckets_pkey PRIMARY KEY (key);

ALTER TABLE ONLY limits.customers
    ADD CONSTRAINT customers_pkey PRIMARY KEY (principal, customer);

ALTER TABLE ONLY limits.holders
    ADD CONSTRAINT holders_pkey PRIMARY KEY (holder);

ALTER TABLE ONLY mail.addresses
    ADD CONSTRAINT addresses_pkey PRIMARY KEY (delivery_id);

ALTER TABLE ONLY mail.deliveries
    ADD CONSTRAINT deliveries_pkey PRIMARY KEY (delivery_id);

ALTER TABLE ONLY mail.deliveries
    ADD CONSTRAINT deliveries_requested_by_key_digest_key UNIQUE (requested_by, key_digest);

ALTER TABLE ONLY mail.digest_key
    ADD CONSTRAINT digest_key_pkey PRIMARY KEY (singleton);

ALTER TABLE ONLY operations.status
    ADD CONSTRAINT status_pkey PRIMARY KEY (is_last);

ALTER TABLE ONLY portal.sessions
    ADD CONSTRAINT sessions_pkey PRIMARY KEY (cookie_digest);

ALTER TABLE ONLY portal.sign_ins
    ADD CONSTRAINT sign_ins_pkey PRIMARY KEY (cookie_digest);

ALTER TABLE ONLY public.schema_migrations
    ADD CONSTRAINT schema_migrations_pkey PRIMARY KEY (number);

ALTER TABLE ONLY retail.customer_contacts
    ADD CONSTRAINT customer_contacts_pkey PRIMARY KEY (customer_id);

ALTER TABLE ONLY retail.customer_profiles
    ADD CONSTRAINT customer_profiles_pkey PRIMARY KEY (customer_id);

ALTER TABLE ONLY retail.customers
    ADD CONSTRAINT customers_pkey PRIMARY KEY (customer_id);

ALTER TABLE ONLY retail.exports
    ADD CONSTRAINT exports_pkey PRIMARY KEY (export_id);

ALTER TABLE ONLY retail.fraud_patterns
    ADD CONSTRAINT fraud_patterns_pkey PRIMARY KEY (pattern_id);

ALTER TABLE ONLY retail.product_embeddings
    ADD CONSTRAINT product_embeddings_pkey PRIMARY KEY (text_digest);

ALTER TABLE ONLY retail.products
    ADD CONSTRAINT products_pkey PRIMARY KEY (sku);

ALTER TABLE ONLY retail.receipts
    ADD CONSTRAINT receipts_pkey PRIMARY KEY (receipt_id);

ALTER TABLE ONLY retail.spending_insights
    ADD CONSTRAINT spending_insights_pkey PRIMARY KEY (customer_id, month, category);

ALTER TABLE ONLY retail.stores
    ADD CONSTRAINT stores_pkey PRIMARY KEY (store_id);

ALTER TABLE ONLY sync.backfills
    ADD CONSTRAINT backfills_pkey PRIMARY KEY (table_name);

ALTER TABLE ONLY sync.watermarks
    ADD CONSTRAINT watermarks_pkey PRIMARY KEY (table_name);

CREATE INDEX identities_by_principal ON access.identities USING btree (principal_id);

CREATE INDEX chains_open ON audit.chains USING btree (chain) WHERE (closed_at IS NULL);

CREATE INDEX events_by_customer ON ONLY audit.events USING gin (customer_ids);

CREATE INDEX events_by_opened_receipt ON ONLY audit.events USING btree ((receipt_ids[1]), occurred_at) WHERE ((outcome = 'answered'::text) AND (route = ANY (ARRAY['GET /receipt/{receipt_id}'::text, 'GET /receipt/'::text])));

CREATE INDEX events_by_outcome ON ONLY audit.events USING btree (outcome, occurred_at, event_id) WHERE (outcome <> 'answered'::text);

CREATE INDEX events_by_principal ON ONLY audit.events USING btree (principal_id, occurred_at);

CREATE INDEX events_by_purpose ON ONLY audit.events USING btree (purpose, occurred_at, event_id) WHERE (purpose <> 'customer_service'::text);

CREATE INDEX events_by_receipt ON ONLY audit.events USING gin (receipt_ids);

CREATE INDEX events_by_route ON ONLY audit.events USING btree (route, occurred_at, event_id) WHERE (route <> ALL (ARRAY['GET /receipt/{receipt_id}'::text, 'GET /customers/{customer_id}/receipts'::text, 'GET /cs/context/{customer_id}'::text, 'POST /search/'::text, 'POST /search/fuzzy/'::text]));

CREATE INDEX events_other_customer_ids_idx ON audit.events_other USING gin (customer_ids);

CREATE INDEX events_other_outcome_occurred_at_event_id_idx ON audit.events_other USING btree (outcome, occurred_at, event_id) WHERE (outcome <> 'answered'::text);

CREATE INDEX events_other_principal_id_occurred_at_idx ON audit.events_other USING btree (principal_id, occurred_at);

CREATE INDEX events_other_purpose_occurred_at_event_id_idx ON audit.events_other USING btree (purpose, occurred_at, event_id) WHERE (purpose <> 'customer_service'::text);

CREATE INDEX events_other_receipt_ids_idx ON audit.events_other USING gin (receipt_ids);

CREATE INDEX events_other_receipt_ids_occurred_at_idx ON audit.events_other USING btree ((receipt_ids[1]), occurred_at) WHERE ((outcome = 'answered'::text) AND (route = ANY (ARRAY['GET /receipt/{receipt_id}'::text, 'GET /receipt/'::text])));

CREATE INDEX events_other_route_occurred_at_event_id_idx ON audit.events_other USING btree (route, occurred_at, event_id) WHERE (route <> ALL (ARRAY['GET /receipt/{receipt_id}'::text, 'GET /customers/{customer_id}/receipts'::text, 'GET /cs/context/{customer_id}'::text, 'POST /search/'::text, 'POST /search/fuzzy/'::text]));

CREATE INDEX projections_in_order ON ONLY audit.projections USING btree ("position");

CREATE INDEX projections_other_position_idx ON audit.projections_other USING btree ("position");

CREATE INDEX codes_by_expiry ON auth.codes USING btree (expires_at);

CREATE INDEX refresh_tokens_by_session ON auth.refresh_tokens USING btree (session_id);

CREATE INDEX sessions_by_expiry ON auth.sessions USING btree (expires_at);

CREATE INDEX sessions_by_principal ON auth.sessions USING btree (principal_id);

CREATE INDEX sessions_ended ON auth.sessions USING btree (tokens_until) WHERE (ended_at IS NOT NULL);

CREATE INDEX sign_ins_by_expiry ON auth.sign_ins USING btree (expires_at);

CREATE INDEX requests_by_customer ON compliance.requests USING btree (customer_id);

CREATE INDEX requests_by_deadline ON compliance.requests USING btree (due_on, request_id);

CREATE INDEX steps_by_request ON compliance.steps USING btree (request_id, step_id);

CREATE INDEX flags_by_subject ON fraud.flags USING btree (subject_id, flag_id);

CREATE INDEX desk_orders_waiting ON ingest.desk_orders USING btree (order_id) WHERE (done_at IS NULL);

CREATE INDEX outbox_by_xid ON ONLY ingest.outbox USING btree (xid);

CREATE INDEX outbox_0_xid_idx ON ingest.outbox_0 USING btree (xid);

CREATE INDEX outbox_1_xid_idx ON ingest.outbox_1 USING btree (xid);

CREATE INDEX quarantine_by_missing_store ON ingest.quarantine USING btree (missing_store_id) WHERE ((state = 'held'::text) AND (missing_store_id IS NOT NULL));

CREATE INDEX quarantine_held ON ingest.quarantine USING btree (quarantine_id) WHERE (state = 'held'::text);

CREATE INDEX customers_by_age ON limits.customers USING btree (seen_at);

CREATE INDEX deliveries_by_age ON mail.deliveries USING btree (requested_at);

CREATE INDEX deliveries_by_receipt ON mail.deliveries USING btree (receipt_id, requested_at DESC);

CREATE INDEX deliveries_waiting ON mail.deliveries USING btree (due_at) WHERE (status = ANY (ARRAY['scheduled'::text, 'sending'::text]));

CREATE INDEX sessions_by_expiry ON portal.sessions USING btree (expires_at);

CREATE INDEX sessions_by_principal ON portal.sessions USING btree (principal_id);

CREATE INDEX sign_ins_by_expiry ON portal.sign_ins USING btree (expires_at);

CREATE INDEX customer_contacts_by_email ON retail.customer_contacts USING btree (email_norm);

CREATE INDEX customer_contacts_by_phone ON retail.customer_contacts USING btree (phone_norm);

CREATE INDEX customers_by_name ON retail.customers USING btree (name_norm text_pattern_ops);

CREATE INDEX customers_by_name_key ON retail.customers USING gin (retail.name_keys(name_norm));

CREATE INDEX exports_by_person ON retail.exports USING btree (requested_by, requested_at DESC);

CREATE INDEX fraud_patterns_by_strength ON retail.fraud_patterns USING btree (strength DESC, pattern_id);

CREATE INDEX product_embeddings_nearest ON retail.product_embeddings USING hnsw (embedding public.halfvec_cosine_ops) WITH (m='16', ef_construction='200');

CREATE INDEX products_by_concept_lexeme ON retail.products USING gin (concept_lexemes);

CREATE INDEX products_by_name_lexeme ON retail.products USING gin (name_lexemes);

CREATE INDEX products_by_text ON retail.products USING btree (text_digest);

CREATE INDEX receipts_by_card ON retail.receipts USING gin (card_last4);

CREATE INDEX receipts_by_customer ON retail.receipts USING btree (customer_id, purchased_at DESC, receipt_id DESC) WHERE (customer_id IS NOT NULL);

CREATE INDEX receipts_by_day ON retail.receipts USING btree (purchased_on, total_cents);

CREATE INDEX receipts_by_operator ON retail.receipts USING btree (retail.operator_key(document), purchased_on) WHERE (retail.operator_key(document) <> ''::text);

CREATE INDEX receipts_by_original ON retail.receipts USING btree ((((document)::jsonb ->> 'original_receipt_id'::text))) WHERE (receipt_type = 'return'::text);

CREATE INDEX receipts_by_sku_key ON retail.receipts USING gin (retail.sku_keys(skus, purchased_on));

CREATE INDEX receipts_by_store_day ON retail.receipts USING btree (store_id, purchased_on, total_cents);

CREATE INDEX name_keys_by_key ON search.name_keys USING btree (key, word);

CREATE INDEX name_pairs_by_first ON search.name_pairs USING btree (first_word, last_word) INCLUDE (name_norm);

CREATE INDEX name_pairs_by_last ON search.name_pairs USING btree (last_word, first_word) INCLUDE (name_norm);

ALTER INDEX audit.events_by_customer ATTACH PARTITION audit.events_other_customer_ids_idx;

ALTER INDEX audit.events_by_outcome ATTACH PARTITION audit.events_other_outcome_occurred_at_event_id_idx;

ALTER INDEX audit.events_pkey ATTACH PARTITION audit.events_other_pkey;

ALTER INDEX audit.events_by_principal ATTACH PARTITION audit.events_other_principal_id_occurred_at_idx;

ALTER INDEX audit.events_by_purpose ATTACH PARTITION audit.events_other_purpose_occurred_at_event_id_idx;

ALTER INDEX audit.events_by_receipt ATTACH PARTITION audit.events_other_receipt_ids_idx;

ALTER INDEX audit.events_by_opened_receipt ATTACH PARTITION audit.events_other_receipt_ids_occurred_at_idx;

ALTER INDEX audit.events_by_route ATTACH PARTITION audit.events_other_route_occurred_at_event_id_idx;

ALTER INDEX audit.projections_pkey1 ATTACH PARTITION audit.projections_other_pkey;

ALTER INDEX audit.projections_in_order ATTACH PARTITION audit.projections_other_position_idx;

ALTER INDEX audit.spool_pkey ATTACH PARTITION audit.spool_other_pkey;

ALTER INDEX ingest.outbox_by_xid ATTACH PARTITION ingest.outbox_0_xid_idx;

ALTER INDEX ingest.outbox_by_xid ATTACH PARTITION ingest.outbox_1_xid_idx;

CREATE TRIGGER append_only BEFORE DELETE ON audit.chains FOR EACH ROW EXECUTE FUNCTION audit.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON audit.events FOR EACH ROW EXECUTE FUNCTION audit.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON audit.faults FOR EACH ROW EXECUTE FUNCTION audit.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON audit.projections FOR EACH ROW EXECUTE FUNCTION audit.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON audit.retirements FOR EACH ROW EXECUTE FUNCTION audit.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON audit.spool FOR EACH ROW EXECUTE FUNCTION audit.refuse_change();

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON audit.chains FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON audit.events FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON audit.events_other FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON audit.faults FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON audit.projections FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON audit.projections_other FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON audit.retirements FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON audit.spool FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON audit.spool_other FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE ON compliance.steps FOR EACH ROW EXECUTE FUNCTION compliance.refuse_change();

CREATE TRIGGER kept BEFORE DELETE ON compliance.requests FOR EACH ROW EXECUTE FUNCTION compliance.refuse_change();

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON compliance.steps FOR EACH STATEMENT EXECUTE FUNCTION compliance.refuse_change();

CREATE TRIGGER forget_address AFTER UPDATE OF status ON mail.deliveries FOR EACH ROW WHEN ((new.status = ANY (ARRAY['sent'::text, 'failed'::text, 'cancelled'::text]))) EXECUTE FUNCTION mail.forget_address();

CREATE TRIGGER learn_renamed AFTER UPDATE OF name_norm ON retail.customers FOR EACH ROW WHEN ((old.name_norm <> new.name_norm)) EXECUTE FUNCTION search.learn_renamed();

CREATE TRIGGER learn_written AFTER INSERT ON retail.customers REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION search.learn_written();

CREATE TRIGGER note_deleted AFTER DELETE ON retail.customers REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION search.note_deleted();

ALTER TABLE ONLY access.identities
    ADD CONSTRAINT identities_principal_id_fkey FOREIGN KEY (principal_id) REFERENCES access.principals(principal_id);

ALTER TABLE ONLY auth.clients
    ADD CONSTRAINT clients_client_id_fkey FOREIGN KEY (client_id) REFERENCES access.principals(principal_id);

ALTER TABLE ONLY auth.refresh_tokens
    ADD CONSTRAINT refresh_tokens_session_id_fkey FOREIGN KEY (session_id) REFERENCES auth.sessions(session_id) ON DELETE CASCADE;

ALTER TABLE ONLY compliance.steps
    ADD CONSTRAINT steps_request_id_fkey FOREIGN KEY (request_id) REFERENCES compliance.requests(request_id);

ALTER TABLE ONLY ingest.desk_orders
    ADD CONSTRAINT desk_orders_quarantine_id_fkey FOREIGN KEY (quarantine_id) REFERENCES ingest.quarantine(quarantine_id);

ALTER TABLE ONLY ingest.import_refusals
    ADD CONSTRAINT import_refusals_content_digest_fkey FOREIGN KEY (content_digest) REFERENCES ingest.imports(content_digest) ON DELETE CASCADE;

ALTER TABLE ONLY mail.addresses
    ADD CONSTRAINT addresses_delivery_id_fkey FOREIGN KEY (delivery_id) REFERENCES mail.deliveries(delivery_id) ON DELETE CASCADE;

ALTER TABLE ONLY retail.customer_contacts
    ADD CONSTRAINT customer_contacts_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES retail.customers(customer_id) ON DELETE CASCADE;

CREATE POLICY officers ON compliance.requests TO receipts_owner, receipts_api USING ((( SELECT access.my_role() AS my_role) = 'privacy_officer'::text));

CREATE POLICY officers ON compliance.steps TO receipts_owner, receipts_api USING ((( SELECT access.my_role() AS my_role) = 'privacy_officer'::text));

ALTER TABLE compliance.requests ENABLE ROW LEVEL SECURITY;

ALTER TABLE compliance.steps ENABLE ROW LEVEL SECURITY;

ALTER TABLE fraud.flags ENABLE ROW LEVEL SECURITY;

CREATE POLICY raised ON fraud.flags FOR INSERT TO receipts_api WITH CHECK (((state = 'open'::text) AND (fraud.regions_of(subject, subject_id) IS NOT NULL)));

CREATE POLICY reviewed ON fraud.flags FOR UPDATE TO receipts_api USING (((state = 'open'::text) AND (fraud.regions_of(subject, subject_id) IS NOT NULL))) WITH CHECK ((state <> 'open'::text));

CREATE POLICY seen ON fraud.flags FOR SELECT TO receipts_api USING ((fraud.regions_of(subject, subject_id) IS NOT NULL));

ALTER TABLE mail.addresses ENABLE ROW LEVEL SECURITY;

ALTER TABLE mail.deliveries ENABLE ROW LEVEL SECURITY;

CREATE POLICY deliveries_asked ON mail.addresses TO receipts_owner USING (true);

CREATE POLICY deliveries_asked ON mail.deliveries TO receipts_owner USING ((EXISTS ( SELECT
   FROM retail.receipts r
  WHERE (r.receipt_id = deliveries.receipt_id))));

CREATE POLICY mailer ON mail.addresses FOR SELECT TO receipts_mailer USING ((EXISTS ( SELECT
   FROM mail.deliveries d
  WHERE ((d.delivery_id = addresses.delivery_id) AND (d.status = 'sending'::text)))));

CREATE POLICY mailer ON mail.deliveries TO receipts_mailer USING (true);

CREATE POLICY own_regions ON mail.deliveries FOR SELECT TO receipts_api USING ((EXISTS ( SELECT
   FROM retail.receipts r
  WHERE (r.receipt_id = deliveries.receipt_id))));

CREATE POLICY taken_back ON mail.deliveries FOR UPDATE TO receipts_api USING (((status = 'scheduled'::text) AND (EXISTS ( SELECT
   FROM retail.receipts r
  WHERE (r.receipt_id = deliveries.receipt_id))))) WITH CHECK ((status = 'cancelled'::text));

CREATE POLICY watchers ON mail.deliveries FOR SELECT TO receipts_pipeline USING ((status = ANY (ARRAY['scheduled'::text, 'sending'::text])));

ALTER TABLE retail.customer_contacts ENABLE ROW LEVEL SECURITY;

ALTER TABLE retail.customer_profiles ENABLE ROW LEVEL SECURITY;

ALTER TABLE retail.customers ENABLE ROW LEVEL SECURITY;

CREATE POLICY deliveries_asked ON retail.customer_contacts FOR SELECT TO receipts_owner USING ((EXISTS ( SELECT
   FROM retail.receipts r
  WHERE (r.customer_id = customer_contacts.customer_id))));

CREATE POLICY deliveries_asked ON retail.customers FOR SELECT TO receipts_owner USING ((EXISTS ( SELECT
   FROM retail.receipts r
  WHERE (r.customer_id = customers.customer_id))));

CREATE POLICY deliveries_asked ON retail.receipts FOR SELECT TO receipts_owner USING ((region_id = ANY (( SELECT access.my_regions() AS my_regions)::smallint[])));

ALTER TABLE retail.exports ENABLE ROW LEVEL SECURITY;

ALTER TABLE retail.fraud_patterns ENABLE ROW LEVEL SECURITY;

CREATE POLICY mailer ON retail.receipts FOR SELECT TO receipts_mailer USING ((EXISTS ( SELECT
   FROM mail.deliveries d
  WHERE ((d.receipt_id = receipts.receipt_id) AND (d.status = 'sending'::text)))));

CREATE POLICY own ON retail.exports TO receipts_api USING (((requested_by = ( SELECT access.my_principal() AS my_principal)) AND (( SELECT access.my_role() AS my_role) = ANY (ARRAY['supervisor'::text, 'fraud_team'::text]))));

CREATE POLICY own_regions ON retail.customer_contacts FOR SELECT TO receipts_owner USING ((EXISTS ( SELECT
   FROM retail.customers c
  WHERE (c.customer_id = customer_contacts.customer_id))));

CREATE POLICY own_regions ON retail.customer_profiles FOR SELECT TO receipts_api USING ((region_ids && ( SELECT access.my_regions() AS my_regions)));

CREATE POLICY own_regions ON retail.customers FOR SELECT TO receipts_owner, receipts_api USING ((region_ids && ( SELECT access.my_regions() AS my_regions)));

CREATE POLICY own_regions ON retail.fraud_patterns FOR SELECT TO receipts_api USING ((region_ids && ( SELECT access.my_regions() AS my_regions)));

CREATE POLICY own_regions ON retail.receipts FOR SELECT TO receipts_api USING ((region_id = ANY (( SELECT access.my_regions() AS my_regions)::smallint[])));

CREATE POLICY own_regions ON retail.spending_insights FOR SELECT TO receipts_api USING ((EXISTS ( SELECT
   FROM retail.customer_profiles p
  WHERE (p.customer_id = spending_insights.customer_id))));

ALTER TABLE retail.receipts ENABLE ROW LEVEL SECURITY;

ALTER TABLE retail.spending_insights ENABLE ROW LEVEL SECURITY;

CREATE POLICY writers ON retail.customer_contacts TO receipts_ingest USING (true) WITH CHECK (true);

CREATE POLICY writers ON retail.customer_profiles TO receipts_pipeline USING (true) WITH CHECK (true);

CREATE POLICY writers ON retail.customers TO receipts_ingest, receipts_pipeline USING (true) WITH CHECK (true);

CREATE POLICY writers ON retail.fraud_patterns TO receipts_pipeline USING (true) WITH CHECK (true);

CREATE POLICY writers ON retail.receipts TO receipts_ingest, receipts_pipeline USING (true) WITH CHECK (true);

CREATE POLICY writers ON retail.spending_insights TO receipts_pipeline USING (true) WITH CHECK (true);

GRANT USAGE ON SCHEMA access TO receipts_api;
GRANT USAGE ON SCHEMA access TO receipts_auth;
GRANT USAGE ON SCHEMA access TO receipts_search;
GRANT USAGE ON SCHEMA access TO receipts_ingest;

GRANT USAGE ON SCHEMA audit TO receipts_api;
GRANT USAGE ON SCHEMA audit TO receipts_auth;
GRANT USAGE ON SCHEMA audit TO receipts_pipeline;
GRANT USAGE ON SCHEMA audit TO receipts_retention;

GRANT USAGE ON SCHEMA auth TO receipts_auth;
GRANT USAGE ON SCHEMA auth TO receipts_api;

GRANT USAGE ON SCHEMA compliance TO receipts_api;

GRANT USAGE ON SCHEMA fraud TO receipts_api;

GRANT USAGE ON SCHEMA ingest TO receipts_ingest;
GRANT USAGE ON SCHEMA ingest TO receipts_pipeline;
GRANT USAGE ON SCHEMA ingest TO receipts_api;

GRANT USAGE ON SCHEMA limits TO receipts_api;
GRANT USAGE ON SCHEMA limits TO receipts_auth;

GRANT USAGE ON SCHEMA mail TO receipts_api;
GRANT USAGE ON SCHEMA mail TO receipts_mailer;
GRANT USAGE ON SCHEMA mail TO receipts_pipeline;

GRANT USAGE ON SCHEMA operations TO receipts_pipeline;
GRANT USAGE ON SCHEMA operations TO receipts_api;

GRANT USAGE ON SCHEMA portal TO receipts_portal;

GRANT USAGE ON SCHEMA retail TO receipts_ingest;
GRANT USAGE ON SCHEMA retail TO receipts_pipeline;
GRANT USAGE ON SCHEMA retail TO receipts_api;
GRANT USAGE ON SCHEMA retail TO receipts_search;
GRANT USAGE ON SCHEMA retail TO receipts_mailer;

GRANT USAGE ON SCHEMA search TO receipts_api;
GRANT USAGE ON SCHEMA search TO receipts_pipeline;
GRANT USAGE ON SCHEMA search TO receipts_owner;

GRANT USAGE ON SCHEMA sync TO receipts_pipeline;
GRANT USAGE ON SCHEMA sync TO receipts_api;
GRANT USAGE ON SCHEMA sync TO receipts_ingest;

REVOKE ALL ON FUNCTION access.admit(p_issuer text, p_subject text, p_display_name text, p_role text, p_region_ids smallint[], p_all_regions boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION access.admit(p_issuer text, p_subject text, p_display_name text, p_role text, p_region_ids smallint[], p_all_regions boolean) TO receipts_auth;

REVOKE ALL ON FUNCTION access.list_principals() FROM PUBLIC;
GRANT ALL ON FUNCTION access.list_principals() TO receipts_auth;

REVOKE ALL ON FUNCTION access.my_principal() FROM PUBLIC;
GRANT ALL ON FUNCTION access.my_principal() TO receipts_api;

REVOKE ALL ON FUNCTION access.my_regions() FROM PUBLIC;
GRANT ALL ON FUNCTION access.my_regions() TO receipts_api;
GRANT ALL ON FUNCTION access.my_regions() TO receipts_search;

REVOKE ALL ON FUNCTION access.my_role() FROM PUBLIC;
GRANT ALL ON FUNCTION access.my_role() TO receipts_api;

REVOKE ALL ON FUNCTION access.open_scope(p_principal_id text) FROM PUBLIC;
GRANT ALL ON FUNCTION access.open_scope(p_principal_id text) TO receipts_auth;

REVOKE ALL ON FUNCTION audit.drop_expired(p_month date, p_years integer) FROM PUBLIC;
GRANT ALL ON FUNCTION audit.drop_expired(p_month date, p_years integer) TO receipts_retention;

REVOKE ALL ON FUNCTION audit.extend(p_chain bigint, p_seq bigint, p_previous bytea, p_payload text) FROM PUBLIC;
GRANT ALL ON FUNCTION audit.extend(p_chain bigint, p_seq bigint, p_previous bytea, p_payload text) TO receipts_api;
GRANT ALL ON FUNCTION audit.extend(p_chain bigint, p_seq bigint, p_previous bytea, p_payload text) TO receipts_auth;

REVOKE ALL ON FUNCTION audit.is_readable(p_payload text) FROM PUBLIC;

REVOKE ALL ON FUNCTION audit.list_months() FROM PUBLIC;
GRANT ALL ON FUNCTION audit.list_months() TO receipts_retention;
GRANT ALL ON FUNCTION audit.list_months() TO receipts_pipeline;

REVOKE ALL ON FUNCTION audit.list_views(p_receipt_id text, p_most integer) FROM PUBLIC;
GRANT ALL ON FUNCTION audit.list_views(p_receipt_id text, p_most integer) TO receipts_api;

REVOKE ALL ON FUNCTION audit.make_partitions(p_today date) FROM PUBLIC;
GRANT ALL ON FUNCTION audit.make_partitions(p_today date) TO receipts_pipeline;

REVOKE ALL ON FUNCTION audit.open_chain() FROM PUBLIC;
GRANT ALL ON FUNCTION audit.open_chain() TO receipts_api;
GRANT ALL ON FUNCTION audit.open_chain() TO receipts_auth;

REVOKE ALL ON FUNCTION audit.project(p_most integer) FROM PUBLIC;
GRANT ALL ON FUNCTION audit.project(p_most integer) TO receipts_pipeline;

REVOKE ALL ON FUNCTION audit.record_retirement(p_month date, p_what text, p_groups bigint, p_events bigint) FROM PUBLIC;

REVOKE ALL ON FUNCTION audit.retire_spool(p_month date) FROM PUBLIC;
GRANT ALL ON FUNCTION audit.retire_spool(p_month date) TO receipts_retention;

REVOKE ALL ON FUNCTION auth.list_ended_sessions() FROM PUBLIC;
GRANT ALL ON FUNCTION auth.list_ended_sessions() TO receipts_auth;
GRANT ALL ON FUNCTION auth.list_ended_sessions() TO receipts_api;

REVOKE ALL ON FUNCTION auth.rotate(p_digest bytea, p_next bytea, p_client_id text, p_idle_s integer, p_tokens_s integer, p_grace_s integer) FROM PUBLIC;
GRANT ALL ON FUNCTION auth.rotate(p_digest bytea, p_next bytea, p_client_id text, p_idle_s integer, p_tokens_s integer, p_grace_s integer) TO receipts_auth;

REVOKE ALL ON FUNCTION compliance.take_step(p_request_id bigint, p_step text, p_reason text, p_today date) FROM PUBLIC;
GRANT ALL ON FUNCTION compliance.take_step(p_request_id bigint, p_step text, p_reason text, p_today date) TO receipts_api;

REVOKE ALL ON FUNCTION fraud.regions_of(p_subject text, p_subject_id text) FROM PUBLIC;
GRANT ALL ON FUNCTION fraud.regions_of(p_subject text, p_subject_id text) TO receipts_api;

REVOKE ALL ON FUNCTION ingest.rotate_outbox(p_bytes bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION ingest.rotate_outbox(p_bytes bigint) TO receipts_ingest;

REVOKE ALL ON FUNCTION limits.count_customers(p_principal bytea, p_customers bytea[], p_cap integer) FROM PUBLIC;
GRANT ALL ON FUNCTION limits.count_customers(p_principal bytea, p_customers bytea[], p_cap integer) TO receipts_api;

REVOKE ALL ON FUNCTION limits.lease(p_holder uuid, p_keys bytea[], p_wanted integer[], p_intervals_ns bigint[], p_bursts integer[]) FROM PUBLIC;
GRANT ALL ON FUNCTION limits.lease(p_holder uuid, p_keys bytea[], p_wanted integer[], p_intervals_ns bigint[], p_bursts integer[]) TO receipts_api;
GRANT ALL ON FUNCTION limits.lease(p_holder uuid, p_keys bytea[], p_wanted integer[], p_intervals_ns bigint[], p_bursts integer[]) TO receipts_auth;

REVOKE ALL ON FUNCTION limits.take(p_full_at bigint, p_now bigint, p_interval_ns bigint, p_burst integer, p_wanted integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION mail.forget_address() FROM PUBLIC;

REVOKE ALL ON FUNCTION mail.is_address(p_text text) FROM PUBLIC;

REVOKE ALL ON FUNCTION mail.list_sent(p_receipt_id text, p_most integer) FROM PUBLIC;
GRANT ALL ON FUNCTION mail.list_sent(p_receipt_id text, p_most integer) TO receipts_api;

REVOKE ALL ON FUNCTION mail.schedule(p_receipt_id text, p_email text, p_email_masked text, p_gift boolean, p_requested_by text, p_key text, p_undo_s double precision) FROM PUBLIC;
GRANT ALL ON FUNCTION mail.schedule(p_receipt_id text, p_email text, p_email_masked text, p_gift boolean, p_requested_by text, p_key text, p_undo_s double precision) TO receipts_api;

REVOKE ALL ON FUNCTION operations.find_status(p_principal_id text) FROM PUBLIC;
GRANT ALL ON FUNCTION operations.find_status(p_principal_id text) TO receipts_api;

REVOKE ALL ON FUNCTION retail.find_context(p_scope text, p_customer_id text) FROM PUBLIC;
GRANT ALL ON FUNCTION retail.find_context(p_scope text, p_customer_id text) TO receipts_api;

REVOKE ALL ON FUNCTION retail.find_receipts(p_scope text, p_receipt_ids text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION retail.find_receipts(p_scope text, p_receipt_ids text[]) TO receipts_api;

REVOKE ALL ON FUNCTION retail.find_receipts_on_record(p_scope text, p_receipt_ids text, p_events text, p_chain bigint, p_seq bigint, p_previous bytea) FROM PUBLIC;
GRANT ALL ON FUNCTION retail.find_receipts_on_record(p_scope text, p_receipt_ids text, p_events text, p_chain bigint, p_seq bigint, p_previous bytea) TO receipts_api;

REVOKE ALL ON FUNCTION retail.list_receipts(p_scope text, p_customer_id text, p_before_at timestamp with time zone, p_before_id text, p_rows integer) FROM PUBLIC;
GRANT ALL ON FUNCTION retail.list_receipts(p_scope text, p_customer_id text, p_before_at timestamp with time zone, p_before_id text, p_rows integer) TO receipts_api;

REVOKE ALL ON FUNCTION retail.reveal_contacts(p_scope text, p_customer_id text) FROM PUBLIC;
GRANT ALL ON FUNCTION retail.reveal_contacts(p_scope text, p_customer_id text) TO receipts_api;

REVOKE ALL ON FUNCTION search.bearers_of(p_name_norm text, p_regions smallint[], p_most integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION search.find_customers_by_contact(p_email_norm text, p_phone_norm text, p_most integer) FROM PUBLIC;
GRANT ALL ON FUNCTION search.find_customers_by_contact(p_email_norm text, p_phone_norm text, p_most integer) TO receipts_api;

REVOKE ALL ON FUNCTION search.find_people(p_spellings text[], p_starts integer[], p_ends integer[], p_costs real[], p_names integer, p_bearers integer) FROM PUBLIC;
GRANT ALL ON FUNCTION search.find_people(p_spellings text[], p_starts integer[], p_ends integer[], p_costs real[], p_names integer, p_bearers integer) TO receipts_api;

REVOKE ALL ON FUNCTION search.forget_names() FROM PUBLIC;
GRANT ALL ON FUNCTION search.forget_names() TO receipts_pipeline;

REVOKE ALL ON FUNCTION search.keys_of(p_word text) FROM PUBLIC;

REVOKE ALL ON FUNCTION search.learn_names(p_names text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION search.learn_renamed() FROM PUBLIC;
GRANT ALL ON FUNCTION search.learn_renamed() TO receipts_owner;

REVOKE ALL ON FUNCTION search.learn_written() FROM PUBLIC;
GRANT ALL ON FUNCTION search.learn_written() TO receipts_owner;

REVOKE ALL ON FUNCTION search.list_returns(p_receipt_id text, p_most integer) FROM PUBLIC;
GRANT ALL ON FUNCTION search.list_returns(p_receipt_id text, p_most integer) TO receipts_api;

REVOKE ALL ON FUNCTION search.near_words(p_spellings text[], p_starts integer[], p_ends integer[], p_costs real[], p_edits integer, p_most integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION search.nearest_products(p_embedding public.halfvec, p_most integer, p_skus text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION search.note_deleted() FROM PUBLIC;
GRANT ALL ON FUNCTION search.note_deleted() TO receipts_owner;

REVOKE ALL ON FUNCTION search.pairs_of(p_name_norm text) FROM PUBLIC;

REVOKE ALL ON FUNCTION search.related_names(p_words text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION search.search_customers(p_words text[], p_most integer) FROM PUBLIC;
GRANT ALL ON FUNCTION search.search_customers(p_words text[], p_most integer) TO receipts_api;

REVOKE ALL ON FUNCTION search.search_products(p_lexical text, p_embedding public.halfvec, p_most integer, p_skus text[]) FROM PUBLIC;

REVOKE ALL ON FUNCTION search.search_receipts(p_receipt_id text, p_store_ids integer[], p_store_scores real[], p_date_from date, p_date_to date, p_date_tolerance integer, p_low bigint, p_high bigint, p_amount_tolerance bigint, p_customer_ids text[], p_customer_scores real[], p_card text, p_tenders text[], p_skus text[], p_terms integer[], p_similarities real[], p_literals boolean[], p_phrases integer, p_without text[], p_after_score real, p_after_at timestamp with time zone, p_after_id text, p_rows integer) FROM PUBLIC;
GRANT ALL ON FUNCTION search.search_receipts(p_receipt_id text, p_store_ids integer[], p_store_scores real[], p_date_from date, p_date_to date, p_date_tolerance integer, p_low bigint, p_high bigint, p_amount_tolerance bigint, p_customer_ids text[], p_customer_scores real[], p_card text, p_tenders text[], p_skus text[], p_terms integer[], p_similarities real[], p_literals boolean[], p_phrases integer, p_without text[], p_after_score real, p_after_at timestamp with time zone, p_after_id text, p_rows integer) TO receipts_api;

REVOKE ALL ON FUNCTION search.search_receipts(p_receipt_id text, p_store_ids integer[], p_store_scores real[], p_date_from date, p_date_to date, p_date_tolerance integer, p_low bigint, p_high bigint, p_amount_tolerance bigint, p_customer_ids text[], p_customer_scores real[], p_card text, p_tenders text[], p_skus text[], p_terms integer[], p_similarities real[], p_literals boolean[], p_phrases integer, p_without text[], p_register integer, p_operator text, p_number_from integer, p_number_to integer, p_time_from time without time zone, p_time_to time without time zone, p_after_score real, p_after_at timestamp with time zone, p_after_id text, p_rows integer) FROM PUBLIC;
GRANT ALL ON FUNCTION search.search_receipts(p_receipt_id text, p_store_ids integer[], p_store_scores real[], p_date_from date, p_date_to date, p_date_tolerance integer, p_low bigint, p_high bigint, p_amount_tolerance bigint, p_customer_ids text[], p_customer_scores real[], p_card text, p_tenders text[], p_skus text[], p_terms integer[], p_similarities real[], p_literals boolean[], p_phrases integer, p_without text[], p_register integer, p_operator text, p_number_from integer, p_number_to integer, p_time_from time without time zone, p_time_to time without time zone, p_after_score real, p_after_at timestamp with time zone, p_after_id text, p_rows integer) TO receipts_api;

REVOKE ALL ON FUNCTION search.search_terms(p_lexical text[], p_embeddings text[], p_most integer) FROM PUBLIC;
GRANT ALL ON FUNCTION search.search_terms(p_lexical text[], p_embeddings text[], p_most integer) TO receipts_api;

REVOKE ALL ON FUNCTION search.sound_of(p_word text) FROM PUBLIC;

REVOKE ALL ON FUNCTION search.words_of(p_name_norm text) FROM PUBLIC;

GRANT SELECT ON TABLE access.regions TO receipts_api;
GRANT SELECT ON TABLE access.regions TO receipts_auth;
GRANT SELECT,INSERT,UPDATE ON TABLE access.regions TO receipts_ingest;

GRANT SELECT ON TABLE audit.chains TO receipts_pipeline;

GRANT SELECT ON TABLE audit.events TO receipts_pipeline;

GRANT SELECT ON TABLE audit.faults TO receipts_pipeline;

GRANT SELECT ON TABLE audit.projections TO receipts_pipeline;

GRANT SELECT ON TABLE audit.retirements TO receipts_pipeline;

GRANT SELECT ON TABLE audit.spool TO receipts_pipeline;

GRANT SELECT ON TABLE audit.trail TO receipts_api;

GRANT SELECT ON TABLE auth.clients TO receipts_auth;

GRANT SELECT,INSERT,DELETE ON TABLE auth.codes TO receipts_auth;

GRANT SELECT,INSERT ON TABLE auth.refresh_tokens TO receipts_auth;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE auth.sessions TO receipts_auth;

GRANT SELECT,INSERT,DELETE ON TABLE auth.sign_ins TO receipts_auth;

GRANT SELECT ON TABLE compliance.requests TO receipts_api;

GRANT INSERT(kind) ON TABLE compliance.requests TO receipts_api;

GRANT INSERT(law) ON TABLE compliance.requests TO receipts_api;

GRANT INSERT(customer_id) ON TABLE compliance.requests TO receipts_api;

GRANT INSERT(channel) ON TABLE compliance.requests TO receipts_api;

GRANT INSERT(received_on) ON TABLE compliance.requests TO receipts_api;

GRANT INSERT(confirm_by) ON TABLE compliance.requests TO receipts_api;

GRANT INSERT(due_on) ON TABLE compliance.requests TO receipts_api;

GRANT INSERT(extended_due_on) ON TABLE compliance.requests TO receipts_api;

GRANT INSERT(opened_by) ON TABLE compliance.requests TO receipts_api;

GRANT SELECT ON TABLE compliance.steps TO receipts_api;

GRANT SELECT ON TABLE fraud.flags TO receipts_api;

GRANT INSERT(subject) ON TABLE fraud.flags TO receipts_api;

GRANT INSERT(subject_id) ON TABLE fraud.flags TO receipts_api;

GRANT INSERT(reason) ON TABLE fraud.flags TO receipts_api;

GRANT INSERT(note) ON TABLE fraud.flags TO receipts_api;

GRANT UPDATE(state) ON TABLE fraud.flags TO receipts_api;

GRANT INSERT(raised_by) ON TABLE fraud.flags TO receipts_api;

GRANT UPDATE(reviewed_by) ON TABLE fraud.flags TO receipts_api;

GRANT UPDATE(reviewed_at) ON TABLE fraud.flags TO receipts_api;

GRANT UPDATE(review_note) ON TABLE fraud.flags TO receipts_api;

GRANT SELECT ON TABLE ingest.clients TO receipts_ingest;

GRANT SELECT,INSERT ON TABLE ingest.corrections TO receipts_ingest;

GRANT SELECT,UPDATE ON TABLE ingest.desk_orders TO receipts_ingest;
GRANT SELECT,INSERT ON TABLE ingest.desk_orders TO receipts_api;

GRANT USAGE ON SEQUENCE ingest.gateway_numbers TO receipts_ingest;

GRANT SELECT,INSERT ON TABLE ingest.import_refusals TO receipts_ingest;
GRANT SELECT ON TABLE ingest.import_refusals TO receipts_pipeline;

GRANT SELECT,INSERT,UPDATE ON TABLE ingest.imports TO receipts_ingest;
GRANT SELECT ON TABLE ingest.imports TO receipts_pipeline;

GRANT SELECT,INSERT,DELETE ON TABLE ingest.outbox TO receipts_ingest;
GRANT SELECT ON TABLE ingest.outbox TO receipts_pipeline;

GRANT SELECT ON TABLE ingest.outbox_state TO receipts_ingest;
GRANT SELECT ON TABLE ingest.outbox_state TO receipts_pipeline;

GRANT UPDATE(drained) ON TABLE ingest.outbox_state TO receipts_ingest;

GRANT SELECT,INSERT,UPDATE ON TABLE ingest.quarantine TO receipts_ingest;
GRANT SELECT ON TABLE ingest.quarantine TO receipts_pipeline;
GRANT SELECT ON TABLE ingest.quarantine TO receipts_api;

GRANT SELECT,INSERT,UPDATE ON TABLE ingest.settled TO receipts_ingest;
GRANT SELECT ON TABLE ingest.settled TO receipts_pipeline;

GRANT SELECT ON TABLE mail.addresses TO receipts_mailer;

GRANT SELECT ON TABLE mail.deliveries TO receipts_api;
GRANT SELECT,DELETE ON TABLE mail.deliveries TO receipts_mailer;

GRANT UPDATE(status) ON TABLE mail.deliveries TO receipts_api;
GRANT UPDATE(status) ON TABLE mail.deliveries TO receipts_mailer;
GRANT SELECT(status) ON TABLE mail.deliveries TO receipts_pipeline;

GRANT SELECT(send_at) ON TABLE mail.deliveries TO receipts_pipeline;

GRANT UPDATE(due_at) ON TABLE mail.deliveries TO receipts_mailer;
GRANT SELECT(due_at) ON TABLE mail.deliveries TO receipts_pipeline;

GRANT UPDATE(attempts) ON TABLE mail.deliveries TO receipts_mailer;

GRANT UPDATE(sent_at) ON TABLE mail.deliveries TO receipts_mailer;

GRANT UPDATE(detail) ON TABLE mail.deliveries TO receipts_mailer;

GRANT SELECT,INSERT,UPDATE ON TABLE operations.status TO receipts_pipeline;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE portal.sessions TO receipts_portal;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE portal.sign_ins TO receipts_portal;

GRANT SELECT,INSERT,UPDATE ON TABLE retail.customer_contacts TO receipts_ingest;

GRANT SELECT(customer_id) ON TABLE retail.customer_contacts TO receipts_search;

GRANT SELECT(email_norm) ON TABLE retail.customer_contacts TO receipts_search;

GRANT SELECT(phone_norm) ON TABLE retail.customer_contacts TO receipts_search;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE retail.customer_profiles TO receipts_pipeline;
GRANT SELECT ON TABLE retail.customer_profiles TO receipts_api;

GRANT SELECT,INSERT,UPDATE ON TABLE retail.customers TO receipts_ingest;
GRANT SELECT ON TABLE retail.customers TO receipts_pipeline;
GRANT SELECT ON TABLE retail.customers TO receipts_api;
GRANT SELECT ON TABLE retail.customers TO receipts_search;

GRANT UPDATE(region_ids) ON TABLE retail.customers TO receipts_pipeline;

GRANT SELECT ON TABLE retail.exports TO receipts_api;

GRANT INSERT(requested_by) ON TABLE retail.exports TO receipts_api;

GRANT INSERT(format) ON TABLE retail.exports TO receipts_api;

GRANT INSERT(reason) ON TABLE retail.exports TO receipts_api;

GRANT INSERT(date_from) ON TABLE retail.exports TO receipts_api;

GRANT INSERT(date_to) ON TABLE retail.exports TO receipts_api;

GRANT INSERT(store_ids) ON TABLE retail.exports TO receipts_api;

GRANT INSERT(rows_total),UPDATE(rows_total) ON TABLE retail.exports TO receipts_api;

GRANT UPDATE(rows_done) ON TABLE retail.exports TO receipts_api;

GRANT UPDATE(state) ON TABLE retail.exports TO receipts_api;

GRANT UPDATE(failure) ON TABLE retail.exports TO receipts_api;

GRANT UPDATE(download) ON TABLE retail.exports TO receipts_api;

GRANT UPDATE(moved_at) ON TABLE retail.exports TO receipts_api;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE retail.fraud_patterns TO receipts_pipeline;
GRANT SELECT ON TABLE retail.fraud_patterns TO receipts_api;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE retail.product_embeddings TO receipts_pipeline;
GRANT SELECT ON TABLE retail.product_embeddings TO receipts_api;
GRANT SELECT ON TABLE retail.product_embeddings TO receipts_search;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE retail.products TO receipts_pipeline;
GRANT SELECT ON TABLE retail.products TO receipts_api;
GRANT SELECT ON TABLE retail.products TO receipts_search;

GRANT SELECT,INSERT ON TABLE retail.receipts TO receipts_ingest;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE retail.receipts TO receipts_pipeline;
GRANT SELECT ON TABLE retail.receipts TO receipts_api;
GRANT SELECT ON TABLE retail.receipts TO receipts_search;

GRANT SELECT(receipt_id) ON TABLE retail.receipts TO receipts_mailer;

GRANT SELECT(store_id) ON TABLE retail.receipts TO receipts_mailer;

GRANT SELECT(document) ON TABLE retail.receipts TO receipts_mailer;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE retail.spending_insights TO receipts_pipeline;
GRANT SELECT ON TABLE retail.spending_insights TO receipts_api;

GRANT SELECT,INSERT,UPDATE ON TABLE retail.stores TO receipts_ingest;
GRANT SELECT ON TABLE retail.stores TO receipts_pipeline;
GRANT SELECT ON TABLE retail.stores TO receipts_api;
GRANT SELECT ON TABLE retail.stores TO receipts_search;
GRANT SELECT ON TABLE retail.stores TO receipts_mailer;

GRANT SELECT,INSERT,DELETE,TRUNCATE ON TABLE sync.arriving_customer_profiles TO receipts_pipeline;

GRANT SELECT,INSERT,DELETE,TRUNCATE ON TABLE sync.arriving_fraud_patterns TO receipts_pipeline;

GRANT SELECT,INSERT,DELETE,TRUNCATE ON TABLE sync.arriving_product_embeddings TO receipts_pipeline;

GRANT SELECT,INSERT,DELETE,TRUNCATE ON TABLE sync.arriving_products TO receipts_pipeline;

GRANT SELECT,INSERT,DELETE,TRUNCATE ON TABLE sync.arriving_receipts TO receipts_pipeline;

GRANT SELECT,INSERT,DELETE,TRUNCATE ON TABLE sync.arriving_spending_insights TO receipts_pipeline;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE sync.backfills TO receipts_pipeline;

GRANT SELECT,INSERT,UPDATE ON TABLE sync.watermarks TO receipts_pipeline;
GRANT SELECT ON TABLE sync.watermarks TO receipts_api;
GRANT SELECT ON TABLE sync.watermarks TO receipts_ingest;
