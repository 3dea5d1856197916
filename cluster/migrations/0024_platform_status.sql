-- What the monitor saw last, for administrators who are not on the machine.

CREATE SCHEMA operations AUTHORIZATION receipts_owner;

SET LOCAL ROLE receipts_owner;

-- Grain: one row, replaced at every look. `told` is what cluster/bulletin.py lets out of the machines: no address, no
-- path, no process, no secret.
CREATE TABLE operations.status (
    is_last boolean PRIMARY KEY DEFAULT true CHECK (is_last),
    looked_at timestamptz NOT NULL,
    told jsonb NOT NULL
) WITH (fillfactor = 50);

-- Answers administrators alone, also where a route forgot to ask who calls.
CREATE FUNCTION operations.find_status(p_principal_id text)
RETURNS TABLE (looked_at timestamptz, age_s double precision, told jsonb)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT s.looked_at, greatest(extract(epoch FROM clock_timestamp() - s.looked_at), 0)::float8, s.told
    FROM operations.status s
    WHERE EXISTS (
        SELECT FROM access.principals p
        WHERE p.principal_id = p_principal_id AND p.role = 'admin' AND p.active
    )
$$;

REVOKE ALL ON FUNCTION operations.find_status(text) FROM PUBLIC;
GRANT USAGE ON SCHEMA operations TO receipts_pipeline, receipts_api;
GRANT SELECT, INSERT, UPDATE ON operations.status TO receipts_pipeline;  -- the monitor looks with the pipeline's login
GRANT EXECUTE ON FUNCTION operations.find_status(text) TO receipts_api;
