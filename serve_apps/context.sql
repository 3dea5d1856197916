-- name: find_customer
-- A customer as a rep sees one on the phone: masked contacts, and the profile that the pipeline keeps.
SELECT
    c.customer_id, c.first_name, c.last_name, c.email_masked, c.phone_masked, c.city, c.customer_since, p.document
FROM retail.customers c
LEFT JOIN retail.customer_profiles p USING (customer_id)
WHERE c.customer_id = %(customer_id)s;
