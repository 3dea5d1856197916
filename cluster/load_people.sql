-- The people of a load test: services with a name that begins with "load." and this note, which nothing else has.

-- name: take_lock
-- Says whether no other load test is prepared or at work; held until the connection closes.
SELECT pg_try_advisory_lock(7161402);

-- name: enter_people
-- Enters people, or gives those of an earlier test other secrets; answers the names that are theirs now. A name that
-- is somebody else's is left alone.
WITH wanted AS (
    SELECT * FROM unnest(%(names)s::text[], %(digests)s::bytea[], %(regions)s::smallint[]) AS w (name, digest, region)
), entered AS (
    INSERT INTO access.principals AS p (principal_id, role, display_name, region_ids, all_regions)
    SELECT w.name, 'cs_rep', 'Load test', CASE WHEN w.region IS NULL THEN '{}' ELSE ARRAY[w.region] END, w.region IS NULL
    FROM wanted w
    ON CONFLICT (principal_id) DO UPDATE
        SET region_ids = excluded.region_ids, all_regions = excluded.all_regions, active = true
        WHERE EXISTS (SELECT FROM auth.clients c WHERE c.client_id = p.principal_id AND c.note = %(note)s)
    RETURNING principal_id
)
INSERT INTO auth.clients AS c (client_id, secret_digest, note, expires_at)
SELECT w.name, w.digest, %(note)s, %(expires_at)s FROM wanted w JOIN entered e ON e.principal_id = w.name
ON CONFLICT (client_id) DO UPDATE
    SET secret_digest = excluded.secret_digest, expires_at = excluded.expires_at, revoked_at = NULL
RETURNING client_id;

-- name: revoke_people
-- Takes all their secrets back, lets none sign in and ends their sessions; answers how many had a secret.
WITH revoked AS (
    UPDATE auth.clients SET revoked_at = clock_timestamp()
    WHERE note = %(note)s AND client_id LIKE 'load.%%' AND revoked_at IS NULL RETURNING client_id
), silenced AS (
    UPDATE access.principals p SET active = false FROM revoked r WHERE p.principal_id = r.client_id
), ended AS (
    UPDATE auth.sessions s SET ended_at = clock_timestamp(), ended_by = 'deactivation'
    FROM revoked r
    WHERE s.principal_id = r.client_id AND s.ended_at IS NULL
        AND greatest(s.expires_at, s.tokens_until) > clock_timestamp()
)
SELECT count(*) FROM revoked;
