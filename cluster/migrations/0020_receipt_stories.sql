-- Clear contact data for those who may reveal it.

SET LOCAL ROLE receipts_owner;

-- Contacts -------------------------------------------------------------------------------------------------------

-- Row-level security is forced on the owner too: with these policies its functions see what their caller's scope
-- holds, and nothing without a scope.
ALTER POLICY own_regions ON retail.receipts TO receipts_api, receipts_owner;
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
