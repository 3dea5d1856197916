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
        -- The attempt before may still wait for a standby; this transaction's own record makes its commit wait too.
        PERFORM pg_logical_emit_message(true, 'audit', '');
    END IF;
    RETURN made;
END
$$;
DROP FUNCTION audit.append(bigint, bigint, bytea, bytea, text);

-- Finds receipts of one scope and puts the looks at them on record. `p_receipt_ids` holds one id a request, separated by
-- commas, and `p_events` what its event says so far, one a line: a JSON object without its closing brace. What came of
-- it is added here, where it is known for certain. One row a request, and a last one with nothing but the digest of the
-- group: without it nothing may be shown. One plan for all: a new one for each call takes longer than the call.
CREATE FUNCTION retail.find_receipts_on_record(
    p_scope text, p_receipt_ids text, p_events text, p_chain bigint, p_seq bigint, p_previous bytea
)
RETURNS TABLE (receipt_id text, body bytea, customer_id text, digest bytea)
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    one record;
    payload text := '';
BEGIN
    PERFORM pg_catalog.set_config('app.scope', p_scope, true);
    FOR one IN
        SELECT asked.id, asked.told, s.store_id IS NOT NULL AS is_there, r.customer_id,
            convert_to('{"receipt":' || r.document || ',"store":' || s.document || '}', 'UTF8') AS body
        FROM unnest(string_to_array(p_receipt_ids, ','), string_to_array(p_events, E'\n')) AS asked (id, told)
        LEFT JOIN retail.receipts r ON r.receipt_id = asked.id
        LEFT JOIN retail.stores s ON s.store_id = r.store_id
    LOOP
        payload := payload || CASE WHEN payload = '' THEN '[' ELSE ',' END || one.told
            || CASE WHEN one.is_there THEN ',"outcome":"answered","status":200,"customer_ids":['
                    || coalesce(to_json(one.customer_id)::text, '')
                ELSE ',"outcome":"not_found","status":404,"customer_ids":[' END
            || '],"receipt_ids":["' || one.id || '"]}';
        receipt_id := one.id;
        body := one.body;
        customer_id := one.customer_id;
        RETURN NEXT;
    END LOOP;
    receipt_id := NULL;
    body := NULL;
    customer_id := NULL;
    digest := audit.extend(p_chain, p_seq, p_previous, payload || ']');
    RETURN NEXT;
END
$$;

ALTER FUNCTION retail.find_receipts(text, text[]) SET plan_cache_mode = force_generic_plan;
ALTER FUNCTION retail.find_context(text, text) SET plan_cache_mode = force_generic_plan;
ALTER FUNCTION retail.list_receipts(text, text, timestamptz, text, integer) SET plan_cache_mode = force_generic_plan;

REVOKE ALL ON FUNCTION audit.extend(bigint, bigint, bytea, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION retail.find_receipts_on_record(text, text, text, bigint, bigint, bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit.extend(bigint, bigint, bytea, text) TO receipts_api, receipts_auth;
GRANT EXECUTE ON FUNCTION retail.find_receipts_on_record(text, text, text, bigint, bigint, bytea) TO receipts_api;
