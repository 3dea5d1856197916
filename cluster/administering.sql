-- name: act_as_owner
-- Until the end of the transaction: what is written belongs to the tables' owner.
SET LOCAL ROLE receipts_owner;

-- name: who_am_i
-- Who logged in, whatever role is acted as.
SELECT session_user::text;

-- name: open_chain
-- Begins a chain of the audit trail.
SELECT chain, head FROM audit.open_chain();

-- name: extend_chain
-- Makes a group of events the first one of a chain.
SELECT audit.extend(p_chain => %(chain)s, p_seq => 1, p_previous => %(head)s, p_payload => %(payload)s);
