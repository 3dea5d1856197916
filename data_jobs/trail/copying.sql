-- What the lake's copy of the audit trail reads in Postgres.

-- name: find_newest
-- The position of the last group that was taken apart.
SELECT coalesce(max(position), 0) FROM audit.projections;

-- name: list_groups
-- Groups after a position, in order. One that the spool does not hold (any more) comes without content.
SELECT p.position, p.chain, p.seq, s.recorded_at, s.previous, s.digest, s.payload, p.events
FROM audit.projections p
LEFT JOIN audit.spool s ON s.chain = p.chain AND s.seq = p.seq
WHERE p.position > %s
ORDER BY p.position
LIMIT %s;
