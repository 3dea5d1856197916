-- The audit trail copied out of Postgres: who may read it for that, and how months leave.

SET LOCAL ROLE receipts_owner;

-- The order of groups is parted as the spool is, so that a month leaves both by dropping a table each.
ALTER TABLE audit.projections RENAME TO projections_before;
CREATE SEQUENCE audit.positions;
SELECT setval('audit.positions', coalesce(max(position), 0) + 1, false) FROM audit.projections_before;

-- Grain: one row per group, in the order in which groups were taken apart: one number says how far a copy of it is.
CREATE TABLE audit.projections (
    position bigint NOT NULL DEFAULT nextval('audit.positions'),
    chain bigint NOT NULL,
    seq bigint NOT NULL,
    events integer NOT NULL,
    PRIMARY KEY (chain, seq)
) PARTITION BY RANGE (chain);
CREATE INDEX projections_in_order ON audit.projections (position);
CREATE TABLE audit.projections_other PARTITION OF audit.projections DEFAULT;
DO $$
DECLARE
    name text;
    first date;
BEGIN
    FOR name IN
        SELECT c.relname FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid
        WHERE i.inhparent = 'audit.spool'::regclass AND c.relname ~ '^spool_\d{4}_\d{2}$'
    LOOP
        first := to_date(right(name, 7), 'YYYY_MM');
        EXECUTE format('CREATE TABLE audit.%I PARTITION OF audit.projections FOR VALUES FROM (%L) TO (%L)',
            replace(name, 'spool', 'projections'), audit.chain_day(first),
            audit.chain_day((first + interval '1 month')::date));
        EXECUTE format('CREATE TRIGGER no_truncate BEFORE TRUNCATE ON audit.%I
            FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change()', replace(name, 'spool', 'projections'));
    END LOOP;
END
$$;
INSERT INTO audit.projections (position, chain, seq, events)
    SELECT position, chain, seq, events FROM audit.projections_before;
DROP TABLE audit.projections_before;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON audit.projections
    FOR EACH ROW EXECUTE FUNCTION audit.refuse_change();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON audit.projections
    FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON audit.projections_other
    FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON audit.faults
    FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();
-- A chain moves on, and is never taken away: its root is what its first group follows from.
CREATE TRIGGER append_only BEFORE DELETE ON audit.chains
    FOR EACH ROW EXECUTE FUNCTION audit.refuse_change();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON audit.chains
    FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();

-- Grain: one row per month and part of the trail that left Postgres, with the group that says so in the trail itself.
CREATE TABLE audit.retirements (
    month date NOT NULL CHECK (extract(day FROM month) = 1),
    what text NOT NULL CHECK (what IN ('spool', 'month')),  -- its groups, or all of it, for good
    retired_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    retired_by name NOT NULL DEFAULT session_user,
    groups bigint NOT NULL,
    events bigint NOT NULL,
    chain bigint NOT NULL,
    seq bigint NOT NULL,
    PRIMARY KEY (month, what)
);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON audit.retirements
    FOR EACH ROW EXECUTE FUNCTION audit.refuse_change();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON audit.retirements
    FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();

-- Makes the partitions of this month and the next; safe to repeat. `receipts up` and the pipeline call it.
CREATE OR REPLACE FUNCTION audit.make_partitions(p_today date DEFAULT current_date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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

-- Puts a retirement on record in the trail itself, as the only group of a chain of its own.
CREATE FUNCTION audit.record_retirement(p_month date, p_what text, p_groups bigint, p_events bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
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

-- Takes the groups of a month out of Postgres, where the lake has verified copies. Its events stay for the search.
CREATE FUNCTION audit.retire_spool(p_month date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s'
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

-- Removes all of a month, for good, once it was kept for as many years as it must be; seven at the least.
CREATE FUNCTION audit.drop_expired(p_month date, p_years integer DEFAULT 7) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s'
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

-- The months that have something to retire.
CREATE FUNCTION audit.list_months() RETURNS TABLE (month date, has_spool boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT to_date(right(c.relname, 7), 'YYYY_MM'), bool_or(c.relname LIKE 'spool%')
    FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid
    WHERE i.inhparent IN ('audit.spool'::regclass, 'audit.events'::regclass) AND c.relname ~ '_\d{4}_\d{2}$'
    GROUP BY 1 ORDER BY 1
$$;

REVOKE ALL ON FUNCTION audit.record_retirement(date, text, bigint, bigint) FROM PUBLIC;
REVOKE ALL ON FUNCTION audit.retire_spool(date) FROM PUBLIC;
REVOKE ALL ON FUNCTION audit.drop_expired(date, integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION audit.list_months() FROM PUBLIC;
GRANT USAGE ON SCHEMA audit TO receipts_retention;
GRANT EXECUTE ON FUNCTION audit.retire_spool(date), audit.drop_expired(date, integer), audit.list_months()
    TO receipts_retention;
-- The pipeline copies the trail and verifies it; it reads all of it, and writes none.
GRANT SELECT ON audit.chains, audit.spool, audit.projections, audit.events, audit.retirements TO receipts_pipeline;
GRANT EXECUTE ON FUNCTION audit.list_months() TO receipts_pipeline;
