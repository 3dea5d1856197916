-- Credentials that end by themselves: of whoever is entered for an hour or a day, such as a load test's people.

SET LOCAL ROLE receipts_owner;

ALTER TABLE auth.clients ADD COLUMN expires_at timestamptz;  -- null: never
