-- name: find_people
-- Names in the scope that may be the one that was typed, each with customers who bear it.
SELECT name_norm, customer_ids
FROM search.find_people(
    %(spellings)s::text[], %(starts)s::integer[], %(ends)s::integer[], %(costs)s::real[], %(names)s::integer,
    %(bearers)s::integer
);

-- name: find_customers_by_contact
-- Customers of the scope by exact e-mail address, telephone number, or both.
SELECT customer_id
FROM search.find_customers_by_contact(%(email)s::text, %(phone)s::text, %(most)s::integer);
