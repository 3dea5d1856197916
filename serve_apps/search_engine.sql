-- name: search_receipts
-- One page of the receipts of the scope that fit, the best first; products, receipts and ranking in one statement.
SELECT document, store_name, time_zone, purchased_on, score, store_score, date_score, amount_score, customer_score,
    skus, terms, similarities, literals
FROM search.search_receipts(
    %(receipt_id)s::text, %(store_ids)s::integer[], %(store_scores)s::real[],
    %(date_from)s::date, %(date_to)s::date, %(date_tolerance)s::integer,
    %(low)s::bigint, %(high)s::bigint, %(amount_tolerance)s::bigint,
    %(customer_ids)s::text[], %(customer_scores)s::real[], %(card)s::text,
    %(lexical)s::text[], %(embeddings)s::text[], %(offset)s::integer, %(rows)s::integer
);
