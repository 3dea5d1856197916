-- name: lock_import
-- Keep other processes from importing the same content for as long as this session lasts.
SELECT pg_advisory_lock(%(key)s::bigint);

-- name: record_import
-- Note a content that is seen for the first time.
INSERT INTO ingest.imports (content_digest, format, file_name)
VALUES (%(content_digest)s, %(format)s, %(file_name)s)
ON CONFLICT (content_digest) DO NOTHING;

-- name: record_progress
-- Move the progress of an import on from where it stood; no row when it stands elsewhere.
UPDATE ingest.imports
SET records = records + %(new)s + %(known)s + %(refused)s + %(skipped)s,
    new = new + %(new)s, known = known + %(known)s, refused = refused + %(refused)s, skipped = skipped + %(skipped)s
WHERE content_digest = %(content_digest)s AND records = %(before)s
RETURNING records;

-- name: record_import_refusals
-- Note which records of a content became no receipt, and why.
INSERT INTO ingest.import_refusals (content_digest, record, position, skipped, reason)
SELECT %(content_digest)s, *
FROM unnest(%(record)s::bigint[], %(position)s::bigint[], %(skipped)s::boolean[], %(reason)s::text[]);

-- name: record_import_end
-- Note that a content was read to its end, or why it cannot be.
UPDATE ingest.imports
SET broken = %(broken)s, finished_at = CASE WHEN %(broken)s::text IS NULL THEN clock_timestamp() END
WHERE content_digest = %(content_digest)s;
