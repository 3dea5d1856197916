-- Sessions of our own OpenID provider: who a person is elsewhere, rotating refresh tokens, and what ended early.

SET LOCAL ROLE receipts_owner;

-- Who a principal is at the company's identity provider: its issuer (of Entra ID with the tenant in it) and a subject
-- that is never given to anyone else. Never an e-mail address, which is.
CREATE TABLE access.identities (
    issuer text COLLATE "C" NOT NULL,
    subject text COLLATE "C" NOT NULL,
    principal_id text COLLATE "C" NOT NULL REFERENCES access.principals,
    linked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (issuer, subject)
);
CREATE INDEX identities_by_principal ON access.identities (principal_id);

-- True: role and regions are those of the person's groups at each sign-in. False: those that were typed in.
ALTER TABLE access.principals ADD COLUMN follows_groups boolean NOT NULL DEFAULT false;

-- Says which principal a person is who has just proved it. `p_role` is what the person's groups are worth, or null;
-- somebody new with a role is entered. No row: unknown, inactive, or no longer in any group that counts.
CREATE FUNCTION access.admit(
    p_issuer text, p_subject text, p_display_name text, p_role text, p_region_ids smallint[], p_all_regions boolean
)
RETURNS TABLE (principal_id text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
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

-- Grain: one row per session, of a person or a service. The family of its refresh tokens is what it ends with.
CREATE TABLE auth.sessions (
    session_id text COLLATE "C" PRIMARY KEY,
    principal_id text COLLATE "C" NOT NULL,
    client_id text NOT NULL,
    opened_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz NOT NULL,  -- no refresh goes beyond it
    tokens_until timestamptz NOT NULL,  -- when the last of its access tokens is believed by nobody any more
    ended_at timestamptz,
    ended_by text CHECK (ended_by IN ('sign_out', 'revocation', 'reuse', 'deactivation'))
);
CREATE INDEX sessions_ended ON auth.sessions (tokens_until) WHERE ended_at IS NOT NULL;
CREATE INDEX sessions_by_principal ON auth.sessions (principal_id);
CREATE INDEX sessions_by_expiry ON auth.sessions (expires_at);

-- Grain: one row per refresh token that was given out. Only its digest stands here.
CREATE TABLE auth.refresh_tokens (
    token_digest bytea PRIMARY KEY,
    session_id text COLLATE "C" NOT NULL REFERENCES auth.sessions ON DELETE CASCADE,
    idle_until timestamptz NOT NULL,
    used_at timestamptz,
    replaced_by bytea
);
CREATE INDEX refresh_tokens_by_session ON auth.refresh_tokens (session_id);

-- Exchanges a refresh token for the next one. One used before ends its session: two parties hold it. But an answer may
-- be lost on its way: for `p_grace_s` after its first use the token may be exchanged again while its successor was not
-- used. The successor is used up then, so that a thief and the owner still give each other away at the next refresh.
CREATE FUNCTION auth.rotate(
    p_digest bytea, p_next bytea, p_client_id text, p_idle_s integer, p_tokens_s integer, p_grace_s integer
)
RETURNS TABLE (outcome text, session_id text, principal_id text, left_s integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
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

-- The sessions that ended while a token of theirs is still good: what every replica asks for every few seconds.
CREATE FUNCTION auth.list_ended_sessions() RETURNS TABLE (session_id text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT s.session_id FROM auth.sessions s WHERE s.ended_at IS NOT NULL AND s.tokens_until > clock_timestamp()
$$;

-- Grain: one row per sign-in for which a person is at the company's identity provider. Nothing here signs anybody in:
-- nonce and PKCE verifier are derived from a cookie of the person's browser, of which only the digest is kept.
CREATE TABLE auth.sign_ins (
    state_digest bytea PRIMARY KEY,
    browser_digest bytea NOT NULL,
    asked text NOT NULL,  -- the client's authorization request, as JSON
    expires_at timestamptz NOT NULL
);
CREATE INDEX sign_ins_by_expiry ON auth.sign_ins (expires_at);

-- Grain: one row per service with a secret of its own; its principal has the same name.
CREATE TABLE auth.clients (
    client_id text COLLATE "C" PRIMARY KEY REFERENCES access.principals,
    secret_digest bytea NOT NULL,
    note text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    revoked_at timestamptz
);

REVOKE ALL ON FUNCTION access.admit(text, text, text, text, smallint[], boolean) FROM PUBLIC;
REVOKE ALL ON FUNCTION auth.rotate(bytea, bytea, text, integer, integer, integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION auth.list_ended_sessions() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION access.admit(text, text, text, text, smallint[], boolean) TO receipts_auth;
GRANT EXECUTE ON FUNCTION auth.rotate(bytea, bytea, text, integer, integer, integer) TO receipts_auth;
GRANT EXECUTE ON FUNCTION auth.list_ended_sessions() TO receipts_auth, receipts_api;
GRANT USAGE ON SCHEMA auth TO receipts_api;
GRANT SELECT, INSERT, UPDATE, DELETE ON auth.sessions TO receipts_auth;
GRANT SELECT, INSERT ON auth.refresh_tokens TO receipts_auth;
GRANT SELECT, INSERT, DELETE ON auth.sign_ins TO receipts_auth;
GRANT SELECT ON auth.clients TO receipts_auth;
