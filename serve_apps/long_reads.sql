-- name: begin_long_read
-- Puts scope and principal on this transaction only, which may write nothing, and bounds each fetch and each pause.
SELECT set_config('app.scope', %(scope)s, true), set_config('app.principal', %(principal)s, true),
    set_config('transaction_read_only', 'on', true), set_config('statement_timeout', %(fetch_ms)s, true),
    set_config('idle_in_transaction_session_timeout', %(pause_ms)s, true);
