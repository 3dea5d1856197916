-- name: set_scope
-- Puts the scope's handle, and for whom it is presented, on this transaction only; both are gone at its end.
SELECT set_config('app.scope', %s, true), set_config('app.principal', %s, true);
