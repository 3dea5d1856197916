-- Who may write the refined tables: one process at a time, however many machines there are.

-- name: claim_lake
-- Take the lock for as long as this connection lives; answers whether it was free.
SELECT pg_try_advisory_lock(hashtextextended('receipts.refinement', 0));

-- name: check_claim
-- Answer whether this connection still lives.
SELECT true;
