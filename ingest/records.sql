-- What a group commit writes. Every statement takes columns as arrays, one element per record, and holds each key once.
-- Long columns travel in binary (`)b`): psycopg escapes a text array one quotation mark at a time, in Python.

-- name: record_stores
-- Upsert stores and the names of their regions; answers the stores that are new or changed.
WITH sent AS (
    SELECT *
    FROM unnest(
        %(store_id)s::integer[], %(region_id)s::smallint[], %(region)s::text[], %(name)s::text[],
        %(name_norm)s::text[], %(aliases_norm)s::text[], %(time_zone)s::text[], %(document)b::text[],
        %(payload_digest)b::bytea[]
    ) AS s (store_id, region_id, region, name, name_norm, aliases_norm, time_zone, document, payload_digest)
), regions AS (
    INSERT INTO access.regions AS r (region_id, name)
    SELECT DISTINCT ON (region_id) region_id, region FROM sent ORDER BY region_id, store_id DESC
    ON CONFLICT (region_id) DO UPDATE SET name = excluded.name WHERE r.name <> excluded.name
)
INSERT INTO retail.stores AS o
    (store_id, region_id, name, name_norm, aliases_norm, time_zone, document, payload_digest)
SELECT store_id, region_id, name, name_norm, string_to_array(aliases_norm, E'\n'), time_zone, document, payload_digest
FROM sent ORDER BY store_id
ON CONFLICT (store_id) DO UPDATE SET
    region_id = excluded.region_id, name = excluded.name, name_norm = excluded.name_norm,
    aliases_norm = excluded.aliases_norm, time_zone = excluded.time_zone, document = excluded.document,
    payload_digest = excluded.payload_digest
WHERE o.payload_digest <> excluded.payload_digest
RETURNING store_id::text AS record_key;

-- name: record_customers
-- Upsert customers and their contacts; the regions of a known customer stay, because refinement widens them.
WITH sent AS (
    SELECT *
    FROM unnest(
        %(customer_id)s::text[], %(first_name)s::text[], %(last_name)s::text[], %(name_norm)s::text[],
        %(email)s::text[], %(email_norm)s::text[], %(email_masked)s::text[], %(phone)s::text[],
        %(phone_norm)s::text[], %(phone_masked)s::text[], %(address)s::text[], %(city)s::text[],
        %(customer_since)s::date[], %(home_store_id)s::integer[], %(region_id)s::smallint[],
        %(payload_digest)b::bytea[]
    ) AS s (
        customer_id, first_name, last_name, name_norm, email, email_norm, email_masked, phone, phone_norm,
        phone_masked, address, city, customer_since, home_store_id, region_id, payload_digest
    )
), kept AS (
    INSERT INTO retail.customers AS c (
        customer_id, first_name, last_name, name_norm, email_masked, phone_masked, city, customer_since,
        home_store_id, region_ids, payload_digest
    )
    SELECT customer_id, first_name, last_name, name_norm, email_masked, phone_masked, city, customer_since,
        home_store_id, ARRAY[region_id], payload_digest
    FROM sent ORDER BY customer_id
    ON CONFLICT (customer_id) DO UPDATE SET
        first_name = excluded.first_name, last_name = excluded.last_name, name_norm = excluded.name_norm,
        email_masked = excluded.email_masked, phone_masked = excluded.phone_masked, city = excluded.city,
        customer_since = excluded.customer_since, home_store_id = excluded.home_store_id,
        payload_digest = excluded.payload_digest
    WHERE c.payload_digest <> excluded.payload_digest
    RETURNING customer_id
)
INSERT INTO retail.customer_contacts (customer_id, email, email_norm, phone, phone_norm, address)
SELECT customer_id, email, email_norm, phone, phone_norm, address FROM sent JOIN kept USING (customer_id)
ON CONFLICT (customer_id) DO UPDATE SET
    email = excluded.email, email_norm = excluded.email_norm, phone = excluded.phone,
    phone_norm = excluded.phone_norm, address = excluded.address
RETURNING customer_id AS record_key;

-- name: record_receipts
-- Insert receipts that are not there yet, with their outbox rows where they are to be queued; answers those inserted.
-- In the order of their keys, so that two gateways never deadlock. One statement, because most groups hold nothing else.
-- `all_new`: insert either all of them or, when a key is known already, none.
WITH sent AS (
    SELECT *
    FROM unnest(
        %(receipt_id)b::text[], %(store_id)b::integer[], %(region_id)b::smallint[], %(receipt_type)b::text[],
        %(purchased_at)b::timestamptz[], %(purchased_on)b::date[], %(customer_id)b::text[], %(total_cents)b::bigint[],
        %(card_last4)b::text[], %(skus)b::text[], %(document)b::text[], %(payload_digest)b::bytea[],
        %(received_at)b::timestamptz[], %(source)b::text[], %(sequence)b::bigint[]
    ) AS s (
        receipt_id, store_id, region_id, receipt_type, purchased_at, purchased_on, customer_id, total_cents,
        card_last4, skus, document, payload_digest, received_at, source, sequence
    )
), inserted AS (
    INSERT INTO retail.receipts (
        receipt_id, store_id, region_id, receipt_type, purchased_at, purchased_on, customer_id, total_cents,
        card_last4, skus, document, payload_digest, first_digest, received_at
    )
    SELECT
        receipt_id, store_id, region_id, receipt_type, purchased_at, purchased_on, customer_id, total_cents,
        string_to_array(card_last4, ','), string_to_array(skus, ','), document, payload_digest, payload_digest,
        received_at
    FROM sent
    WHERE NOT %(all_new)s OR NOT EXISTS (SELECT FROM sent s JOIN retail.receipts r USING (receipt_id))
    ORDER BY receipt_id
    ON CONFLICT (receipt_id) DO NOTHING
    RETURNING receipt_id
), queued AS (
    INSERT INTO ingest.outbox
        (turn, sequence, bronze_table, record_key, store_id, received_at, source, payload_digest, payload)
    SELECT o.turn, sequence, 'bronze.receipts', receipt_id, store_id, received_at, source, payload_digest, document
    FROM ingest.outbox_state o, sent JOIN inserted USING (receipt_id)
    WHERE %(queue)s
)
SELECT receipt_id AS record_key FROM inserted;

-- name: record_corrections
-- Note versions of receipts that came after the first; answers those not seen before. A statement of its own, because
-- only a new snapshot shows what a concurrent gateway inserted.
INSERT INTO ingest.corrections (receipt_id, payload_digest, received_at)
SELECT s.receipt_id, s.payload_digest, s.received_at
FROM unnest(%(receipt_id)s::text[], %(payload_digest)b::bytea[], %(received_at)s::timestamptz[])
    AS s (receipt_id, payload_digest, received_at)
JOIN retail.receipts r USING (receipt_id)
WHERE r.first_digest <> s.payload_digest
ORDER BY s.receipt_id, s.payload_digest
ON CONFLICT DO NOTHING
RETURNING receipt_id AS record_key, payload_digest;

-- name: record_refusals
-- Hold refused payloads; answers those not held before.
INSERT INTO ingest.quarantine
    (bronze_table, received_at, source, reason, payload, payload_digest, kind, missing_store_id)
SELECT bronze_table, received_at, source, reason, payload, payload_digest, coalesce(kind, 'malformed'), missing_store_id
FROM unnest(
    %(bronze_table)s::text[], %(received_at)s::timestamptz[], %(source)s::text[], %(refusal)s::text[],
    %(payload)b::text[], %(payload_digest)b::bytea[], %(kind)s::text[], %(missing_store_id)s::integer[]
) AS s (bronze_table, received_at, source, reason, payload, payload_digest, kind, missing_store_id)
ORDER BY bronze_table, payload_digest
ON CONFLICT (bronze_table, payload_digest) DO NOTHING
RETURNING bronze_table, payload_digest;

-- name: record_outbox
-- Queue payloads for Bronze in the order they were received.
INSERT INTO ingest.outbox
    (turn, sequence, bronze_table, record_key, store_id, received_at, source, payload_digest, payload, refusal)
SELECT o.turn, s.sequence, bronze_table, record_key, store_id, received_at, source, payload_digest, payload, refusal
FROM ingest.outbox_state o, unnest(
    %(bronze_table)s::text[], %(record_key)s::text[], %(store_id)s::integer[], %(received_at)s::timestamptz[],
    %(source)s::text[], %(payload_digest)b::bytea[], %(payload)b::text[], %(refusal)s::text[], %(sequence)s::bigint[]
) AS s (
    bronze_table, record_key, store_id, received_at, source, payload_digest, payload, refusal, sequence
);

-- name: next_gateway_number
-- A number that no other gateway that runs now has.
SELECT nextval('ingest.gateway_numbers')::integer;

-- name: list_stores
-- The region and time zone of every store.
SELECT store_id, region_id, time_zone FROM retail.stores;
