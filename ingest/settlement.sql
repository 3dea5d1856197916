-- What Bronze holds and was not noted here becomes known to Postgres. Run by the leading drainer.

-- name: list_settled
-- Up to which version of each Bronze table everything is known here.
SELECT bronze_table, version FROM ingest.settled;

-- name: record_settled
-- Note that everything up to a version of a Bronze table is known here and not in the outbox.
INSERT INTO ingest.settled AS o (bronze_table, version, settled_at)
VALUES (%(bronze_table)s, %(version)s, clock_timestamp())
ON CONFLICT (bronze_table) DO UPDATE SET version = excluded.version, settled_at = excluded.settled_at
WHERE o.version < excluded.version;

-- name: forget_settled
-- Note that a Bronze table was made anew: nothing of it has been looked at.
UPDATE ingest.settled SET version = -1, settled_at = clock_timestamp() WHERE bronze_table = %(bronze_table)s;

-- name: list_outdated
-- Those records of stores or customers whose newer version waits in the outbox, so that it is in force already.
SELECT s.sequence
FROM unnest(%(record_key)s::text[], %(sequence)s::bigint[]) AS s (record_key, sequence)
WHERE EXISTS (
    SELECT FROM ingest.outbox o
    WHERE o.xid > (SELECT drained FROM ingest.outbox_state) AND o.bronze_table = %(bronze_table)s
        AND o.record_key = s.record_key AND o.sequence > s.sequence
);

-- name: free_outbox
-- Remove from the outbox what Bronze holds already. They wait there by construction: what is drained was in Bronze
-- before, and whoever wrote to Bronze directly saw it. A store or customer may return to an earlier state, so of those
-- only what is not newer goes.
DELETE FROM ingest.outbox o
USING unnest(%(payload_digest)b::bytea[], %(refused)s::boolean[], %(upto)s::bigint[]) AS s (digest, refused, upto)
WHERE o.xid > (SELECT drained FROM ingest.outbox_state) AND o.bronze_table = %(bronze_table)s
    AND o.payload_digest = s.digest AND (o.refusal IS NOT NULL) = s.refused AND o.sequence <= s.upto;
