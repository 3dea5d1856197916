-- name: is_standby
-- Whether the server follows another one.
SELECT pg_is_in_recovery();

-- name: promote
-- Makes a standby the primary, once it has replayed all it received; false when that takes longer than a minute.
SELECT pg_promote(wait => true, wait_seconds => 60);

-- name: has_role
-- Whether the login that standbys replicate with is there.
SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = %s);

-- name: list_slots
-- The places in the write-ahead log that are kept for standbys; one that was away for too long has lost its place.
SELECT slot_name::text, active, wal_status = 'lost' AS lost FROM pg_replication_slots WHERE slot_type = 'physical';

-- name: create_slot
-- Keeps the write-ahead log from now on for a standby.
SELECT pg_create_physical_replication_slot(%s, immediately_reserve => true);

-- name: drop_slot
-- Keeps nothing for a standby any more.
SELECT pg_drop_replication_slot(%s);

-- name: find_received
-- How far a standby has received or replayed, whichever is more, in bytes.
SELECT (greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn()) - '0/0'::pg_lsn)::bigint;

-- name: has_replayed
-- Whether a standby has replayed the record that begins at a place.
SELECT pg_last_wal_replay_lsn() > %s::pg_lsn;

-- name: list_followers
-- Who follows the primary, how far behind in bytes and seconds, and whether commits wait for them.
SELECT application_name AS name, state, sync_state,
    greatest((pg_current_wal_lsn() - replay_lsn)::bigint, 0) AS lag_bytes,
    CASE WHEN replay_lsn >= pg_current_wal_lsn() THEN 0.0 ELSE coalesce(extract(epoch FROM replay_lag), 0.0) END::float8
        AS lag_s
FROM pg_stat_replication;
