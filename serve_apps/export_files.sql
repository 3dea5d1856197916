-- name: find_receipts
-- The receipts of the scope's regions that an export asks for, day by day of the stores' own calendars.
SELECT r.document, r.purchased_on, (SELECT s.name FROM retail.stores s WHERE s.store_id = r.store_id)
FROM retail.receipts r
WHERE r.purchased_on BETWEEN %(date_from)s AND %(date_to)s
    AND (%(store_ids)s::integer[] IS NULL OR r.store_id = ANY (%(store_ids)s))
ORDER BY r.purchased_on;

-- name: begin_download
-- Begin one more download of an export; the one before, if it still runs, has no say any more.
UPDATE retail.exports
SET state = 'running', rows_done = 0, failure = NULL, download = download + 1, moved_at = clock_timestamp()
WHERE export_id = %(export_id)s
RETURNING download;

-- name: note_progress
-- Say how far a download is, unless another one has begun.
UPDATE retail.exports SET rows_done = %(rows_done)s, moved_at = clock_timestamp()
WHERE export_id = %(export_id)s AND download = %(download)s
RETURNING download;

-- name: end_download
-- Say how a download ended, unless another one has begun.
UPDATE retail.exports
SET state = CASE WHEN %(failure)s::text IS NULL THEN 'done' ELSE 'failed' END, failure = %(failure)s,
    rows_done = %(rows_done)s, moved_at = clock_timestamp(),
    rows_total = CASE WHEN %(failure)s IS NULL THEN %(rows_done)s ELSE rows_total END
WHERE export_id = %(export_id)s AND download = %(download)s
RETURNING download;
