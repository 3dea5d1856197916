-- Sessions and sign-ins of the portal. Only digests of cookies come here, and sealed tokens.

-- name: record_session
-- Sign a browser in.
INSERT INTO portal.sessions (cookie_digest, principal_id, role, display_name, sealed_tokens, expires_at)
VALUES (%(cookie_digest)s, %(principal_id)s, %(role)s, %(display_name)s, %(sealed)s, %(expires_at)s);

-- name: find_session
-- Who a cookie belongs to, while it lasts.
SELECT principal_id, role, display_name, sealed_tokens, expires_at
FROM portal.sessions
WHERE cookie_digest = %(cookie_digest)s AND expires_at > clock_timestamp();

-- name: hold_session
-- The same, kept from all others who would renew it.
SELECT principal_id, role, display_name, sealed_tokens, expires_at
FROM portal.sessions
WHERE cookie_digest = %(cookie_digest)s AND expires_at > clock_timestamp()
FOR UPDATE;

-- name: renew_session
-- Keep the next tokens of a browser that is still signed in.
UPDATE portal.sessions
SET role = %(role)s, display_name = %(display_name)s, sealed_tokens = %(sealed)s, expires_at = %(expires_at)s
WHERE cookie_digest = %(cookie_digest)s;

-- name: delete_session
-- Sign a browser out.
DELETE FROM portal.sessions WHERE cookie_digest = %(cookie_digest)s;

-- name: record_sign_in
-- Remember what a sign-in under way needs when the browser comes back.
INSERT INTO portal.sign_ins (cookie_digest, return_to, sealed_state, expires_at)
VALUES (%(cookie_digest)s, %(return_to)s, %(sealed)s, %(expires_at)s);

-- name: take_sign_in
-- Take a sign-in out: it works once.
DELETE FROM portal.sign_ins
WHERE cookie_digest = %(cookie_digest)s
RETURNING return_to, sealed_state, expires_at > clock_timestamp() AS alive;

-- name: delete_expired_sessions
-- Forget sessions that have ended.
DELETE FROM portal.sessions WHERE expires_at < clock_timestamp();

-- name: delete_expired_sign_ins
-- Forget sign-ins that nobody came back to.
DELETE FROM portal.sign_ins WHERE expires_at < clock_timestamp();
