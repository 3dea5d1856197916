-- name: act_as_owner
-- Until the end of the transaction: what is written belongs to the tables' owner.
SET LOCAL ROLE receipts_owner;
