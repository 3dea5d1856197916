-- Receipts by mail: deliveries that can be taken back for some seconds, and where they go to, which the mailer alone
-- reads. Roles exist already (cluster/roles.sql).

CREATE SCHEMA mail AUTHORIZATION receipts_owner;

SET LOCAL ROLE receipts_owner;

-- Keys the digests of addresses, so that a copy of them cannot be tried against a list of addresses.
CREATE TABLE mail.digest_key (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    key bytea NOT NULL DEFAULT sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()))
);
INSERT INTO mail.digest_key DEFAULT VALUES;

-- Grain: one row per delivery somebody asked for. The clear address stands in mail.addresses while it is needed.
CREATE TABLE mail.deliveries (
    delivery_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    receipt_id text COLLATE "C" NOT NULL,
    customer_id text COLLATE "C",  -- of the receipt
    gift boolean NOT NULL,
    on_file boolean NOT NULL,  -- to the address that is known of the customer, not to one that was said
    email_masked text NOT NULL,
    address_digest bytea NOT NULL,  -- SHA-256 of mail.digest_key and the address in lower case
    status text NOT NULL DEFAULT 'scheduled' CHECK (status IN ('scheduled', 'sending', 'sent', 'failed', 'cancelled')),
    requested_by text NOT NULL,
    key_digest bytea,  -- SHA-256 of the request's idempotency key
    requested_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    send_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- When it is a mailer's turn: at send_at, then at the next try; of one that is being sent, when its lease ends.
    due_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    attempts smallint NOT NULL DEFAULT 0,
    sent_at timestamptz,
    detail text,  -- why the last attempt failed: a sentence of ours, never what a server said
    UNIQUE (requested_by, key_digest)
);
CREATE INDEX deliveries_waiting ON mail.deliveries (due_at) WHERE status IN ('scheduled', 'sending');
CREATE INDEX deliveries_by_age ON mail.deliveries (requested_at);
CREATE INDEX deliveries_by_receipt ON mail.deliveries (receipt_id, requested_at DESC);

-- What servers that know no other alphabets (RFC 6531) can be handed: a dot-atom at a domain name of two parts or more.
CREATE FUNCTION mail.is_address(p_text text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT length(p_text) <= 254
        AND p_text ~ '^[A-Za-z0-9!#$%&''*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&''*+/=?^_`{|}~-]+)*@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])$'
        AND position('@' IN p_text) <= 65
$$;

-- Grain: one row per delivery that has not ended, with the address in clear.
CREATE TABLE mail.addresses (
    delivery_id uuid PRIMARY KEY REFERENCES mail.deliveries ON DELETE CASCADE,
    address text NOT NULL CHECK (mail.is_address(address))
);

-- Whoever ends a delivery, the clear address goes with it.
CREATE FUNCTION mail.forget_address() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    DELETE FROM mail.addresses a WHERE a.delivery_id = NEW.delivery_id;
    RETURN NULL;
END
$$;
CREATE TRIGGER forget_address AFTER UPDATE OF status ON mail.deliveries
    FOR EACH ROW WHEN (NEW.status IN ('sent', 'failed', 'cancelled')) EXECUTE FUNCTION mail.forget_address();

ALTER TABLE mail.deliveries ENABLE ROW LEVEL SECURITY;
ALTER TABLE mail.deliveries FORCE ROW LEVEL SECURITY;
ALTER TABLE mail.addresses ENABLE ROW LEVEL SECURITY;
ALTER TABLE mail.addresses FORCE ROW LEVEL SECURITY;

-- Who may see a receipt may see its deliveries and take back those that wait: the receipts' own policy decides.
CREATE POLICY own_regions ON mail.deliveries FOR SELECT TO receipts_api
    USING (EXISTS (SELECT FROM retail.receipts r WHERE r.receipt_id = deliveries.receipt_id));
CREATE POLICY taken_back ON mail.deliveries FOR UPDATE TO receipts_api
    USING (
        status = 'scheduled' AND EXISTS (SELECT FROM retail.receipts r WHERE r.receipt_id = deliveries.receipt_id)
    )
    WITH CHECK (status = 'cancelled');
-- The owner's functions see what the caller's scope opens, and of customers those who bought what it opens.
CREATE POLICY deliveries_asked ON retail.receipts FOR SELECT TO receipts_owner
    USING (region_id = ANY ((SELECT access.my_regions())::smallint[]));
CREATE POLICY deliveries_asked ON retail.customers FOR SELECT TO receipts_owner
    USING (EXISTS (SELECT FROM retail.receipts r WHERE r.customer_id = customers.customer_id));
CREATE POLICY deliveries_asked ON retail.customer_contacts FOR SELECT TO receipts_owner
    USING (EXISTS (SELECT FROM retail.receipts r WHERE r.customer_id = customer_contacts.customer_id));
CREATE POLICY deliveries_asked ON mail.deliveries TO receipts_owner
    USING (EXISTS (SELECT FROM retail.receipts r WHERE r.receipt_id = deliveries.receipt_id));
CREATE POLICY deliveries_asked ON mail.addresses TO receipts_owner USING (true);
-- The mailer sees every delivery, and what to send where only of those it is sending.
CREATE POLICY mailer ON mail.deliveries TO receipts_mailer USING (true);
CREATE POLICY mailer ON mail.addresses FOR SELECT TO receipts_mailer
    USING (
        EXISTS (SELECT FROM mail.deliveries d WHERE d.delivery_id = addresses.delivery_id AND d.status = 'sending')
    );
CREATE POLICY mailer ON retail.receipts FOR SELECT TO receipts_mailer
    USING (EXISTS (SELECT FROM mail.deliveries d WHERE d.receipt_id = receipts.receipt_id AND d.status = 'sending'));
-- The monitor, which has the pipeline's login, sees what waits.
CREATE POLICY watchers ON mail.deliveries FOR SELECT TO receipts_pipeline USING (status IN ('scheduled', 'sending'));

-- Schedules a delivery within the caller's regions: to an address that was said, or, without one, to the customer's,
-- which the caller never sees. The same person's same key gives the delivery it gave before. The outcome is
-- 'scheduled', 'known', 'other_request' (the key was used for something else), 'no_receipt', 'no_address' or 'malformed'.
CREATE FUNCTION mail.schedule(
    p_receipt_id text, p_email text, p_email_masked text, p_gift boolean, p_requested_by text, p_key text,
    p_undo_s double precision
)
RETURNS TABLE (outcome text, receipt_id text, delivery_id uuid)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    v_key bytea := sha256(convert_to(p_key, 'UTF8'));
    v_at timestamptz := clock_timestamp();
    v_email text := btrim(p_email);
    v_masked text := p_email_masked;
    v_digest bytea;
    v_receipt record;
    v_before mail.deliveries;
    v_made uuid;
BEGIN
    SELECT r.receipt_id, r.customer_id INTO v_receipt FROM retail.receipts r WHERE r.receipt_id = p_receipt_id;
    IF NOT FOUND THEN
        RETURN QUERY SELECT 'no_receipt', NULL::text, NULL::uuid;
        RETURN;
    END IF;
    IF p_email IS NULL THEN
        SELECT btrim(o.email), c.email_masked INTO v_email, v_masked
        FROM retail.customer_contacts o JOIN retail.customers c ON c.customer_id = o.customer_id
        WHERE o.customer_id = v_receipt.customer_id;
    END IF;
    v_digest := sha256((SELECT k.key FROM mail.digest_key k) || convert_to(lower(v_email), 'UTF8'));
    FOR v_round IN 1..2 LOOP  -- the second is for who met the same key on its way in
        SELECT d.* INTO v_before FROM mail.deliveries d WHERE d.requested_by = p_requested_by AND d.key_digest = v_key;
        IF FOUND THEN
            RETURN QUERY SELECT
                CASE WHEN (v_before.receipt_id, v_before.gift, v_before.on_file) = (p_receipt_id, p_gift, p_email IS NULL)
                    AND (v_before.on_file OR v_before.address_digest = v_digest) THEN 'known' ELSE 'other_request' END,
                v_before.receipt_id, v_before.delivery_id;
            RETURN;
        END IF;
        IF coalesce(v_email, '') = '' THEN
            RETURN QUERY SELECT 'no_address', v_receipt.receipt_id, NULL::uuid;
            RETURN;
        END IF;
        IF NOT mail.is_address(v_email) THEN
            RETURN QUERY SELECT 'malformed', v_receipt.receipt_id, NULL::uuid;
            RETURN;
        END IF;
        INSERT INTO mail.deliveries AS d (
            receipt_id, customer_id, gift, on_file, email_masked, address_digest, requested_by, key_digest,
            requested_at, send_at, due_at
        )
        VALUES (
            p_receipt_id, v_receipt.customer_id, p_gift, p_email IS NULL, v_masked, v_digest, p_requested_by, v_key,
            v_at, v_at + make_interval(secs => p_undo_s), v_at + make_interval(secs => p_undo_s)
        )
        ON CONFLICT DO NOTHING
        RETURNING d.delivery_id INTO v_made;
        IF v_made IS NOT NULL THEN
            INSERT INTO mail.addresses (delivery_id, address) VALUES (v_made, v_email);
            PERFORM pg_notify('mail', '');
            RETURN QUERY SELECT 'scheduled', v_receipt.receipt_id, v_made;
            RETURN;
        END IF;
    END LOOP;
    -- The key was used for a receipt that the caller may not see any more.
    RETURN QUERY SELECT 'other_request', v_receipt.receipt_id, NULL::uuid;
END
$$;

REVOKE ALL ON FUNCTION mail.is_address(text), mail.forget_address(),
    mail.schedule(text, text, text, boolean, text, text, double precision) FROM PUBLIC;
GRANT USAGE ON SCHEMA mail TO receipts_api, receipts_mailer, receipts_pipeline;
GRANT SELECT, UPDATE (status) ON mail.deliveries TO receipts_api;
GRANT EXECUTE ON FUNCTION mail.schedule(text, text, text, boolean, text, text, double precision) TO receipts_api;
GRANT SELECT, UPDATE (status, due_at, attempts, sent_at, detail), DELETE ON mail.deliveries TO receipts_mailer;
GRANT SELECT ON mail.addresses TO receipts_mailer;
GRANT USAGE ON SCHEMA retail TO receipts_mailer;
GRANT SELECT ON retail.stores TO receipts_mailer;
GRANT SELECT (receipt_id, store_id, document) ON retail.receipts TO receipts_mailer;
GRANT SELECT (status, send_at, due_at) ON mail.deliveries TO receipts_pipeline;
