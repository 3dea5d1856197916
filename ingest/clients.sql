-- name: list_clients
-- Return every credential that may still ask for tokens.
SELECT client_id, secret_digest, store_ids, all_stores FROM ingest.clients WHERE revoked_at IS NULL;
