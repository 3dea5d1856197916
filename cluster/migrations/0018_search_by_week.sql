-- Searches at a hundred million receipts: newest first, in windows of time that widen until enough is found, each of
-- them bounded by an index. Products are resolved once and handed over, so that loosening a search does not look for
-- them again; pages follow a key instead of an offset.

SET LOCAL ROLE receipts_owner;

-- What was bought, and what in which week: GIN finds a product's receipts of some weeks without reading those of all
-- years, and those of all years without asking for each week. No article number holds a comma (ingest parts them by it),
-- so that text functions do what an unnest would take thrice as long for. Dear, so that no plan reads rows with it.
CREATE FUNCTION retail.sku_keys(p_skus text[], p_on date) RETURNS text[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE COST 10000
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT p_skus || string_to_array(w.week || array_to_string(p_skus, ',' || w.week), ',')
    FROM (SELECT ((p_on - date '1970-01-01') / 7)::text || ':') AS w (week)
    WHERE p_skus <> '{}'
$$;

CREATE INDEX receipts_by_sku_key ON retail.receipts USING gin (retail.sku_keys(skus, purchased_on));
DROP INDEX retail.receipts_by_sku;

SET LOCAL ROLE receipts_search;

DROP FUNCTION search.search_receipts(
    text, integer[], real[], date, date, integer, bigint, bigint, bigint, text[], real[], text, text[], text[], integer,
    integer
);

CREATE TYPE search.candidate AS (
    receipt_id text, skus text[], purchased_at timestamptz, purchased_on date, points real,
    store_score real, date_score real, amount_score real, customer_score real, tender_score real
);

-- The products that answer each phrase, as parallel arrays: their phrase (from 1), likeness, and whether they hold its
-- words.
CREATE FUNCTION search.search_terms(p_lexical text[], p_embeddings text[], p_most integer)
RETURNS TABLE (skus text[], terms integer[], similarities real[], literals boolean[])
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT array_agg(f.sku), array_agg(t.term::integer), array_agg(f.similarity), array_agg(f.is_literal)
    FROM unnest(p_lexical, p_embeddings) WITH ORDINALITY AS t(lexical, embedding, term)
    CROSS JOIN LATERAL search.search_products(t.lexical, t.embedding::public.halfvec, p_most) AS f
$$;

-- One page of the receipts of the scope that fit, the best first. A receipt's score is the weighted mean of how near it
-- is in each field that is asked for: store 2, days 2, amount 2, tender 1, customer 3, card 3, products 3, where a
-- product's part is the mean over the phrases of its likeliest line. What lies outside a tolerance is not found.
--
-- Unless a receipt, a card or a customer is named, time is walked backwards in windows, as long as what was found so far
-- makes likely, until five hundred receipts fit; `searched_from` says how far that was, null for all of it.
CREATE FUNCTION search.search_receipts(
    p_receipt_id text, p_store_ids integer[], p_store_scores real[],
    p_date_from date, p_date_to date, p_date_tolerance integer,
    p_low bigint, p_high bigint, p_amount_tolerance bigint,
    p_customer_ids text[], p_customer_scores real[], p_card text, p_tenders text[],
    p_skus text[], p_terms integer[], p_similarities real[], p_literals boolean[], p_phrases integer, p_without text[],
    p_after_score real, p_after_at timestamptz, p_after_id text, p_rows integer
) RETURNS TABLE (
    document text, store_name text, time_zone text, purchased_on date, purchased_at timestamptz, score real,
    store_score real, date_score real, amount_score real, customer_score real, tender_score real,
    skus text[], terms integer[], similarities real[], literals boolean[], searched_from date
)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    v_regions smallint[] := access.my_regions();
    v_enough CONSTANT integer := 500;
    v_most_keys CONSTANT integer := 1500;  -- of an index, in one window: some microseconds each
    v_low bigint := p_low - p_amount_tolerance;
    v_high bigint := p_high + p_amount_tolerance;
    v_tenders text[] := (SELECT array_agg('%"tender_type":"' || t || '"%') FROM unnest(p_tenders) AS t);
    v_store_weight real := CASE WHEN p_store_ids IS NULL THEN 0 ELSE 2 END;
    v_date_weight real := CASE WHEN coalesce(p_date_from, p_date_to) IS NULL THEN 0 ELSE 2 END;
    v_amount_weight real := CASE WHEN coalesce(p_low, p_high) IS NULL THEN 0 ELSE 2 END;
    v_tender_weight real := CASE WHEN p_tenders IS NULL THEN 0 ELSE 1 END;
    v_customer_weight real := CASE WHEN p_customer_ids IS NULL THEN 0 ELSE 3 END;
    v_card_weight real := CASE WHEN p_card IS NULL THEN 0 ELSE 3 END;
    v_product_weight real := CASE WHEN p_skus IS NULL THEN 0 ELSE 3 END;
    v_is_named boolean := coalesce(p_receipt_id, p_card) IS NOT NULL OR p_customer_ids IS NOT NULL;
    v_oldest date := greatest(p_date_from - p_date_tolerance, (SELECT min(r.purchased_on) FROM retail.receipts r));
    v_to date := least(p_date_to + p_date_tolerance, (SELECT max(r.purchased_on) FROM retail.receipts r));
    v_from date;
    -- At first as many days as have five thousand receipts in the stores asked for, by what the planner knows.
    v_receipts real := (SELECT c.reltuples FROM pg_class c WHERE c.oid = 'retail.receipts'::regclass)
        * CASE WHEN p_store_ids IS NULL THEN 1
        ELSE cardinality(p_store_ids) / greatest((SELECT count(*) FROM retail.stores), 1)::real END;
    v_span integer := CASE WHEN v_is_named THEN v_to - v_oldest + 1 WHEN v_receipts > 0
        THEN least(3650, ceil(5000 * (v_to - v_oldest + 1) / v_receipts)) ELSE 28 END;
    v_bought text[];  -- articles, where other constraints leave few receipts
    v_keys text[];  -- and keys of them in the index, where they do not
    v_found search.candidate[] := '{}';
    v_before integer;
BEGIN
    WHILE v_to >= v_oldest AND cardinality(v_found) < v_enough LOOP
        v_from := greatest(v_oldest, v_to - v_span + 1);
        IF p_skus IS NULL THEN
            NULL;
        ELSIF v_is_named OR p_store_ids IS NOT NULL THEN
            v_bought := p_skus;
            v_keys := NULL;
        ELSE
            v_bought := NULL;
            IF cardinality(p_skus) * (1 + (v_to - v_from) / 7) > v_most_keys THEN
                v_from := v_oldest;  -- so few fit so far that those of all years together are quickly read
                v_keys := p_skus;
            ELSE
                SELECT array_agg(DISTINCT w || ':' || s) INTO v_keys
                FROM unnest(p_skus) AS s,
                    generate_series((v_from - date '1970-01-01') / 7, (v_to - date '1970-01-01') / 7) AS w;
            END IF;
        END IF;
        v_before := cardinality(v_found);
        SELECT v_found || coalesce(array_agg(f::search.candidate), '{}') INTO v_found FROM (
            SELECT c.receipt_id, c.skus, c.purchased_at, c.purchased_on,
                (v_store_weight * coalesce(c.store_score, 0) + v_date_weight * coalesce(c.date_score, 0)
                    + v_amount_weight * coalesce(c.amount_score, 0) + v_tender_weight * coalesce(c.tender_score, 0)
                    + v_customer_weight * coalesce(c.customer_score, 0) + v_card_weight)::real AS points,
                c.store_score, c.date_score, c.amount_score, c.customer_score, c.tender_score
            FROM (
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
                    ELSE p_customer_scores[array_position(p_customer_ids, r.customer_id)] END AS customer_score,
                    CASE WHEN v_tenders IS NULL THEN NULL
                    ELSE (r.document LIKE ANY (v_tenders))::integer END::real AS tender_score
                FROM retail.receipts r
                WHERE r.region_id = ANY (v_regions)
                    AND (p_receipt_id IS NULL OR r.receipt_id = p_receipt_id)
                    AND (p_store_ids IS NULL OR r.store_id = ANY (p_store_ids))
                    AND r.purchased_on BETWEEN v_from AND v_to
                    AND (v_low IS NULL OR r.total_cents >= v_low)
                    AND (v_high IS NULL OR r.total_cents <= v_high)
                    AND (p_customer_ids IS NULL OR r.customer_id = ANY (p_customer_ids))
                    AND (p_card IS NULL OR r.card_last4 @> ARRAY[p_card])
                    -- Hashed, where && would compare each article with each.
                    AND (v_bought IS NULL OR EXISTS (SELECT FROM unnest(r.skus) AS b(sku) WHERE b.sku = ANY (v_bought)))
                    AND (v_keys IS NULL OR retail.sku_keys(r.skus, r.purchased_on) && v_keys)
                    AND (p_without IS NULL OR NOT r.skus && p_without)
            ) AS c
            ORDER BY points DESC, c.purchased_at DESC
            LIMIT 4 * v_enough
        ) AS f;
        v_to := v_from - 1;
        v_span := least(8 * v_span, 1 + ceil(1.2 * v_span * (v_enough - cardinality(v_found))
            / greatest(cardinality(v_found) - v_before, 1)))::integer;
    END LOOP;
    RETURN QUERY
        WITH candidate AS MATERIALIZED (
            SELECT * FROM unnest(v_found)
        ), product AS MATERIALIZED (
            SELECT * FROM unnest(p_skus, p_terms, p_similarities, p_literals) AS p(sku, term, similarity, is_literal)
        ), held AS MATERIALIZED (
            SELECT c.receipt_id, p.sku, p.term, p.similarity, p.is_literal
            FROM candidate c CROSS JOIN LATERAL unnest(c.skus) AS s(sku) JOIN product p ON p.sku = s.sku
        ), best AS (
            SELECT t.receipt_id, sum(t.similarity) / p_phrases AS product_score
            FROM (
                SELECT h.receipt_id, h.term, max(h.similarity) AS similarity FROM held h GROUP BY h.receipt_id, h.term
            ) t
            GROUP BY t.receipt_id
        ), scored AS (
            SELECT c.*,
                coalesce((c.points + v_product_weight * coalesce(b.product_score, 0)) / nullif(v_store_weight
                    + v_date_weight + v_amount_weight + v_tender_weight + v_customer_weight + v_card_weight
                    + v_product_weight, 0), 1)::real AS score
            FROM candidate c LEFT JOIN best b ON b.receipt_id = c.receipt_id
        ), page AS MATERIALIZED (
            SELECT * FROM scored s
            WHERE p_after_id IS NULL OR (s.score, s.purchased_at, s.receipt_id) < (p_after_score, p_after_at, p_after_id)
            ORDER BY s.score DESC, s.purchased_at DESC, s.receipt_id DESC
            LIMIT p_rows
        )
        SELECT r.document, s.name, s.time_zone, r.purchased_on, r.purchased_at, g.score,
            g.store_score, g.date_score, g.amount_score, g.customer_score, g.tender_score,
            m.skus, m.terms, m.similarities, m.literals, CASE WHEN v_to >= v_oldest THEN v_from END
        FROM page g
        JOIN retail.receipts r ON r.receipt_id = g.receipt_id
        JOIN retail.stores s ON s.store_id = r.store_id
        CROSS JOIN LATERAL (
            SELECT array_agg(h.sku ORDER BY h.similarity DESC, h.sku), array_agg(h.term ORDER BY h.similarity DESC, h.sku),
                array_agg(h.similarity ORDER BY h.similarity DESC, h.sku),
                array_agg(h.is_literal ORDER BY h.similarity DESC, h.sku)
            FROM held h WHERE h.receipt_id = g.receipt_id
        ) AS m(skus, terms, similarities, literals)
        ORDER BY g.score DESC, r.purchased_at DESC, r.receipt_id DESC;
END
$$;

REVOKE ALL ON FUNCTION search.search_terms(text[], text[], integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION search.search_receipts(
    text, integer[], real[], date, date, integer, bigint, bigint, bigint, text[], real[], text, text[],
    text[], integer[], real[], boolean[], integer, text[], real, timestamptz, text, integer
) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION search.search_terms(text[], text[], integer) TO receipts_api;
GRANT EXECUTE ON FUNCTION search.search_receipts(
    text, integer[], real[], date, date, integer, bigint, bigint, bigint, text[], real[], text, text[],
    text[], integer[], real[], boolean[], integer, text[], real, timestamptz, text, integer
) TO receipts_api;
