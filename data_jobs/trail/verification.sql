-- What the verification of the audit trail reads in Postgres, all in one snapshot.

-- name: list_chains
-- The chains of a range: what their first group follows from, and how far they were taken apart.
SELECT chain, root, projected, head FROM audit.chains WHERE chain >= %(low)s AND chain < %(high)s ORDER BY chain;

-- name: count_spooled
-- How many groups the spool holds of each chain of a range.
SELECT chain, count(*) FROM audit.spool WHERE chain >= %(low)s AND chain < %(high)s GROUP BY chain;

-- name: list_spooled
-- Groups from one place in the chains to another, and where they stand in the order of all.
SELECT s.chain, s.seq, s.recorded_at, s.previous, s.digest, s.payload, p.position, p.events
FROM audit.spool s
LEFT JOIN audit.projections p ON p.chain = s.chain AND p.seq = s.seq
WHERE s.chain BETWEEN %(low_chain)s AND %(high_chain)s
    AND (s.chain, s.seq) >= (%(low_chain)s, %(low_seq)s) AND (s.chain, s.seq) <= (%(high_chain)s, %(high_seq)s)
ORDER BY s.chain, s.seq;

-- name: list_retirements
-- What left Postgres, and the group that says so.
SELECT month, what, chain, seq FROM audit.retirements ORDER BY month, what;

-- name: list_events
-- Events of a span of time as they are searched.
SELECT event_id::text, occurred_at, status, constraints, principal_id, role, session_id, route, outcome, purpose,
    client_address, request_id, receipt_ids, customer_ids
FROM audit.events
WHERE occurred_at >= %(since)s AND occurred_at < %(until)s;
