-- name: list_ended_sessions
-- The sessions that ended while a token of theirs is still good.
SELECT session_id FROM auth.list_ended_sessions();
