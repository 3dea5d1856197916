-- A lookup and its audit event in one statement: what was found, and that it was looked at, become durable together.

SET LOCAL ROLE receipts_owner;

-- Makes a group the next one of its chain and returns its digest: of this call, or of an attempt before with the same
-- group. Null when another group stands there or the chain is older than yesterday: its writer opens a new one.
CREATE FUNCTION audit.extend(p_chain bigint, p_seq bigint, p_previous bytea, p_payload text) RETURNS bytea
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    made bytea := sha256(p_previous || convert_to(p_payload, 'UTF8'));
BEGIN
    IF p_chain < audit.chain_day(audit.today() - 1) THEN
        RETURN NULL;
    END IF;
    INSERT INTO audit.spool (chain, seq, previous, digest, payload)
    VALUES (p_chain, p_seq, p_previous, made, p_payload)
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        PERFORM FROM audit.spool s WHERE s.chain = p_chain AND s.seq = p_seq AND s.digest = made;
        IF NOT FOUND THEN
            RETURN NULL;
        END IF;
    END IF;
    RETURN made;
END
$$;
DROP FUNCTION audit.append(bigint, bigint, bytea, bytea, text);

-- Finds receipts of one scope and puts the looks at them on record. `p_receipt_ids` holds one id a request, separated by
-- commas, and `p_events` what its event says so far, one a line: a JSON object without its closing brace. What came of
-- it is added here, where it is known for certain. One row per different id; all without a digest when the group could
-- not be added to the chain: then nothing may be shown.
CREATE FUNCTION retail.find_receipts_on_record(
    p_scope text, p_receipt_ids text, p_events text, p_chain bigint, p_seq bigint, p_previous bytea
)
RETURNS TABLE (receipt_id text, body bytea, customer_id text, digest bytea)
LANGUAGE plpgsql AS $$
DECLARE
    asked text[] := pg_catalog.string_to_array(p_receipt_ids, ',');
    ids text[];
    bodies bytea[];
    customers text[];
    payload text;
    made bytea;
BEGIN
    PERFORM pg_catalog.set_config('app.scope', p_scope, true);
    SELECT array_agg(r.receipt_id), array_agg(r.customer_id), array_agg(
            convert_to('{"receipt":' || r.document || ',"store":' || s.document || '}', 'UTF8'))
        INTO ids, customers, bodies
        FROM retail.receipts r
        JOIN retail.stores s USING (store_id)
        WHERE r.receipt_id = ANY (asked);
    SELECT '[' || string_agg(
            e.told || CASE WHEN f.id IS NULL THEN ',"outcome":"not_found","status":404,"customer_ids":['
                ELSE ',"outcome":"answered","status":200,"customer_ids":[' || coalesce(to_json(f.customer)::text, '') END
            || '],"receipt_ids":["' || e.id || '"]}', ',' ORDER BY e.place) || ']'
        INTO payload
        FROM unnest(asked, pg_catalog.string_to_array(p_events, E'\n')) WITH ORDINALITY AS e (id, told, place)
        LEFT JOIN unnest(ids, customers) AS f (id, customer) USING (id);
    made := audit.extend(p_chain, p_seq, p_previous, payload);
    IF made IS NULL THEN
        RETURN QUERY SELECT NULL::text, NULL::bytea, NULL::text, NULL::bytea;
    ELSE
        RETURN QUERY SELECT f.*, made FROM unnest(ids, bodies, customers) AS f;
        IF NOT FOUND THEN
            RETURN QUERY SELECT NULL::text, NULL::bytea, NULL::text, made;
        END IF;
    END IF;
END
$$;

REVOKE ALL ON FUNCTION audit.extend(bigint, bigint, bytea, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION retail.find_receipts_on_record(text, text, text, bigint, bigint, bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit.extend(bigint, bigint, bytea, text) TO receipts_api, receipts_auth;
GRANT EXECUTE ON FUNCTION retail.find_receipts_on_record(text, text, text, bigint, bigint, bytea) TO receipts_api;
