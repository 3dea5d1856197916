-- Refused records, held until somebody looks.

-- name: list_refusals
-- The newest refusals, without their payloads.
SELECT quarantine_id, bronze_table, received_at, source, state, reason
FROM ingest.quarantine
WHERE state = 'held' OR %(replayed_too)s
ORDER BY quarantine_id DESC
LIMIT %(limit)s;

-- name: find_refusal
-- One refusal with its payload.
SELECT quarantine_id, bronze_table, received_at, source, state, reason, payload
FROM ingest.quarantine
WHERE quarantine_id = %(quarantine_id)s;

-- name: list_held_ids
-- All that wait, oldest first.
SELECT quarantine_id FROM ingest.quarantine WHERE state = 'held' ORDER BY quarantine_id;

-- name: mark_replayed
-- Note that a refusal was accepted in the end.
UPDATE ingest.quarantine SET state = 'replayed', replayed_at = clock_timestamp()
WHERE quarantine_id = %(quarantine_id)s;
