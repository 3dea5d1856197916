-- name: count_lines
-- How many receipts of the scope's regions, counted no further than `most`, and how many line items they have. A line's
-- number stands once in each, and taking texts apart is four times as fast as reading JSON.
SELECT count(*), coalesce(sum(cardinality(string_to_array(document, '"line_number":')) - 1), 0)
FROM (
    SELECT r.document FROM retail.receipts r
    WHERE r.purchased_on BETWEEN %(date_from)s AND %(date_to)s
        AND (%(store_ids)s::integer[] IS NULL OR r.store_id = ANY (%(store_ids)s))
    LIMIT %(most)s
) AS wanted;

-- name: allow_counting
-- Counting a year of receipts takes longer than other statements may.
SELECT set_config('statement_timeout', %s, true);

-- name: record_export
-- Write down what is asked for.
INSERT INTO retail.exports (requested_by, format, reason, date_from, date_to, store_ids, rows_total)
VALUES (
    access.my_principal(), %(format)s, %(reason)s, %(date_from)s, %(date_to)s, %(store_ids)s, %(rows_total)s
)
RETURNING export_id, format, reason, date_from, date_to, store_ids, rows_total, rows_done, state, failure,
    requested_by, requested_at, expires_at;

-- name: list_exports
-- The caller's own exports, or one of them, the newest first. One that has said nothing for minutes ended with its
-- replica, which could not say so any more.
SELECT export_id, format, reason, date_from, date_to, store_ids, rows_total, rows_done,
    CASE WHEN is_lost THEN 'failed' ELSE state END AS state,
    CASE WHEN is_lost THEN 'The download ended with its server.' ELSE failure END AS failure,
    requested_by, requested_at, expires_at
FROM (
    SELECT *, state = 'running' AND moved_at < clock_timestamp() - interval '3 minutes' AS is_lost
    FROM retail.exports
    WHERE %(export_id)s::uuid IS NULL OR export_id = %(export_id)s
) AS own
ORDER BY requested_at DESC
LIMIT %(rows)s;
