-- What the audit trail says of the questions of a drill.

-- name: list_groups
-- The payloads of all groups of chains that were open since a day: a chain is at most a day long.
SELECT payload FROM audit.spool WHERE chain >= audit.chain_day(%(since)s::date - 1) ORDER BY chain, seq;
