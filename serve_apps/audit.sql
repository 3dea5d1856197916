-- name: open_chain
-- Begins a chain of groups of events.
SELECT chain, head FROM audit.open_chain();

-- name: extend
-- Makes a group of events durable as the next one of its chain; returns its digest, or null when another stands there.
SELECT audit.extend(p_payload => %s, p_chain => %s, p_seq => %s, p_previous => %s);
