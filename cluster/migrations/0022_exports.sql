-- A scope knows the role behind it, so that the database can refuse by role as it does by region; and exports.

SET LOCAL ROLE receipts_owner;

-- Roles of scopes ---------------------------------------------------------------------------------------------------

-- Null in handles that were given out before: they open regions as ever, and nothing that asks for a role. Whoever
-- holds one has another within the hour, with the next token.
ALTER TABLE access.scopes ADD COLUMN role text;
ALTER TABLE access.scopes DROP CONSTRAINT scopes_region_ids_all_regions_key,
    ADD CONSTRAINT scopes_key UNIQUE NULLS NOT DISTINCT (role, region_ids, all_regions);

CREATE OR REPLACE FUNCTION access.open_scope(p_principal_id text)
RETURNS TABLE (scope_id uuid, role text, display_name text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
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

-- The role of the scope on this transaction; null without one. STABLE, as access.my_regions() is and why.
CREATE FUNCTION access.my_role() RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT s.role FROM access.scopes s WHERE s.scope_id = nullif(current_setting('app.scope', true), '')::uuid
$$;

-- The principal that the API says it works for. It is as true as the API is: what must not be believed of anybody goes
-- by role and regions.
CREATE FUNCTION access.my_principal() RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$ SELECT nullif(current_setting('app.principal', true), '') $$;

REVOKE ALL ON FUNCTION access.my_role() FROM PUBLIC;
REVOKE ALL ON FUNCTION access.my_principal() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION access.my_role(), access.my_principal() TO receipts_api;

-- Exports -----------------------------------------------------------------------------------------------------------

-- Grain: one row per export of receipts that somebody asked for. Its file stands nowhere: each download reads it anew.
CREATE TABLE retail.exports (
    export_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    requested_by text COLLATE "C" NOT NULL,
    requested_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz NOT NULL DEFAULT clock_timestamp() + interval '1 hour',
    format text NOT NULL CHECK (format IN ('csv', 'parquet')),
    reason text NOT NULL CHECK (reason IN ('audit_request', 'chargeback', 'legal', 'analysis', 'other')),
    date_from date NOT NULL,  -- the stores' own days, both included
    date_to date NOT NULL CHECK (date_to BETWEEN date_from AND date_from + 365),
    store_ids integer[],  -- null: all
    rows_total bigint NOT NULL,  -- line items, as counted when it was asked for; of a finished one those of its file
    rows_done bigint NOT NULL DEFAULT 0,
    state text NOT NULL DEFAULT 'ready' CHECK (state IN ('ready', 'running', 'done', 'failed')),
    failure text,
    download integer NOT NULL DEFAULT 0,  -- how many were begun; only the last one says how far it is
    moved_at timestamptz  -- when it last said so
);
CREATE INDEX exports_by_person ON retail.exports (requested_by, requested_at DESC);

ALTER TABLE retail.exports ENABLE ROW LEVEL SECURITY;
ALTER TABLE retail.exports FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON retail.exports TO receipts_api
    USING (
        requested_by = (SELECT access.my_principal()) AND (SELECT access.my_role()) IN ('supervisor', 'fraud_team')
    );
GRANT SELECT, INSERT (requested_by, format, reason, date_from, date_to, store_ids, rows_total),
    UPDATE (rows_total, rows_done, state, failure, download, moved_at) ON retail.exports TO receipts_api;
