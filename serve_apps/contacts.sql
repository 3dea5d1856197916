-- name: reveal_contacts
-- The clear contact data of a customer of the scope.
SELECT email, phone, address FROM retail.reveal_contacts(%s, %s);
