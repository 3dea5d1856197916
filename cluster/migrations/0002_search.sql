-- Search: functions that may use GIN and vector indexes, which row-level security would bar (their operators are
-- not leakproof). They belong to receipts_search, which bypasses row-level security, so each of them applies
-- access.my_regions() itself: a receipt or customer outside the caller's regions is never a candidate.

CREATE SCHEMA search AUTHORIZATION receipts_search;

SET LOCAL ROLE receipts_owner;

-- What a name is found by although it was misheard: each word whole, its first three letters, its last three, and
-- its consonants. Two spellings of one name share at least one of them.
CREATE FUNCTION retail.name_keys(p_name_norm text) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(array_agg(DISTINCT k.key), '{}')
    FROM unnest(string_to_array(p_name_norm, ' ')) AS w(word)
    CROSS JOIN LATERAL (
        VALUES (w.word),
            ('^' || left(w.word, 3)),
            (right(w.word, 3) || '$'),
            ('=' || left(w.word, 1) || regexp_replace(translate(substr(w.word, 2), 'aeiouyhw', ''), '(.)\1+', '\1', 'g'))
    ) AS k(key)
    WHERE w.word <> ''
$$;
CREATE INDEX customers_by_name_key ON retail.customers USING gin (retail.name_keys(name_norm));

RESET ROLE;
SET LOCAL ROLE receipts_search;

-- Customers of the caller's regions of whom every given word shares a key; those with more words spelt alike first.
CREATE FUNCTION search.search_customers(p_words text[], p_most integer)
RETURNS TABLE (customer_id text, name_norm text)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    v_regions smallint[] := access.my_regions();
    v_first text[] := retail.name_keys(p_words[1]);
    v_last text[] := retail.name_keys(p_words[cardinality(p_words)]);
BEGIN
    RETURN QUERY
        SELECT c.customer_id, c.name_norm
        FROM retail.customers c
        WHERE retail.name_keys(c.name_norm) && v_first AND retail.name_keys(c.name_norm) && v_last
            AND c.region_ids && v_regions
        ORDER BY (SELECT count(*) FROM unnest(string_to_array(c.name_norm, ' ')) AS w(word)
                  WHERE w.word = ANY (p_words)) DESC,
            c.customer_id
        LIMIT p_most;
END
$$;

-- Products that one phrase means. All stems of the phrase in a product's text is a literal match. Where fewer than
-- twenty products match literally, the nearest by meaning follow: more would drown what was asked for.
CREATE FUNCTION search.search_products(p_lexical text, p_embedding public.halfvec, p_most integer)
RETURNS TABLE (sku text, similarity real, is_literal boolean)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    v_query tsquery := plainto_tsquery('pg_catalog.english', p_lexical);
    v_literal integer := 0;
BEGIN
    -- A literal match counts 0.8 to 1: meaning and rank of the words order "chicken" before "chicken cat food".
    RETURN QUERY
        SELECT p.sku,
            CASE WHEN p_embedding IS NULL OR e.embedding IS NULL THEN 1.0
            ELSE 0.8 + 0.2 * greatest(0, 0.7 * (1 - (e.embedding OPERATOR(public.<=>) p_embedding))
                + 0.3 * ts_rank(p.lexemes, v_query, 32)) END::real,
            true
        FROM retail.products p
        LEFT JOIN retail.product_embeddings e ON e.text_digest = p.text_digest
        WHERE p.lexemes @@ v_query
        LIMIT p_most;
    GET DIAGNOSTICS v_literal = ROW_COUNT;
    IF v_literal >= 20 OR p_embedding IS NULL THEN
        RETURN;
    END IF;
    PERFORM set_config('hnsw.ef_search', '200', true);  -- recall 0.97 of the nearest hundred at 2 ms
    RETURN QUERY
        SELECT p.sku, n.similarity, false
        FROM (
            SELECT e.text_digest, (1 - (e.embedding OPERATOR(public.<=>) p_embedding))::real AS similarity
            FROM retail.product_embeddings e
            ORDER BY e.embedding OPERATOR(public.<=>) p_embedding
            LIMIT 60
        ) n
        JOIN retail.products p ON p.text_digest = n.text_digest
        -- Below it neighbours have nothing in common with what was asked; beside literal matches more is expected.
        WHERE n.similarity >= CASE WHEN v_literal = 0 THEN 0.35 ELSE 0.5 END
            AND NOT p.lexemes @@ v_query
        ORDER BY n.similarity DESC
        LIMIT p_most;
END
$$;

-- Receipts of the caller's regions that fit what was asked, the best first. Every argument may be null: not asked.
--
-- Each field asked for gives a closeness of 0 to 1; `score` is their mean weighted 3 for card, customer and product
-- and 2 for store, date and amount. A day or an amount inside what was asked is 1 and falls to 0.5 at the edge of
-- its tolerance; a store or customer counts as its name's likeness; products as the mean over the phrases of the
-- best likeness among the receipt's lines, so a phrase that no line means counts 0.
-- Of very many that fit, the two thousand closest by all but product, then the newest, are ranked.
CREATE FUNCTION search.search_receipts(
    p_receipt_id text,
    p_store_ids integer[], p_store_scores real[],
    p_date_from date, p_date_to date, p_date_tolerance integer,
    p_low bigint, p_high bigint, p_amount_tolerance bigint,
    p_customer_ids text[], p_customer_scores real[],
    p_card text,
    p_lexical text[], p_embeddings text[],
    p_offset integer, p_rows integer
)
RETURNS TABLE (
    document text, store_name text, time_zone text, purchased_on date, score real,
    store_score real, date_score real, amount_score real, customer_score real,
    skus text[], terms integer[], similarities real[], literals boolean[]
)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    v_regions smallint[] := access.my_regions();
    v_from date := p_date_from - p_date_tolerance;
    v_to date := p_date_to + p_date_tolerance;
    v_low bigint := p_low - p_amount_tolerance;
    v_high bigint := p_high + p_amount_tolerance;
    v_store_weight real := CASE WHEN p_store_ids IS NULL THEN 0 ELSE 2 END;
    v_date_weight real := CASE WHEN coalesce(p_date_from, p_date_to) IS NULL THEN 0 ELSE 2 END;
    v_amount_weight real := CASE WHEN coalesce(p_low, p_high) IS NULL THEN 0 ELSE 2 END;
    v_customer_weight real := CASE WHEN p_customer_ids IS NULL THEN 0 ELSE 3 END;
    v_card_weight real := CASE WHEN p_card IS NULL THEN 0 ELSE 3 END;
    v_product_weight real := CASE WHEN p_lexical IS NULL THEN 0 ELSE 3 END;
    v_skus text[];
    v_terms integer[];
    v_similarities real[];
    v_literals boolean[];
BEGIN
    IF p_lexical IS NOT NULL THEN
        SELECT array_agg(f.sku), array_agg(t.term::integer), array_agg(f.similarity), array_agg(f.is_literal)
        INTO v_skus, v_terms, v_similarities, v_literals
        FROM unnest(p_lexical, p_embeddings) WITH ORDINALITY AS t(lexical, embedding, term)
        CROSS JOIN LATERAL search.search_products(t.lexical, t.embedding::public.halfvec, 2000) AS f;
        IF v_skus IS NULL THEN
            RETURN;
        END IF;
    END IF;
    RETURN QUERY
        WITH fitting AS (
            SELECT r.receipt_id, r.skus, r.purchased_at, r.purchased_on,
                CASE WHEN p_store_ids IS NULL THEN NULL
                ELSE p_store_scores[array_position(p_store_ids, r.store_id)] END AS store_score,
                CASE WHEN v_date_weight = 0 THEN NULL
                ELSE 1 - 0.5 * greatest(p_date_from - r.purchased_on, r.purchased_on - p_date_to, 0)
                    / greatest(p_date_tolerance, 1) END::real AS date_score,
                CASE WHEN v_amount_weight = 0 THEN NULL
                ELSE 1 - 0.5 * greatest(p_low - r.total_cents, r.total_cents - p_high, 0)
                    / greatest(p_amount_tolerance, 1) END::real AS amount_score,
                CASE WHEN p_customer_ids IS NULL THEN NULL
                ELSE p_customer_scores[array_position(p_customer_ids, r.customer_id)] END AS customer_score
            FROM retail.receipts r
            WHERE r.region_id = ANY (v_regions)
                AND (p_receipt_id IS NULL OR r.receipt_id = p_receipt_id)
                AND (p_store_ids IS NULL OR r.store_id = ANY (p_store_ids))
                AND (v_from IS NULL OR r.purchased_on >= v_from)
                AND (v_to IS NULL OR r.purchased_on <= v_to)
                AND (v_low IS NULL OR r.total_cents >= v_low)
                AND (v_high IS NULL OR r.total_cents <= v_high)
                AND (p_customer_ids IS NULL OR r.customer_id = ANY (p_customer_ids))
                AND (p_card IS NULL OR r.card_last4 @> ARRAY[p_card])
                AND (v_skus IS NULL OR r.skus && v_skus)
        ), candidate AS MATERIALIZED (
            SELECT f.*, v_store_weight * coalesce(f.store_score, 0) + v_date_weight * coalesce(f.date_score, 0)
                + v_amount_weight * coalesce(f.amount_score, 0) + v_customer_weight * coalesce(f.customer_score, 0)
                + v_card_weight AS points
            FROM fitting f
            ORDER BY points DESC, f.purchased_on DESC
            LIMIT 2000
        ), product AS MATERIALIZED (
            SELECT * FROM unnest(v_skus, v_terms, v_similarities, v_literals) AS p(sku, term, similarity, is_literal)
        ), held AS (
            SELECT c.receipt_id, p.sku, p.term, p.similarity, p.is_literal
            FROM candidate c CROSS JOIN LATERAL unnest(c.skus) AS s(sku) JOIN product p ON p.sku = s.sku
        ), best AS (
            SELECT t.receipt_id, sum(t.similarity) / cardinality(p_lexical) AS product_score
            FROM (
                SELECT h.receipt_id, h.term, max(h.similarity) AS similarity FROM held h GROUP BY h.receipt_id, h.term
            ) t
            GROUP BY t.receipt_id
        ), page AS MATERIALIZED (
            SELECT c.*,
                ((c.points + v_product_weight * coalesce(b.product_score, 0)) / nullif(v_store_weight + v_date_weight
                    + v_amount_weight + v_customer_weight + v_card_weight + v_product_weight, 0))::real AS score
            FROM candidate c LEFT JOIN best b ON b.receipt_id = c.receipt_id
            ORDER BY score DESC, c.purchased_at DESC, c.receipt_id DESC
            LIMIT p_rows OFFSET p_offset
        )
        SELECT r.document, s.name, s.time_zone, r.purchased_on, coalesce(g.score, 1),
            g.store_score, g.date_score, g.amount_score, g.customer_score, m.skus, m.terms, m.similarities, m.literals
        FROM page g
        JOIN retail.receipts r ON r.receipt_id = g.receipt_id
        JOIN retail.stores s ON s.store_id = r.store_id
        CROSS JOIN LATERAL (
            SELECT array_agg(h.sku ORDER BY h.similarity DESC), array_agg(h.term ORDER BY h.similarity DESC),
                array_agg(h.similarity ORDER BY h.similarity DESC), array_agg(h.is_literal ORDER BY h.similarity DESC)
            FROM held h WHERE h.receipt_id = g.receipt_id
        ) AS m(skus, terms, similarities, literals)
        ORDER BY g.score DESC, r.purchased_at DESC, r.receipt_id DESC;
END
$$;

REVOKE ALL ON FUNCTION search.search_customers(text[], integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION search.search_products(text, public.halfvec, integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION search.search_receipts(
    text, integer[], real[], date, date, integer, bigint, bigint, bigint, text[], real[], text, text[], text[],
    integer, integer
) FROM PUBLIC;
GRANT USAGE ON SCHEMA search TO receipts_api;
GRANT EXECUTE ON FUNCTION search.search_customers(text[], integer) TO receipts_api;
GRANT EXECUTE ON FUNCTION search.search_receipts(
    text, integer[], real[], date, date, integer, bigint, bigint, bigint, text[], real[], text, text[], text[],
    integer, integer
) TO receipts_api;

RESET ROLE;
