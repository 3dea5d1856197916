-- name: list_receipts
-- The receipts of a customer before a place in the list, the newest first; one row of nulls for a customer without.
-- The position is told after the list was read, so that it covers all that was seen.
SELECT document, store_name, time_zone, purchased_on, purchased_at, receipt_id,
    (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END
        - '0/0'::pg_lsn)::bigint AS position
FROM retail.list_receipts(%(scope)s, %(customer_id)s, %(before_at)s, %(before_id)s, %(rows)s);
