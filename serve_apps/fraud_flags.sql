-- name: record_flag
-- Flag what the scope holds; nothing where it does not.
INSERT INTO fraud.flags (subject, subject_id, reason, note, raised_by)
SELECT %(subject)s, %(subject_id)s, %(reason)s, %(note)s, %(raised_by)s
WHERE fraud.regions_of(%(subject)s, %(subject_id)s) IS NOT NULL
RETURNING flag_id, subject, subject_id, reason, note, state, raised_by, raised_at, reviewed_by, reviewed_at,
    review_note, fraud.regions_of(subject, subject_id) AS region_ids;

-- name: list_flags
-- Flags about what the scope holds, before a place in the list, the newest first.
SELECT flag_id, subject, subject_id, reason, note, state, raised_by, raised_at, reviewed_by, reviewed_at, review_note,
    fraud.regions_of(subject, subject_id) AS region_ids
FROM fraud.flags
WHERE flag_id < %(before)s
    AND (%(state)s::text IS NULL OR state = %(state)s)
    AND (%(subject_id)s::text IS NULL OR subject_id = %(subject_id)s)
ORDER BY flag_id DESC
LIMIT %(rows)s;

-- name: find_flag
-- One flag about something that the scope holds.
SELECT flag_id, subject, subject_id, reason, note, state, raised_by, raised_at, reviewed_by, reviewed_at, review_note,
    fraud.regions_of(subject, subject_id) AS region_ids
FROM fraud.flags
WHERE flag_id = %(flag_id)s;

-- name: record_review
-- Close a flag, unless that has been done or whoever raised it would do it.
UPDATE fraud.flags
SET state = %(outcome)s, reviewed_by = %(reviewed_by)s, reviewed_at = clock_timestamp(), review_note = %(note)s
WHERE flag_id = %(flag_id)s AND state = 'open' AND raised_by <> %(reviewed_by)s
RETURNING flag_id, subject, subject_id, reason, note, state, raised_by, raised_at, reviewed_by, reviewed_at,
    review_note, fraud.regions_of(subject, subject_id) AS region_ids;
