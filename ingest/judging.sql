-- What becomes of a refused record.

-- name: lock_refusal
-- One refusal, locked: two who judge it at once come one after the other.
SELECT bronze_table, source, received_at, state, accepted_key, payload
FROM ingest.quarantine
WHERE quarantine_id = %(quarantine_id)s
FOR UPDATE;

-- name: note_accepted
-- Note that a refusal was accepted in the end, and as what.
UPDATE ingest.quarantine
SET state = %(state)s, replayed_at = clock_timestamp(), accepted_key = %(accepted_key)s, missing_store_id = NULL
WHERE quarantine_id = %(quarantine_id)s;

-- name: note_refused
-- Note why a refusal is still one; it waits for a store only when that is the reason.
UPDATE ingest.quarantine
SET reason = %(reason)s, kind = %(kind)s, missing_store_id = %(missing_store_id)s
WHERE quarantine_id = %(quarantine_id)s AND state = 'held';

-- name: note_dismissed
-- Note that a refusal is not to be stored.
UPDATE ingest.quarantine
SET state = 'dismissed', replayed_at = clock_timestamp(), missing_store_id = NULL
WHERE quarantine_id = %(quarantine_id)s;
