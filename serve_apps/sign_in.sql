-- name: open_scope
-- Resolves an active principal to its role, name and the handle of its regions.
SELECT scope_id, role, display_name FROM access.open_scope(%(principal_id)s);

-- name: list_principals
-- Whom one may sign in as.
SELECT principal_id, role, display_name FROM access.list_principals();

-- name: record_code
-- Keeps a new code's digest and sweeps out those that nobody redeemed.
WITH swept AS (DELETE FROM auth.codes WHERE expires_at < now())
INSERT INTO auth.codes (code_digest, principal_id, client_id, redirect_uri, code_challenge, nonce, expires_at)
VALUES (
    sha256(%(code)s::bytea), %(principal_id)s, %(client_id)s, %(redirect_uri)s, %(code_challenge)s, %(nonce)s,
    now() + make_interval(secs => %(lifetime_s)s)
);

-- name: redeem_code
-- Takes a code out, so that it is worth something once, also when two replicas are asked at the same time.
DELETE FROM auth.codes
WHERE code_digest = sha256(%(code)s::bytea) AND expires_at >= now()
RETURNING principal_id, client_id, redirect_uri, code_challenge, nonce;
