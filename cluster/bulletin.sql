-- What the monitor tells administrators.

-- name: record_status
-- Put this bulletin in the place of the last one.
INSERT INTO operations.status (looked_at, told) VALUES (clock_timestamp(), %(told)s::jsonb)
ON CONFLICT (is_last) DO UPDATE SET looked_at = excluded.looked_at, told = excluded.told;
