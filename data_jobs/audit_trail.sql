-- name: project
-- Takes groups of audit events apart for the search; returns how many.
SELECT audit.project();
