-- name: list_principals
-- Whom one may sign in as on the development page.
SELECT principal_id, role, display_name FROM access.list_principals();

-- name: admit
-- Resolves a person of the company's identity provider to a principal; nobody unknown or inactive.
SELECT principal_id
FROM access.admit(
    %(issuer)s, %(subject)s, %(display_name)s, %(role)s, %(region_ids)s::smallint[], %(all_regions)s
);

-- name: record_sign_in
-- Remembers what a client asked for while the person is elsewhere, and sweeps out what nobody came back to.
WITH swept AS (DELETE FROM auth.sign_ins WHERE expires_at < now())
INSERT INTO auth.sign_ins (state_digest, browser_digest, asked, expires_at)
VALUES (%(state_digest)s, %(browser_digest)s, %(asked)s, now() + make_interval(secs => %(lifetime_s)s));

-- name: take_sign_in
-- Takes a sign-in out: it works once, and only in the browser that began it.
DELETE FROM auth.sign_ins
WHERE state_digest = %(state_digest)s AND browser_digest = %(browser_digest)s
RETURNING asked, expires_at > now() AS alive;

-- name: record_code
-- Keeps a new code's digest and sweeps out those that nobody redeemed.
WITH swept AS (DELETE FROM auth.codes WHERE expires_at < now())
INSERT INTO auth.codes (code_digest, principal_id, client_id, redirect_uri, code_challenge, nonce, expires_at)
VALUES (
    %(code_digest)s, %(principal_id)s, %(client_id)s, %(redirect_uri)s, %(code_challenge)s, %(nonce)s,
    now() + make_interval(secs => %(lifetime_s)s)
);

-- name: redeem_code
-- Takes a code out, so that it is worth something once, also when two replicas are asked at the same time.
DELETE FROM auth.codes
WHERE code_digest = %(code_digest)s AND expires_at >= now()
RETURNING principal_id, client_id, redirect_uri, code_challenge, nonce;

-- name: find_client
-- Says whether a service's secret is right, not taken back and not expired.
SELECT client_id FROM auth.clients
WHERE client_id = %(client_id)s AND secret_digest = %(secret_digest)s AND revoked_at IS NULL
    AND (expires_at IS NULL OR expires_at > now());
