-- name: add_client
-- Write a new credential; answers nothing when its name is taken.
INSERT INTO ingest.clients (client_id, secret_digest, store_ids, all_stores, note)
VALUES (%(client_id)s, %(secret_digest)s, %(store_ids)s, %(all_stores)s, %(note)s)
ON CONFLICT (client_id) DO NOTHING RETURNING client_id;

-- name: list_clients
-- Every credential that ever was, with the secret left out.
SELECT client_id, store_ids, all_stores, note, created_at, revoked_at FROM ingest.clients ORDER BY client_id;

-- name: rotate_client
-- Give a credential that is not revoked another secret.
UPDATE ingest.clients SET secret_digest = %(secret_digest)s
WHERE client_id = %(client_id)s AND revoked_at IS NULL RETURNING client_id;

-- name: revoke_client
-- Take a credential back; one that is revoked already stays as it is.
UPDATE ingest.clients SET revoked_at = coalesce(revoked_at, clock_timestamp())
WHERE client_id = %(client_id)s RETURNING client_id;
