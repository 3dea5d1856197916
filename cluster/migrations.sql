-- name: take_lock
-- Held until the session ends: one migration run at a time per database.
SELECT pg_advisory_lock(72616378);

-- name: create_record
-- Which migrations a database has, and the digest of the file each came from.
CREATE TABLE IF NOT EXISTS public.schema_migrations (
    number integer PRIMARY KEY,
    name text NOT NULL,
    digest text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);

-- name: list_applied
-- What has been applied, in order.
SELECT number, name, digest FROM public.schema_migrations ORDER BY number;

-- name: record
-- One migration has been applied, in its own transaction.
INSERT INTO public.schema_migrations (number, name, digest) VALUES (%(number)s, %(name)s, %(digest)s);
