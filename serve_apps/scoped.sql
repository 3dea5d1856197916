-- name: set_scope
-- Puts the scope's handle on this transaction only; it is gone at its end.
SELECT set_config('app.scope', %s, true);
