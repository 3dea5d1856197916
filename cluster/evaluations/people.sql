-- What the evaluation of people needs.

-- name: open_everything
-- The scope of the representative who sees all regions.
SELECT scope_id FROM access.open_scope('rep.all');
