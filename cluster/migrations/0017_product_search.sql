-- Products by meaning and by name in one ranking. ARCHITECTURE.md, decision 49, says how it was chosen.

SET LOCAL ROLE receipts_owner;

-- `search_text` has three parts: what a product is called, where it stands, what shoppers call it besides
-- (receipts.products.search_text). A row that was written before has the first only, until its product is sold again.
DROP INDEX retail.products_by_lexeme;
ALTER TABLE retail.products DROP COLUMN lexemes;
ALTER TABLE retail.products
    ADD COLUMN name_lexemes tsvector
        GENERATED ALWAYS AS (to_tsvector('english', split_part(search_text, ' | ', 1))) STORED,
    ADD COLUMN concept_lexemes tsvector
        GENERATED ALWAYS AS (to_tsvector('english', split_part(search_text, ' | ', 3))) STORED;
CREATE INDEX products_by_name_lexeme ON retail.products USING gin (name_lexemes);
CREATE INDEX products_by_concept_lexeme ON retail.products USING gin (concept_lexemes);

RESET ROLE;
SET LOCAL ROLE receipts_search;

DROP FUNCTION search.search_products(text, public.halfvec, integer);

-- The products nearest to a vector, of all or of those given. Never fewer than asked for while there are more: where
-- the index gives too few, because vectors that no product has any more lie nearer, every product is compared.
CREATE FUNCTION search.nearest_products(p_embedding public.halfvec, p_most integer, p_skus text[])
RETURNS TABLE (sku text, similarity real, embedding public.halfvec)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    v_skus text[];
BEGIN
    -- Comparing ten thousand takes as long as the index takes to pass over as many that are not wanted.
    IF p_skus IS NULL OR cardinality(p_skus) > 10000 THEN
        PERFORM set_config('hnsw.ef_search', '200', true);  -- recall 0.97 of the nearest hundred at 2 ms
        PERFORM set_config('hnsw.iterative_scan', 'relaxed_order', true);
        SELECT array_agg(p.sku) INTO v_skus
        FROM (
            SELECT e.text_digest
            FROM retail.product_embeddings e
            WHERE EXISTS (
                SELECT FROM retail.products o
                WHERE o.text_digest = e.text_digest AND (p_skus IS NULL OR o.sku = ANY (p_skus))
            )
            ORDER BY e.embedding OPERATOR(public.<=>) p_embedding
            LIMIT p_most
        ) n
        JOIN retail.products p ON p.text_digest = n.text_digest
        WHERE p_skus IS NULL OR p.sku = ANY (p_skus);
        IF cardinality(v_skus) < p_most OR v_skus IS NULL THEN
            v_skus := p_skus;
        END IF;
    ELSE
        v_skus := p_skus;
    END IF;
    RETURN QUERY
        SELECT p.sku, (1 - (e.embedding OPERATOR(public.<=>) p_embedding))::real, e.embedding
        FROM retail.products p
        JOIN retail.product_embeddings e ON e.text_digest = p.text_digest
        WHERE v_skus IS NULL OR p.sku = ANY (v_skus)
        ORDER BY e.embedding OPERATOR(public.<=>) p_embedding, p.sku
        LIMIT p_most;
END
$$;

-- A query for texts that lack one of the words at most. Eight words are enough to tell a product.
CREATE FUNCTION search.all_but_one(p_text text) RETURNS tsquery
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_stems text[] := (tsvector_to_array(to_tsvector('english', p_text)))[1:8];
    v_any tsquery;
    v_all tsquery;
BEGIN
    FOR v_left_out IN 1..cardinality(v_stems) LOOP
        v_all := NULL;
        FOR v_at IN 1..cardinality(v_stems) LOOP
            IF v_at <> v_left_out THEN
                v_all := coalesce(v_all && plainto_tsquery('simple', v_stems[v_at]),
                    plainto_tsquery('simple', v_stems[v_at]));
            END IF;
        END LOOP;
        v_any := coalesce(v_any || v_all, v_all);
    END LOOP;
    RETURN v_any;
END
$$;

-- The share of a name's words that a phrase holds: of so many words, all, or all but one where no name holds all.
-- Sizes are no words: nobody says them.
CREATE FUNCTION search.coverage(p_stems integer, p_named integer, p_name tsvector) RETURNS real
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (p_stems - CASE WHEN p_named = 0 THEN 1 ELSE 0 END)::real / greatest((
    SELECT count(*)
    FROM unnest(tsvector_to_array(p_name)) AS stem
    WHERE stem !~ '^[0-9]' AND stem <> ALL ('{fl,oz,ounc,lb,pound,ct,count,pk,pack,l,ltr,liter,ml,g,kg,gal,qt,pt,ea,each}')
), 1);

-- What a product's likeness to a better one takes off its score. Sizes of one thing have one vector.
CREATE FUNCTION search.likeness_costs(p_alike real) RETURNS real
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (0.3 * (p_alike - 0.8) + CASE WHEN p_alike > 0.99 THEN 0.1 ELSE 0 END)::real;

-- Lower the scores of what resembles one of the best `p_most` (maximal marginal relevance: Carbonell and
-- Goldstein 1998): who asks for a fancy cheese is shown kinds of it, not ten goat cheeses.
CREATE FUNCTION search.varied_products(
    p_skus text[], p_scores real[], p_embeddings public.halfvec[], p_most integer
)
RETURNS TABLE (sku text, score real)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- Below it products are of different kinds, and nothing is taken off.
    v_alike real[] := array_fill(0.8::real, ARRAY[cardinality(p_skus)]);
    v_taken integer[] := '{}';
    v_best integer;
BEGIN
    FOR v_place IN 1..least(p_most, cardinality(p_skus)) LOOP
        SELECT c.at INTO v_best
        FROM unnest(p_scores, v_alike) WITH ORDINALITY AS c(score, alike, at)
        WHERE c.at <> ALL (v_taken)
        ORDER BY c.score - search.likeness_costs(c.alike) DESC, c.at
        LIMIT 1;
        v_taken := v_taken || v_best;
        SELECT array_agg(
            CASE WHEN c.at = ANY (v_taken) THEN c.alike
            ELSE greatest(c.alike, 1 - (c.embedding OPERATOR(public.<=>) p_embeddings[v_best])) END ORDER BY c.at
        ) INTO v_alike
        FROM unnest(p_embeddings, v_alike) WITH ORDINALITY AS c(embedding, alike, at);
    END LOOP;
    RETURN QUERY
        SELECT c.sku, c.score - search.likeness_costs(c.alike)
        FROM unnest(p_skus, p_scores, v_alike) AS c(sku, score, alike);
END
$$;

-- The share of a phrase's stems that is said of a product where it stands and by what shoppers call it besides.
CREATE FUNCTION search.told_share(p_stems text[], p_search_text text) RETURNS real
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (
    SELECT count(*)
    FROM unnest(tsvector_to_array(to_tsvector('english',
        split_part(p_search_text, ' | ', 2) || ' ' || split_part(p_search_text, ' | ', 3)))) AS stem
    WHERE stem = ANY (p_stems)
)::real / greatest(cardinality(p_stems), 1);

-- Products that one phrase means, the best first: `similarity` of 0 to 1 is the order. `is_literal`: the name has all
-- words of the phrase. `p_skus` leaves only these to answer; what the phrase means is still asked of all products.
--
-- Names win, at 0.8 and more, where they are what was asked for: many products are called so, or they lie as near to
-- the phrase as what it means. Otherwise the phrase is a concept and meaning ranks, up to 0.75: few products are
-- called "stone fruit", and they are far from the peaches. Names with all words but one win over meaning where no
-- name has all of them: one of them is misspelt.
CREATE FUNCTION search.search_products(
    p_lexical text, p_embedding public.halfvec, p_most integer, p_skus text[] DEFAULT NULL
)
RETURNS TABLE (sku text, similarity real, is_literal boolean)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    v_query tsquery := plainto_tsquery('english', p_lexical);
    v_stems integer := length(to_tsvector('english', p_lexical));
    v_words text[] := string_to_array(p_lexical, ' ');
    v_words_told text[] := tsvector_to_array(to_tsvector('english', p_lexical));
    v_names tsquery := v_query;  -- what wins by its name
    v_least real := 0;  -- of a name's words that the phrase must hold, for the name to win
    v_named integer;
    v_won integer;
    v_told integer;
    v_asked public.halfvec;
    v_describes boolean := p_lexical ~ '\m(?:for|from|in|on|some|something|to|without)\M';  -- rather than names
    v_far real;  -- how much farther from the phrase its namesakes are than what it means
    v_skus text[];
    v_scores real[];
    v_embeddings public.halfvec[];
BEGIN
    SELECT count(*) INTO v_named FROM retail.products p WHERE p.name_lexemes @@ v_query;
    IF v_named = 0 AND v_stems >= 3 THEN
        v_names := search.all_but_one(p_lexical);
        v_least := 0.75;
    END IF;
    IF p_embedding IS NOT NULL THEN
        -- The phrase and what is nearest to it say together what was meant better than the phrase alone.
        SELECT coalesce(p_embedding OPERATOR(public.+) public.avg(m.embedding), p_embedding) INTO v_asked
        FROM (
            SELECT n.embedding  -- of different texts: sizes of one thing say nothing new
            FROM search.nearest_products(p_embedding, 60, NULL) AS n
            GROUP BY n.similarity, n.embedding
            ORDER BY n.similarity DESC
            LIMIT 20
        ) m;
        SELECT array_agg(n.sku), array_agg(n.similarity), array_agg(n.embedding) INTO v_skus, v_scores, v_embeddings
        FROM search.nearest_products(v_asked, 100, NULL) AS n;
        IF v_named > 0 AND (v_named <= 20 OR v_describes) THEN
            SELECT (SELECT avg(score) FROM unnest(v_scores[1:10]) AS score) - avg(m.similarity) INTO v_far
            FROM (
                SELECT 1 - (e.embedding OPERATOR(public.<=>) v_asked) AS similarity
                FROM retail.products p
                JOIN retail.product_embeddings e ON e.text_digest = p.text_digest
                WHERE p.name_lexemes @@ v_query
                ORDER BY e.embedding OPERATOR(public.<=>) v_asked
                LIMIT 10
            ) m;
        END IF;
        IF v_named > 0 AND v_far > 0.06 AND v_describes THEN
            v_least := 0.99;  -- only the very name is a name
        ELSIF v_named BETWEEN 1 AND 20 AND v_far > 0.06 AND 2 * v_named <= (
            SELECT count(*) FROM (SELECT FROM retail.products p WHERE p.concept_lexemes @@ v_query LIMIT 40) m
        ) THEN
            v_least := 0.99;  -- twice as many are so as are called so
        ELSIF v_named BETWEEN 1 AND 7 AND v_far > 0.06 AND v_stems < 3 THEN
            v_least := 0.6;
        END IF;
        IF p_skus IS NOT NULL THEN
            SELECT array_agg(n.sku), array_agg(n.similarity), array_agg(n.embedding)
            INTO v_skus, v_scores, v_embeddings
            FROM search.nearest_products(v_asked, greatest(p_most, 100), p_skus) AS n;
        END IF;
    END IF;
    RETURN QUERY
        SELECT p.sku,
            (CASE WHEN v_named = 0 THEN 0.75
                -- "Light roast" is not lightly roasted, though the stems are the same. Thousands are not told apart.
                WHEN v_named > 1000 OR string_to_array(split_part(p.search_text, ' | ', 1), ' ') @> v_words THEN 0.9 ELSE 0.8 END
            + CASE WHEN v_named = 0 THEN 0.05 ELSE 0.1 END * CASE WHEN p_embedding IS NULL THEN 1
                ELSE coalesce(greatest(1 - (e.embedding OPERATOR(public.<=>) v_asked), 0), 0.5) END)::real AS score,
            v_named > 0
        FROM retail.products p
        LEFT JOIN retail.product_embeddings e ON e.text_digest = p.text_digest
        WHERE p.name_lexemes @@ v_names AND search.coverage(v_stems, v_named, p.name_lexemes) >= v_least
            AND (p_skus IS NULL OR p.sku = ANY (p_skus))
        ORDER BY score DESC, p.sku
        LIMIT p_most;
    GET DIAGNOSTICS v_won = ROW_COUNT;
    IF v_won >= p_most OR p_embedding IS NULL THEN
        RETURN;
    END IF;
    SELECT array_agg(c.sku ORDER BY c.score DESC, c.sku), array_agg(c.score ORDER BY c.score DESC, c.sku),
        array_agg(c.embedding ORDER BY c.score DESC, c.sku), count(DISTINCT c.told)
    INTO v_skus, v_scores, v_embeddings, v_told
    FROM (
        -- More where the phrase's very words are said of it.
        SELECT n.sku, n.embedding, ((n.score + 0.3 * greatest(CASE WHEN p.concept_lexemes @@ v_query THEN 1 ELSE 0 END,
                0.7 * power(search.told_share(v_words_told, p.search_text), 2))) / 1.3)::real AS score,
            CASE WHEN p.concept_lexemes @@ v_query THEN p.text_digest END AS told
        FROM (
            SELECT m.sku, m.score, m.embedding FROM unnest(v_skus, v_scores, v_embeddings) AS m(sku, score, embedding)
            UNION ALL
            -- Names that do not win are answered too, wherever they lie.
            SELECT o.sku, (1 - (e.embedding OPERATOR(public.<=>) v_asked))::real, e.embedding
            FROM retail.products o
            JOIN retail.product_embeddings e ON e.text_digest = o.text_digest
            WHERE v_least > 0 AND o.name_lexemes @@ v_query AND o.sku <> ALL (v_skus)
                AND (p_skus IS NULL OR o.sku = ANY (p_skus))
        ) n
        JOIN retail.products p ON p.sku = n.sku
        -- Below it neighbours have nothing in common with what was asked; beside names more is expected.
        WHERE (p.name_lexemes @@ v_query
                OR 1 - (n.embedding OPERATOR(public.<=>) p_embedding) >= CASE WHEN v_won = 0 THEN 0.4 ELSE 0.5 END)
            AND NOT (p.name_lexemes @@ v_names AND search.coverage(v_stems, v_named, p.name_lexemes) >= v_least)
    ) c;
    IF v_skus IS NULL THEN
        RETURN;
    END IF;
    RETURN QUERY
        SELECT r.sku, (0.75 * r.score)::real, p.name_lexemes @@ v_query
        FROM search.varied_products(v_skus, v_scores, v_embeddings,
            CASE WHEN v_won = 0 AND v_told >= 10 THEN 10 ELSE 0 END) AS r  -- a concept of many things: show kinds of it
        JOIN retail.products p ON p.sku = r.sku
        ORDER BY r.score DESC, r.sku
        LIMIT p_most - v_won;
END
$$;

REVOKE ALL ON FUNCTION search.nearest_products(public.halfvec, integer, text[]) FROM PUBLIC;
REVOKE ALL ON FUNCTION search.search_products(text, public.halfvec, integer, text[]) FROM PUBLIC;

RESET ROLE;
