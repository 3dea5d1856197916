-- What happened to a receipt, and its customer's contact data for those who may reveal it.

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
