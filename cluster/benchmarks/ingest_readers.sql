-- What the API asks, to see whether an acknowledged receipt is readable.

-- name: open_scope
-- The handle of what a principal may see, as the sign-in opens it.
SELECT scope_id::text FROM access.open_scope(%s);

-- name: set_scope
-- Puts the handle on this transaction.
SELECT set_config('app.scope', %s, true);

-- name: find_receipt
-- One receipt, if row-level security lets it be seen.
SELECT r.document FROM retail.receipts r JOIN retail.stores s USING (store_id) WHERE r.receipt_id = %s;
