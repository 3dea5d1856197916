-- The portal's own state: who is signed in, and sign-ins that are under way.

CREATE SCHEMA portal AUTHORIZATION receipts_owner;

SET LOCAL ROLE receipts_owner;

-- Grain: one row per signed-in browser. The cookie itself is nowhere in the database: its digest finds the row and a
-- key derived from it opens `sealed_tokens`, so a copy of this table signs nobody in and yields no token.
CREATE TABLE portal.sessions (
    cookie_digest bytea PRIMARY KEY,
    principal_id text NOT NULL,
    role text NOT NULL,
    display_name text NOT NULL,
    sealed_tokens bytea NOT NULL,  -- AES-256-GCM of the tokens as JSON
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz NOT NULL
);
CREATE INDEX sessions_by_expiry ON portal.sessions (expires_at);
CREATE INDEX sessions_by_principal ON portal.sessions (principal_id);

-- Grain: one row per sign-in under way (state, nonce, PKCE verifier); taken out by the callback, once.
CREATE TABLE portal.sign_ins (
    cookie_digest bytea PRIMARY KEY,
    return_to text NOT NULL,
    sealed_state bytea NOT NULL,
    expires_at timestamptz NOT NULL
);
CREATE INDEX sign_ins_by_expiry ON portal.sign_ins (expires_at);

GRANT USAGE ON SCHEMA portal TO receipts_portal;
GRANT SELECT, INSERT, UPDATE, DELETE ON portal.sessions, portal.sign_ins TO receipts_portal;
