-- The built-in development provider's own state: sign-in codes, where all its replicas agree that one is used once.

CREATE SCHEMA auth AUTHORIZATION receipts_owner;

SET LOCAL ROLE receipts_owner;

-- Grain: one row per code that was given out and not yet redeemed. Only the code's digest stands here.
CREATE TABLE auth.codes (
    code_digest bytea PRIMARY KEY,
    principal_id text NOT NULL,
    client_id text NOT NULL,
    redirect_uri text NOT NULL,
    code_challenge text NOT NULL,  -- S256, RFC 7636
    nonce text NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX codes_by_expiry ON auth.codes (expires_at);

GRANT USAGE ON SCHEMA auth TO receipts_auth;
GRANT SELECT, INSERT, DELETE ON auth.codes TO receipts_auth;

-- Whom one may sign in as on the development provider's page.
CREATE FUNCTION access.list_principals()
RETURNS TABLE (principal_id text, role text, display_name text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT p.principal_id, p.role, p.display_name FROM access.principals p WHERE p.active ORDER BY p.principal_id
$$;
REVOKE ALL ON FUNCTION access.list_principals() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION access.list_principals() TO receipts_auth;
