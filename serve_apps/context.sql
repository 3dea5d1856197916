-- name: find_context
-- A customer as a rep sees one on the phone: masked contacts, and the profile that the pipeline keeps.
SELECT customer_id, first_name, last_name, email_masked, phone_masked, city, customer_since, document
FROM retail.find_context(%s, %s);
