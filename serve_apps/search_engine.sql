-- name: search_terms
-- The products that answer phrases, each phrase by its words and, where it has a vector, by its meaning.
SELECT coalesce(skus, '{}'), coalesce(terms, '{}'), coalesce(similarities, '{}'), coalesce(literals, '{}')
FROM search.search_terms(%(lexical)s::text[], %(embeddings)s::text[], %(most)s::integer);

-- name: search_receipts
-- One page of the receipts of the scope that fit, the best first, after the last one of the page before.
SELECT document, store_name, time_zone, purchased_on, purchased_at, score, searched_from, store_score, date_score,
    amount_score, customer_score, tender_score, skus, terms, similarities, literals
FROM search.search_receipts(
    %(receipt_id)s::text, %(store_ids)s::integer[], %(store_scores)s::real[],
    %(date_from)s::date, %(date_to)s::date, %(date_tolerance)s::integer,
    %(low)s::bigint, %(high)s::bigint, %(amount_tolerance)s::bigint,
    %(customer_ids)s::text[], %(customer_scores)s::real[], %(card)s::text, %(tenders)s::text[],
    %(skus)s::text[], %(terms)s::integer[], %(similarities)s::real[], %(literals)s::boolean[], %(phrases)s::integer,
    %(without)s::text[], %(register_id)s::integer, %(operator_id)s::text, %(number_from)s::integer,
    %(number_to)s::integer, %(time_from)s::time, %(time_to)s::time, %(after_score)s::real, %(after_at)s::timestamptz, %(after_id)s::text, %(rows)s::integer
);
