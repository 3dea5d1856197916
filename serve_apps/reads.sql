-- name: find_position
-- How far the primary has written, in bytes.
SELECT (pg_current_wal_lsn() - '0/0'::pg_lsn)::bigint;

-- name: find_replayed
-- How far a standby has followed, in bytes; null on a server that is none.
SELECT CASE WHEN pg_is_in_recovery() THEN (pg_last_wal_replay_lsn() - '0/0'::pg_lsn)::bigint END;
