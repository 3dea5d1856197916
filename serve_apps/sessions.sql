-- name: open_scope
-- Resolves an active principal to its role, name and the handle of its regions.
SELECT scope_id, role, display_name FROM access.open_scope(%(principal_id)s);

-- name: record_session
-- Opens a session, with a first refresh token if it may be refreshed, and sweeps out what ended a day ago.
WITH swept AS (
    DELETE FROM auth.sessions
    WHERE expires_at < now() - interval '1 day' AND tokens_until < now() - interval '1 day'
), opened AS (
    INSERT INTO auth.sessions (session_id, principal_id, client_id, expires_at, tokens_until)
    VALUES (
        %(session_id)s, %(principal_id)s, %(client_id)s, now() + make_interval(secs => %(session_s)s),
        now() + make_interval(secs => %(tokens_s)s)
    )
    RETURNING session_id, expires_at
)
INSERT INTO auth.refresh_tokens (token_digest, session_id, idle_until)
SELECT %(refresh_digest)s::bytea, session_id, least(now() + make_interval(secs => %(idle_s)s), expires_at)
FROM opened
WHERE %(refresh_digest)s::bytea IS NOT NULL;

-- name: rotate
-- Exchanges a refresh token for the next one, or says why not.
SELECT outcome, session_id, principal_id, left_s
FROM auth.rotate(
    %(refresh_digest)s, %(next_digest)s, %(client_id)s, %(idle_s)s::integer, %(tokens_s)s::integer, %(grace_s)s::integer
);

-- name: find_session_of
-- The session that a refresh token of a client belongs to, used or not.
SELECT s.session_id, s.principal_id
FROM auth.refresh_tokens t
JOIN auth.sessions s USING (session_id)
WHERE t.token_digest = %(refresh_digest)s AND s.client_id = %(client_id)s;

-- name: end_session
-- Ends a session of a client; one that has ended stays as it is.
UPDATE auth.sessions SET ended_at = clock_timestamp(), ended_by = %(ended_by)s
WHERE session_id = %(session_id)s AND client_id = %(client_id)s AND ended_at IS NULL;
