-- name: add_principal
-- Enters somebody; answers nothing when the name is taken.
INSERT INTO access.principals (principal_id, role, display_name, region_ids, all_regions)
VALUES (%(principal_id)s, %(role)s, %(display_name)s, %(region_ids)s, %(all_regions)s)
ON CONFLICT (principal_id) DO NOTHING RETURNING principal_id;

-- name: list_principals
-- Everybody there ever was, with who they are at the company's provider.
SELECT
    p.principal_id, p.role, p.display_name, p.region_ids, p.all_regions, p.active, p.follows_groups,
    ARRAY(
        SELECT i.issuer || ' ' || i.subject FROM access.identities i
        WHERE i.principal_id = p.principal_id ORDER BY i.issuer, i.subject
    ) AS identities
FROM access.principals p ORDER BY p.principal_id;

-- name: set_active
-- Lets somebody sign in, or no more.
UPDATE access.principals SET active = %(active)s WHERE principal_id = %(principal_id)s RETURNING principal_id;

-- name: link_identity
-- Says who a principal is at the company's provider; answers nothing when that is somebody else already.
INSERT INTO access.identities AS i (issuer, subject, principal_id)
VALUES (%(issuer)s, %(subject)s, %(principal_id)s)
ON CONFLICT (issuer, subject) DO UPDATE SET principal_id = excluded.principal_id
WHERE i.principal_id = excluded.principal_id RETURNING i.principal_id;

-- name: unlink_identities
-- Takes away who a principal is at the company's provider.
DELETE FROM access.identities WHERE principal_id = %(principal_id)s RETURNING subject;

-- name: find_principal
-- Whether there is somebody by that name.
SELECT principal_id FROM access.principals WHERE principal_id = %(principal_id)s;

-- name: list_sessions
-- Sessions that go on, the newest first.
SELECT session_id, principal_id, client_id, opened_at, expires_at FROM auth.sessions
WHERE ended_at IS NULL AND expires_at > clock_timestamp()
    AND (%(principal_id)s::text IS NULL OR principal_id = %(principal_id)s)
ORDER BY opened_at DESC, session_id;

-- name: end_sessions
-- Ends one session, or all of a principal, those included that cannot be refreshed but whose tokens are still good.
UPDATE auth.sessions SET ended_at = clock_timestamp(), ended_by = %(ended_by)s
WHERE ended_at IS NULL AND greatest(expires_at, tokens_until) > clock_timestamp()
    AND (session_id = %(session_id)s OR principal_id = %(principal_id)s)
RETURNING session_id;

-- name: add_service
-- Keeps the digest of a service's secret; answers nothing when the service has one.
INSERT INTO auth.clients (client_id, secret_digest, note) VALUES (%(client_id)s, %(secret_digest)s, %(note)s)
ON CONFLICT (client_id) DO NOTHING RETURNING client_id;

-- name: list_services
-- Every service that ever was, without its secret.
SELECT c.client_id, p.role, p.region_ids, p.all_regions, c.note, c.created_at, c.expires_at, c.revoked_at
FROM auth.clients c JOIN access.principals p ON p.principal_id = c.client_id ORDER BY c.client_id;

-- name: rotate_service
-- Gives a service that is not revoked another secret.
UPDATE auth.clients SET secret_digest = %(secret_digest)s
WHERE client_id = %(client_id)s AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
RETURNING client_id;

-- name: revoke_service
-- Takes a service's secret back; one that is revoked already stays as it is.
UPDATE auth.clients SET revoked_at = coalesce(revoked_at, clock_timestamp())
WHERE client_id = %(client_id)s RETURNING client_id;
