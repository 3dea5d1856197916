-- name: open_chain
-- Begins a chain of groups of events.
SELECT chain, head FROM audit.open_chain();

-- name: append
-- Makes a group of events durable; one that an earlier attempt already made so changes nothing.
SELECT audit.append(%s, %s, %s, %s, %s);
