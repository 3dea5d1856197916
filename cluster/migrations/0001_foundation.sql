-- The foundation: access scopes, the serving tables under row-level security, ingest, audit and sync state.
-- Roles exist already (cluster/roles.sql). Run by the database's owner; objects belong to receipts_owner.

CREATE EXTENSION IF NOT EXISTS vector;

CREATE SCHEMA access AUTHORIZATION receipts_owner;
CREATE SCHEMA retail AUTHORIZATION receipts_owner;
CREATE SCHEMA ingest AUTHORIZATION receipts_owner;
CREATE SCHEMA audit AUTHORIZATION receipts_owner;
CREATE SCHEMA sync AUTHORIZATION receipts_owner;

SET LOCAL ROLE receipts_owner;

-- Access ---------------------------------------------------------------------------------------------------------

CREATE TABLE access.principals (
    principal_id text COLLATE "C" PRIMARY KEY,
    role text NOT NULL CHECK (role IN ('cs_rep', 'supervisor', 'fraud_team', 'privacy_officer', 'admin', 'till')),
    display_name text NOT NULL,
    region_ids smallint[] NOT NULL,  -- empty with all_regions
    all_regions boolean NOT NULL DEFAULT false,
    active boolean NOT NULL DEFAULT true
);

-- A handle that nobody can invent: the API presents it, only the database knows which regions it opens.
CREATE TABLE access.scopes (
    scope_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    region_ids smallint[] NOT NULL,
    all_regions boolean NOT NULL,
    UNIQUE (region_ids, all_regions)
);

CREATE TABLE access.regions (
    region_id smallint PRIMARY KEY,
    name text NOT NULL
);

-- STABLE, never IMMUTABLE: a cached plan would keep the regions of the scope before.
CREATE FUNCTION access.my_regions() RETURNS smallint[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN s.all_regions THEN (SELECT array_agg(r.region_id) FROM access.regions r) ELSE s.region_ids END
    FROM access.scopes s
    WHERE s.scope_id = nullif(current_setting('app.scope', true), '')::uuid
$$;

CREATE FUNCTION access.open_scope(p_principal_id text)
RETURNS TABLE (scope_id uuid, role text, display_name text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    who access.principals;
BEGIN
    SELECT * INTO who FROM access.principals p WHERE p.principal_id = p_principal_id AND p.active;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    INSERT INTO access.scopes (region_ids, all_regions) VALUES (who.region_ids, who.all_regions)
    ON CONFLICT DO NOTHING;
    RETURN QUERY
        SELECT s.scope_id, who.role, who.display_name FROM access.scopes s
        WHERE s.region_ids = who.region_ids AND s.all_regions = who.all_regions;
END
$$;

REVOKE ALL ON FUNCTION access.my_regions() FROM PUBLIC;
REVOKE ALL ON FUNCTION access.open_scope(text) FROM PUBLIC;
GRANT USAGE ON SCHEMA access TO receipts_api, receipts_auth, receipts_search, receipts_ingest;
GRANT EXECUTE ON FUNCTION access.my_regions() TO receipts_api, receipts_search;
GRANT EXECUTE ON FUNCTION access.open_scope(text) TO receipts_auth;
GRANT SELECT ON access.regions TO receipts_api, receipts_auth;
GRANT SELECT, INSERT, UPDATE ON access.regions TO receipts_ingest;

-- Retail ---------------------------------------------------------------------------------------------------------

-- Grain: one row per store. Not personal: everyone who may sign in may read it.
CREATE TABLE retail.stores (
    store_id integer PRIMARY KEY,
    region_id smallint NOT NULL,
    name text NOT NULL,
    name_norm text NOT NULL,
    aliases_norm text[] NOT NULL,
    time_zone text NOT NULL,
    document text NOT NULL,  -- the store's canonical JSON
    payload_digest bytea NOT NULL
);

-- Grain: one row per receipt. The whole receipt is one row: `document` is its canonical JSON, the rest finds it.
CREATE TABLE retail.receipts (
    receipt_id text COLLATE "C" PRIMARY KEY,
    store_id integer NOT NULL,
    region_id smallint NOT NULL,
    receipt_type text NOT NULL,
    purchased_at timestamptz NOT NULL,
    purchased_on date NOT NULL,  -- the store's own day
    customer_id text COLLATE "C",
    total_cents bigint NOT NULL,
    card_last4 text[] NOT NULL,
    skus text[] NOT NULL,
    document text NOT NULL,
    payload_digest bytea NOT NULL,  -- of the version that serves
    first_digest bytea NOT NULL,  -- of the version that came first: a repeat of it changes nothing
    received_at timestamptz NOT NULL,
    refined_at timestamptz  -- when Silver confirmed it
);
CREATE INDEX receipts_by_customer ON retail.receipts (customer_id, purchased_at DESC, receipt_id DESC)
    WHERE customer_id IS NOT NULL;
CREATE INDEX receipts_by_store_day ON retail.receipts (store_id, purchased_on, total_cents);
CREATE INDEX receipts_by_day ON retail.receipts (purchased_on, total_cents);
CREATE INDEX receipts_by_sku ON retail.receipts USING gin (skus);
CREATE INDEX receipts_by_card ON retail.receipts USING gin (card_last4);

-- Grain: one row per loyalty customer. Contact data stands masked here and clear in customer_contacts only.
CREATE TABLE retail.customers (
    customer_id text COLLATE "C" PRIMARY KEY,
    first_name text NOT NULL,
    last_name text NOT NULL,
    name_norm text NOT NULL,
    email_masked text NOT NULL,
    phone_masked text NOT NULL,
    city text NOT NULL,
    customer_since date NOT NULL,
    home_store_id integer NOT NULL,
    region_ids smallint[] NOT NULL,  -- the home store's region; later, all where the customer shops
    payload_digest bytea NOT NULL
);
CREATE INDEX customers_by_name ON retail.customers (name_norm text_pattern_ops);

CREATE TABLE retail.customer_contacts (
    customer_id text COLLATE "C" PRIMARY KEY REFERENCES retail.customers ON DELETE CASCADE,
    email text NOT NULL,
    email_norm text NOT NULL,
    phone text NOT NULL,
    phone_norm text NOT NULL,
    address text NOT NULL
);
CREATE INDEX customer_contacts_by_email ON retail.customer_contacts (email_norm);
CREATE INDEX customer_contacts_by_phone ON retail.customer_contacts (phone_norm);

-- Grain: one row per SKU (Silver products). `search_text` is receipts.products.search_text of the row.
CREATE TABLE retail.products (
    sku text COLLATE "C" PRIMARY KEY,
    description text NOT NULL,
    department text NOT NULL,
    category text NOT NULL,
    search_text text NOT NULL,
    text_digest text COLLATE "C" NOT NULL,  -- receipts.embedding.product_digest: whose vector this product has
    lexemes tsvector GENERATED ALWAYS AS (to_tsvector('english', search_text)) STORED
);
CREATE INDEX products_by_lexeme ON retail.products USING gin (lexemes);
CREATE INDEX products_by_text ON retail.products (text_digest);

-- Grain: one row per distinct text, not per SKU: hundreds of sizes of one thing would crowd out its neighbours.
CREATE TABLE retail.product_embeddings (
    text_digest text COLLATE "C" PRIMARY KEY,
    embedding halfvec(384) NOT NULL,
    model text NOT NULL
);
CREATE INDEX product_embeddings_nearest ON retail.product_embeddings
    USING hnsw (embedding halfvec_cosine_ops) WITH (m = 16, ef_construction = 200);

-- Grain: one row per customer (Gold customer_profiles). `document` is what the context route answers.
CREATE TABLE retail.customer_profiles (
    customer_id text COLLATE "C" PRIMARY KEY,
    region_ids smallint[] NOT NULL,
    lifetime_spend_cents bigint NOT NULL,
    visits integer NOT NULL,
    last_visit_at timestamptz,
    document text NOT NULL
);

ALTER TABLE retail.receipts ENABLE ROW LEVEL SECURITY;
ALTER TABLE retail.receipts FORCE ROW LEVEL SECURITY;
ALTER TABLE retail.customers ENABLE ROW LEVEL SECURITY;
ALTER TABLE retail.customers FORCE ROW LEVEL SECURITY;
ALTER TABLE retail.customer_contacts ENABLE ROW LEVEL SECURITY;
ALTER TABLE retail.customer_contacts FORCE ROW LEVEL SECURITY;
ALTER TABLE retail.customer_profiles ENABLE ROW LEVEL SECURITY;
ALTER TABLE retail.customer_profiles FORCE ROW LEVEL SECURITY;

-- (select ...) makes the regions an InitPlan: resolved once per statement instead of once per row.
CREATE POLICY own_regions ON retail.receipts FOR SELECT TO receipts_api
    USING (region_id = ANY ((SELECT access.my_regions())::smallint[]));
CREATE POLICY own_regions ON retail.customers FOR SELECT TO receipts_api
    USING (region_ids && (SELECT access.my_regions())::smallint[]);
CREATE POLICY own_regions ON retail.customer_profiles FOR SELECT TO receipts_api
    USING (region_ids && (SELECT access.my_regions())::smallint[]);
CREATE POLICY writers ON retail.receipts TO receipts_ingest, receipts_pipeline USING (true) WITH CHECK (true);
CREATE POLICY writers ON retail.customers TO receipts_ingest, receipts_pipeline USING (true) WITH CHECK (true);
CREATE POLICY writers ON retail.customer_contacts TO receipts_ingest USING (true) WITH CHECK (true);
CREATE POLICY writers ON retail.customer_profiles TO receipts_pipeline USING (true) WITH CHECK (true);

GRANT USAGE ON SCHEMA retail TO receipts_ingest, receipts_pipeline, receipts_api, receipts_search;
GRANT SELECT, INSERT, UPDATE ON retail.stores, retail.customers, retail.customer_contacts TO receipts_ingest;
GRANT SELECT, INSERT ON retail.receipts TO receipts_ingest;
GRANT SELECT, INSERT, UPDATE, DELETE ON retail.receipts, retail.products, retail.product_embeddings,
    retail.customer_profiles TO receipts_pipeline;
GRANT SELECT ON retail.stores TO receipts_pipeline;
GRANT SELECT, UPDATE (region_ids) ON retail.customers TO receipts_pipeline;
GRANT SELECT ON retail.stores, retail.receipts, retail.customers, retail.products, retail.product_embeddings,
    retail.customer_profiles TO receipts_api;
-- receipts_search bypasses row-level security, so that its functions may use GIN indexes (their operators are not
-- leakproof); each of its functions must apply access.my_regions() itself.
GRANT SELECT ON retail.stores, retail.receipts, retail.customers, retail.products, retail.product_embeddings
    TO receipts_search;

-- Ingest ---------------------------------------------------------------------------------------------------------

-- Grain: one row per record that Bronze does not hold yet. `xid` is the writing transaction: a drainer takes only
-- rows whose transaction is older than every running one, so none can appear behind its back.
CREATE TABLE ingest.outbox (
    sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    bronze_table text NOT NULL,
    record_key text,
    store_id integer,
    received_at timestamptz NOT NULL,
    source text NOT NULL,
    payload_digest bytea NOT NULL,
    payload text NOT NULL,
    refusal text
) WITH (autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 10000);
CREATE INDEX outbox_by_xid ON ingest.outbox (xid, sequence);

-- Versions of a receipt that came after its first one: a repeat of any of them changes nothing.
CREATE TABLE ingest.corrections (
    receipt_id text COLLATE "C" NOT NULL,
    payload_digest bytea NOT NULL,
    received_at timestamptz NOT NULL,
    PRIMARY KEY (receipt_id, payload_digest)
);

-- Grain: one row per refused payload. `payload` holds no card number.
CREATE TABLE ingest.quarantine (
    quarantine_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    bronze_table text NOT NULL,
    received_at timestamptz NOT NULL,
    source text NOT NULL,
    reason text NOT NULL,
    payload text NOT NULL,
    payload_digest bytea NOT NULL,
    state text NOT NULL DEFAULT 'held' CHECK (state IN ('held', 'replayed')),
    replayed_at timestamptz,
    UNIQUE (bronze_table, payload_digest)
);

GRANT USAGE ON SCHEMA ingest TO receipts_ingest, receipts_pipeline;
GRANT SELECT, INSERT, DELETE ON ingest.outbox TO receipts_ingest;
GRANT SELECT, INSERT ON ingest.corrections TO receipts_ingest;
GRANT SELECT, INSERT, UPDATE ON ingest.quarantine TO receipts_ingest;
GRANT SELECT ON ingest.outbox, ingest.quarantine TO receipts_pipeline;

-- Audit ----------------------------------------------------------------------------------------------------------

-- Grain: one row per answer that left, or was refused. No name, contact or query text stands here.
CREATE TABLE audit.events (
    event_id uuid NOT NULL,
    occurred_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    principal_id text NOT NULL,  -- 'anonymous' when nobody was recognised
    role text NOT NULL,
    session_id text NOT NULL,
    route text NOT NULL,
    outcome text NOT NULL,  -- answered, not_found, invalid, refused, failed
    status smallint NOT NULL,
    receipt_ids text[] NOT NULL,
    customer_ids text[] NOT NULL,
    purpose text NOT NULL,
    constraints text NOT NULL,  -- the typed query as JSON, without personal data
    client_address text NOT NULL,
    request_id text NOT NULL,
    PRIMARY KEY (occurred_at, event_id)
) PARTITION BY RANGE (occurred_at);
CREATE INDEX events_by_principal ON audit.events (principal_id, occurred_at);
CREATE INDEX events_by_customer ON audit.events USING gin (customer_ids);
CREATE TABLE audit.events_other PARTITION OF audit.events DEFAULT;

CREATE FUNCTION audit.refuse_change() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit trail is append-only';
END
$$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON audit.events
    FOR EACH ROW EXECUTE FUNCTION audit.refuse_change();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON audit.events
    FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();
-- A statement trigger on the parent does not fire for a partition: each carries its own.
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON audit.events_other
    FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();

-- Makes the partitions of this month and the next; safe to repeat. `receipts up` and the pipeline call it.
CREATE FUNCTION audit.make_partitions(p_today date DEFAULT current_date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    first date;
    partition text;
BEGIN
    FOR i IN 0..1 LOOP
        first := (date_trunc('month', p_today) + make_interval(months => i))::date;
        partition := format('events_%s', to_char(first, 'YYYY_MM'));
        IF to_regclass(format('audit.%I', partition)) IS NULL THEN
            EXECUTE format('CREATE TABLE audit.%I PARTITION OF audit.events FOR VALUES FROM (%L) TO (%L)',
                partition, first::timestamp AT TIME ZONE 'UTC', (first + interval '1 month') AT TIME ZONE 'UTC');
            EXECUTE format('CREATE TRIGGER no_truncate BEFORE TRUNCATE ON audit.%I
                FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change()', partition);
        END IF;
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION audit.make_partitions(date) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audit.make_partitions(date) TO receipts_pipeline;
GRANT USAGE ON SCHEMA audit TO receipts_api, receipts_auth, receipts_pipeline;
GRANT INSERT ON audit.events TO receipts_api, receipts_auth;

-- Sync -----------------------------------------------------------------------------------------------------------

-- How far Postgres has followed each Delta table; moves in the transaction that writes the rows.
CREATE TABLE sync.watermarks (
    table_name text PRIMARY KEY,
    version bigint NOT NULL,
    committed_at timestamptz NOT NULL,  -- of that version, in the lake
    synced_at timestamptz NOT NULL
);
GRANT USAGE ON SCHEMA sync TO receipts_pipeline, receipts_api;
GRANT SELECT, INSERT, UPDATE ON sync.watermarks TO receipts_pipeline;
GRANT SELECT ON sync.watermarks TO receipts_api;
