-- What the serving tables hold, as sums over buckets of keys that data_jobs/sync_verification.py makes of the lake too.
-- A row's digest is 64 bits of the MD5 of its values, and a bucket's the exclusive or of its rows', in any order. With
-- `buckets`, answers the single rows of those buckets. `waiting` rows are not refined yet: the lake need not know them.

-- name: digest_receipts
-- `payload_digest` stands for the document.
SELECT bucket, key, waiting, count(*) AS rows, bit_xor(digest) AS digest
FROM (
    SELECT ('x' || left(md5(receipt_id), 3))::bit(12)::integer AS bucket,
        CASE WHEN %(buckets)s::integer[] IS NOT NULL THEN receipt_id END AS key,
        refined_at IS NULL AS waiting,
        ('x' || left(md5(concat_ws(
            E'\x1f', receipt_id, store_id, region_id, receipt_type,
            (extract(epoch FROM purchased_at) * 1000000)::bigint, to_char(purchased_on, 'YYYY-MM-DD'),
            coalesce(customer_id, ''), total_cents, array_to_string(card_last4, ','), array_to_string(skus, ','),
            encode(payload_digest, 'hex')
        )), 16))::bit(64)::bigint AS digest
    FROM retail.receipts
) AS r
WHERE %(buckets)s::integer[] IS NULL OR bucket = ANY (%(buckets)s::integer[])
GROUP BY bucket, key, waiting;

-- name: digest_products
-- All that a product says.
SELECT bucket, key, waiting, count(*) AS rows, bit_xor(digest) AS digest
FROM (
    SELECT ('x' || left(md5(sku), 3))::bit(12)::integer AS bucket,
        CASE WHEN %(buckets)s::integer[] IS NOT NULL THEN sku END AS key,
        false AS waiting,
        ('x' || left(md5(concat_ws(
            E'\x1f', sku, description, department, category, search_text, text_digest
        )), 16))::bit(64)::bigint AS digest
    FROM retail.products
) AS p
WHERE %(buckets)s::integer[] IS NULL OR bucket = ANY (%(buckets)s::integer[])
GROUP BY bucket, key, waiting;

-- name: digest_customer_profiles
-- Without the regions, to which Postgres adds that of the home store.
SELECT bucket, key, waiting, count(*) AS rows, bit_xor(digest) AS digest
FROM (
    SELECT ('x' || left(md5(customer_id), 3))::bit(12)::integer AS bucket,
        CASE WHEN %(buckets)s::integer[] IS NOT NULL THEN customer_id END AS key,
        false AS waiting,
        ('x' || left(md5(concat_ws(
            E'\x1f', customer_id, lifetime_spend_cents, visits,
            coalesce(((extract(epoch FROM last_visit_at) * 1000000)::bigint)::text, ''), document
        )), 16))::bit(64)::bigint AS digest
    FROM retail.customer_profiles
) AS p
WHERE %(buckets)s::integer[] IS NULL OR bucket = ANY (%(buckets)s::integer[])
GROUP BY bucket, key, waiting;

-- name: digest_spending_insights
-- All that is summed up.
SELECT bucket, key, waiting, count(*) AS rows, bit_xor(digest) AS digest
FROM (
    SELECT ('x' || left(md5(i.key), 3))::bit(12)::integer AS bucket,
        CASE WHEN %(buckets)s::integer[] IS NOT NULL THEN i.key END AS key,
        false AS waiting,
        ('x' || left(md5(concat_ws(
            E'\x1f', i.key, lines, spend_cents, discount_cents
        )), 16))::bit(64)::bigint AS digest
    FROM (
        SELECT concat_ws(E'\x1f', customer_id, to_char(month, 'YYYY-MM-DD'), category) AS key,
            lines, spend_cents, discount_cents
        FROM retail.spending_insights
    ) AS i
) AS s
WHERE %(buckets)s::integer[] IS NULL OR bucket = ANY (%(buckets)s::integer[])
GROUP BY bucket, key, waiting;

-- name: digest_product_embeddings
-- A text and a model make one vector.
SELECT bucket, key, waiting, count(*) AS rows, bit_xor(digest) AS digest
FROM (
    SELECT ('x' || left(md5(text_digest), 3))::bit(12)::integer AS bucket,
        CASE WHEN %(buckets)s::integer[] IS NOT NULL THEN text_digest END AS key,
        false AS waiting,
        ('x' || left(md5(concat_ws(E'\x1f', text_digest, model)), 16))::bit(64)::bigint AS digest
    FROM retail.product_embeddings
) AS e
WHERE %(buckets)s::integer[] IS NULL OR bucket = ANY (%(buckets)s::integer[])
GROUP BY bucket, key, waiting;

-- name: digest_fraud_patterns
-- Of one of the tables that share the relation; the regions are those of the stores.
SELECT bucket, key, waiting, count(*) AS rows, bit_xor(digest) AS digest
FROM (
    SELECT ('x' || left(md5(pattern_id), 3))::bit(12)::integer AS bucket,
        CASE WHEN %(buckets)s::integer[] IS NOT NULL THEN pattern_id END AS key,
        false AS waiting,
        ('x' || left(md5(concat_ws(
            E'\x1f', source, pattern_id, kind, subject, subject_id, to_char(month, 'YYYY-MM-DD'), figures, explanation,
            strength, array_to_string(receipt_types, ','), receipt_count,
            coalesce(((extract(epoch FROM first_at) * 1000000)::bigint)::text, ''),
            coalesce(((extract(epoch FROM last_at) * 1000000)::bigint)::text, ''), array_to_string(store_ids, ',')
        )), 16))::bit(64)::bigint AS digest
    FROM retail.fraud_patterns
    WHERE source = %(table)s
) AS p
WHERE %(buckets)s::integer[] IS NULL OR bucket = ANY (%(buckets)s::integer[])
GROUP BY bucket, key, waiting;
