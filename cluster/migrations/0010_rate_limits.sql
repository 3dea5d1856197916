-- Rate limits that all replicas share, and how many different customers a principal sees in an hour.

CREATE SCHEMA limits AUTHORIZATION receipts_owner;

SET LOCAL ROLE receipts_owner;

-- Unlogged: what a crash forgets is what a caller has used up, and everybody begins with a full bucket again.
-- Keys are keyed digests of principals, addresses and customers: no personal data stands here.

-- Grain: one row per limited key that is not full. `full_at` is nanoseconds since 1970 (see serve_apps/gcra.py); it is
-- in no index, so that an update stays on its page.
CREATE UNLOGGED TABLE limits.buckets (
    key bytea PRIMARY KEY,
    full_at bigint NOT NULL,
    interval_ns bigint NOT NULL,
    burst integer NOT NULL,
    granted integer NOT NULL  -- by the last call
) WITH (fillfactor = 50);

-- Grain: one row per process that takes leases.
CREATE UNLOGGED TABLE limits.holders (
    holder uuid PRIMARY KEY,
    seen_at timestamptz NOT NULL
) WITH (fillfactor = 50);

-- Grain: one row per principal and customer first seen within the last hour.
CREATE UNLOGGED TABLE limits.customers (
    principal bytea NOT NULL,
    customer bytea NOT NULL,
    seen_at timestamptz NOT NULL,
    PRIMARY KEY (principal, customer)
);
CREATE INDEX customers_by_age ON limits.customers (seen_at);

-- How many of the wanted tokens a bucket gives: the arithmetic of serve_apps/gcra.py.
CREATE FUNCTION limits.take(p_full_at bigint, p_now bigint, p_interval_ns bigint, p_burst integer, p_wanted integer)
RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT least(
        p_wanted,
        greatest(p_burst - (greatest(p_full_at - p_now, 0) + p_interval_ns - 1) / p_interval_ns, 0)
    )::integer
$$;

-- Takes tokens for many keys at once, in the order of the keys, so that replicas wait for each other and never in a
-- circle. Fewer than 0 wanted are given back. Once in ten seconds a holder's call is also told as a sign of life and
-- sweeps out what says nothing any more. `holders` is how many share the limits.
CREATE FUNCTION limits.lease(
    p_holder uuid, p_keys bytea[], p_wanted integer[], p_intervals_ns bigint[], p_bursts integer[]
)
RETURNS TABLE (key_given bytea, tokens integer, wait_ns bigint, holders integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
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

-- Counts the customers that a principal is about to see and has not seen within the hour: all of them, or none when
-- the cap does not allow it. `seconds` is for how long all of them are free, or when those not counted will fit.
CREATE FUNCTION limits.count_customers(p_principal bytea, p_customers bytea[], p_cap integer)
RETURNS TABLE (fits boolean, seconds double precision)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
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

REVOKE ALL ON FUNCTION limits.take(bigint, bigint, bigint, integer, integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION limits.lease(uuid, bytea[], integer[], bigint[], integer[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION limits.count_customers(bytea, bytea[], integer) FROM PUBLIC;
GRANT USAGE ON SCHEMA limits TO receipts_api, receipts_auth;
GRANT EXECUTE ON FUNCTION limits.lease(uuid, bytea[], integer[], bigint[], integer[]) TO receipts_api, receipts_auth;
GRANT EXECUTE ON FUNCTION limits.count_customers(bytea, bytea[], integer) TO receipts_api;
