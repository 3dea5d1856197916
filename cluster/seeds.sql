-- name: act_as_owner
-- Until the end of the transaction: what is written belongs to the tables' owner.
SET LOCAL ROLE receipts_owner;

-- name: record_region
-- A sales region; its name follows this file.
INSERT INTO access.regions (region_id, name) VALUES (%(region_id)s, %(name)s)
ON CONFLICT (region_id) DO UPDATE SET name = excluded.name WHERE regions.name <> excluded.name;

-- name: record_principal
-- Somebody to sign in as during development; who exists already stays as he is.
INSERT INTO access.principals (principal_id, role, display_name, region_ids, all_regions)
VALUES (%(principal_id)s, %(role)s, %(display_name)s, %(region_ids)s, %(all_regions)s)
ON CONFLICT (principal_id) DO NOTHING;
