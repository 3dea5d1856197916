-- Refused records, held until somebody looks.

-- name: list_refusals
-- The newest refusals that fit, without their payloads. A store is known by the record's own text.
SELECT quarantine_id, bronze_table, received_at, source, state, kind, reason, accepted_key
FROM ingest.quarantine
WHERE (%(state)s::text IS NULL OR state = %(state)s)
    AND (%(kind)s::text IS NULL OR kind = %(kind)s)
    AND (%(bronze_table)s::text IS NULL OR bronze_table = %(bronze_table)s)
    AND (%(since)s::timestamptz IS NULL OR received_at >= %(since)s)
    AND (
        %(store_id)s::integer IS NULL
        OR missing_store_id = %(store_id)s
        OR payload ~ ('"(home_)?store_id"\s*:\s*' || %(store_id)s::text || '\M')
    )
ORDER BY quarantine_id DESC
LIMIT %(limit)s;

-- name: list_held_ids
-- All that wait and fit, oldest first. Records of foreign stores only when they are asked for by their kind: taking
-- them is a decision about the credential that sent them.
SELECT quarantine_id
FROM ingest.quarantine
WHERE state = 'held'
    AND CASE WHEN %(kind)s::text IS NULL THEN kind <> 'foreign_store' ELSE kind = %(kind)s END
ORDER BY quarantine_id;

-- name: find_refusal
-- One refusal with its payload.
SELECT quarantine_id, bronze_table, received_at, source, state, kind, reason, accepted_key, payload
FROM ingest.quarantine
WHERE quarantine_id = %(quarantine_id)s;

-- name: count_refusals
-- How many there are of each state, table and kind, and when the oldest of them came.
SELECT state, bronze_table, kind, count(*), min(received_at)
FROM ingest.quarantine
GROUP BY state, bronze_table, kind
ORDER BY state, bronze_table, kind;
