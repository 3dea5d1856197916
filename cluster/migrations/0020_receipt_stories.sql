-- What happened to a receipt, its customer's contact data for those who may reveal it, and searches by what a till's
-- roll says.

SET LOCAL ROLE receipts_owner;

-- Contacts -------------------------------------------------------------------------------------------------------

-- Row-level security is forced on the owner too: with these policies its functions see what their caller's scope
-- holds, and nothing without a scope.
ALTER POLICY own_regions ON retail.customers TO receipts_api, receipts_owner;
CREATE POLICY own_regions ON retail.customer_contacts FOR SELECT TO receipts_owner
    USING (EXISTS (SELECT FROM retail.customers c WHERE c.customer_id = customer_contacts.customer_id));

-- The clear contact data of one customer of the scope. The serving role has no other way to it.
CREATE FUNCTION retail.reveal_contacts(p_scope text, p_customer_id text)
RETURNS TABLE (email text, phone text, address text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM set_config('app.scope', p_scope, true);
    RETURN QUERY
        SELECT o.email, o.phone, o.address
        FROM retail.customers c JOIN retail.customer_contacts o ON o.customer_id = c.customer_id
        WHERE c.customer_id = p_customer_id AND c.region_ids && access.my_regions();
END
$$;
REVOKE ALL ON FUNCTION retail.reveal_contacts(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION retail.reveal_contacts(text, text) TO receipts_api;

-- Stories --------------------------------------------------------------------------------------------------------

-- From a receipt to the returns that name it: only returns are parsed and have an entry.
CREATE INDEX receipts_by_original ON retail.receipts ((document::jsonb ->> 'original_receipt_id'))
    WHERE receipt_type = 'return';

-- From a receipt to those who opened it. What lists and searches showed has no entry here.
CREATE INDEX events_by_opened_receipt ON audit.events ((receipt_ids[1]), occurred_at)
    WHERE outcome = 'answered' AND route IN ('GET /receipt/{receipt_id}', 'GET /receipt/');

-- Who opened a receipt of the scope, by person and day of its store, those who did last first. Of the newest thousand
-- looks: a load test opens one a hundred thousand times.
CREATE FUNCTION audit.list_views(p_receipt_id text, p_most integer)
RETURNS TABLE (viewed_by text, viewed_at timestamptz, times bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(p.display_name, v.principal_id), max(v.occurred_at), count(*)
    FROM retail.receipts r
    JOIN retail.stores s ON s.store_id = r.store_id
    CROSS JOIN LATERAL (
        SELECT e.principal_id, e.occurred_at
        FROM audit.events e
        WHERE e.receipt_ids[1] = p_receipt_id AND e.outcome = 'answered'
            AND e.route IN ('GET /receipt/{receipt_id}', 'GET /receipt/')
        ORDER BY e.occurred_at DESC
        LIMIT 1000
    ) v
    LEFT JOIN access.principals p ON p.principal_id = v.principal_id
    WHERE r.receipt_id = p_receipt_id AND r.region_id = ANY (access.my_regions())
    GROUP BY v.principal_id, p.display_name, (v.occurred_at AT TIME ZONE s.time_zone)::date
    ORDER BY max(v.occurred_at) DESC
    LIMIT p_most
$$;
REVOKE ALL ON FUNCTION audit.list_views(text, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit.list_views(text, integer) TO receipts_api;

-- To whom a receipt of the scope was mailed, and at whose wish; the latest first.
CREATE FUNCTION mail.list_sent(p_receipt_id text, p_most integer)
RETURNS TABLE (sent_by text, sent_at timestamptz, sent_to text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(p.display_name, d.requested_by), d.sent_at, d.email_masked
    FROM retail.receipts r
    JOIN mail.deliveries d ON d.receipt_id = r.receipt_id AND d.status = 'sent'
    LEFT JOIN access.principals p ON p.principal_id = d.requested_by
    WHERE r.receipt_id = p_receipt_id AND r.region_id = ANY (access.my_regions())
    ORDER BY d.sent_at DESC
    LIMIT p_most
$$;
REVOKE ALL ON FUNCTION mail.list_sent(text, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION mail.list_sent(text, integer) TO receipts_api;

RESET ROLE;
SET LOCAL ROLE receipts_search;

-- Returns of the scope that name a receipt, the oldest first. Reading JSON is not leakproof, so that row-level security
-- would bar the index.
CREATE FUNCTION search.list_returns(p_receipt_id text, p_most integer)
RETURNS TABLE (receipt_id text, purchased_at timestamptz, store_id integer, total_cents bigint, document text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT r.receipt_id, r.purchased_at, r.store_id, r.total_cents, r.document
    FROM retail.receipts r
    WHERE r.receipt_type = 'return' AND r.document::jsonb ->> 'original_receipt_id' = p_receipt_id
        AND r.region_id = ANY (access.my_regions())
    ORDER BY r.purchased_at, r.receipt_id
    LIMIT p_most
$$;
REVOKE ALL ON FUNCTION search.list_returns(text, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION search.list_returns(text, integer) TO receipts_api;

-- Till rolls -----------------------------------------------------------------------------------------------------

RESET ROLE;
SET LOCAL ROLE receipts_owner;

-- Who stood at the till as the document writes it, cut at a quotation mark in the name; empty for nobody. It stands
-- within the first 400 characters, before all that is long or free, and is cut out instead of parsed, because gateways
-- pay for it with each receipt: 2 microseconds instead of 20. Whoever asks by it compares the parsed name too.
CREATE FUNCTION retail.operator_key(p_document text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT split_part(split_part(left(p_document, 400), '"operator_id":"', 2), '"', 1) $$;
CREATE INDEX receipts_by_operator ON retail.receipts (retail.operator_key(document), purchased_on)
    WHERE retail.operator_key(document) <> '';

RESET ROLE;
SET LOCAL ROLE receipts_search;

-- One page of the receipts of the scope that fit, the best first. A receipt's score is the weighted mean of how near it
-- is in each field that is asked for: store 2, days 2, amount 2, tender 1, customer 3, card 3, products 3, where a
-- product's part is the mean over the phrases of its likeliest line. What lies outside a tolerance is not found. What a
-- till's roll says (register, operator, number, minute of the store's clock) leaves out and does not rank.
--
-- Unless a receipt, a card or a customer is named, time is walked backwards in windows, as long as what was found so far
-- makes likely, until five hundred receipts fit; `searched_from` says how far that was, null for all of it.
CREATE FUNCTION search.search_receipts(
    p_receipt_id text, p_store_ids integer[], p_store_scores real[],
    p_date_from date, p_date_to date, p_date_tolerance integer,
    p_low bigint, p_high bigint, p_amount_tolerance bigint,
    p_customer_ids text[], p_customer_scores real[], p_card text, p_tenders text[],
    p_skus text[], p_terms integer[], p_similarities real[], p_literals boolean[], p_phrases integer, p_without text[],
    p_register integer, p_operator text, p_number_from integer, p_number_to integer, p_time_from time, p_time_to time,
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
    -- Register and number as they stand in a receipt's id (receipts/identity.py), which is parsed for nothing else.
    v_register text := lpad(p_register::text, 3, '0');
    v_number_from text := lpad(p_number_from::text, 6, '0');
    v_number_to text := lpad(p_number_to::text, 6, '0');
    v_operator_key text := split_part(to_json(p_operator)::text, '"', 2);
    v_time_from time := CASE WHEN p_time_to IS NULL THEN p_time_from ELSE coalesce(p_time_from, '00:00') END;
    v_time_before time := CASE WHEN p_time_to < '23:59' THEN p_time_to + interval '1 minute' ELSE '24:00' END;
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
                    AND (v_register IS NULL OR substr(r.receipt_id, 12, 3) = v_register)
                    AND (v_number_from IS NULL OR substr(r.receipt_id, 15, 6) >= v_number_from)
                    AND (v_number_to IS NULL OR substr(r.receipt_id, 15, 6) <= v_number_to)
                    AND (p_operator IS NULL OR (
                        retail.operator_key(r.document) = v_operator_key
                        AND r.document::json ->> 'operator_id' = p_operator
                    ))
                    AND (v_time_from IS NULL OR (
                        SELECT local.time >= v_time_from AND local.time < v_time_before
                        FROM retail.stores s, LATERAL (
                            SELECT (r.purchased_at AT TIME ZONE s.time_zone)::time
                        ) AS local (time)
                        WHERE s.store_id = r.store_id
                    ))
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
-- The function of the same name with fewer parameters is for replicas of the version before; the next migration drops it.
REVOKE ALL ON FUNCTION search.search_receipts(
    text, integer[], real[], date, date, integer, bigint, bigint, bigint, text[], real[], text, text[],
    text[], integer[], real[], boolean[], integer, text[], integer, text, integer, integer, time, time,
    real, timestamptz, text, integer
) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION search.search_receipts(
    text, integer[], real[], date, date, integer, bigint, bigint, bigint, text[], real[], text, text[],
    text[], integer[], real[], boolean[], integer, text[], integer, text, integer, integer, time, time,
    real, timestamptz, text, integer
) TO receipts_api;
