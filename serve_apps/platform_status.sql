-- What the monitor told.

-- name: find_status
-- What the monitor saw last, for an administrator.
SELECT looked_at, age_s, told FROM operations.find_status(%(principal_id)s);
