-- name: find_import
-- The report of a content.
SELECT encode(content_digest, 'hex'), format, file_name, started_at, finished_at,
    records, new, known, refused, skipped, broken
FROM ingest.imports WHERE content_digest = %(content_digest)s;

-- name: list_imports
-- The newest imports.
SELECT encode(content_digest, 'hex'), format, file_name, started_at, finished_at,
    records, new, known, refused, skipped, broken
FROM ingest.imports ORDER BY started_at DESC, content_digest LIMIT %(limit)s;

-- name: list_imports_by_prefix
-- The imports whose digest begins with some hex digits.
SELECT encode(content_digest, 'hex'), format, file_name, started_at, finished_at,
    records, new, known, refused, skipped, broken
FROM ingest.imports WHERE starts_with(encode(content_digest, 'hex'), %(prefix)s) ORDER BY content_digest LIMIT 2;

-- name: list_import_reasons
-- Why records of a content became no receipts, the most frequent reasons first.
SELECT skipped, reason, count(*) FROM ingest.import_refusals
WHERE content_digest = %(content_digest)s GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT %(limit)s;

-- name: list_import_refusals
-- The records of a content that became no receipts, in the order of the file.
SELECT record, position, skipped, reason FROM ingest.import_refusals
WHERE content_digest = %(content_digest)s ORDER BY record LIMIT %(limit)s;
