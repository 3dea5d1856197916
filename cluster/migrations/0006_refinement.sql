-- Refinement at full strength: the sync by COPY, back-fills that go on where they stood, spending by category.

SET LOCAL ROLE receipts_owner;

-- Grain: one row per customer, month and category (Gold spending_insights). The key finds what one customer spent.
CREATE TABLE retail.spending_insights (
    customer_id text COLLATE "C" NOT NULL,
    month date NOT NULL,  -- its first day
    category text COLLATE "C" NOT NULL,  -- empty where a line has none
    lines bigint NOT NULL,  -- of receipts, returned ones among them
    spend_cents bigint NOT NULL,  -- net of returns
    discount_cents bigint NOT NULL,
    PRIMARY KEY (customer_id, month, category)
);
ALTER TABLE retail.spending_insights ENABLE ROW LEVEL SECURITY;
ALTER TABLE retail.spending_insights FORCE ROW LEVEL SECURITY;
-- Who may see a customer's profile may see what the customer spends on: the profiles' own policy decides.
CREATE POLICY own_regions ON retail.spending_insights FOR SELECT TO receipts_api
    USING (EXISTS (SELECT FROM retail.customer_profiles p WHERE p.customer_id = spending_insights.customer_id));
CREATE POLICY writers ON retail.spending_insights TO receipts_pipeline USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON retail.spending_insights TO receipts_pipeline;
GRANT SELECT ON retail.spending_insights TO receipts_api;

-- Grain: one row per table whose first (or new) reading by the sync is under way: which version of it is read, and how
-- far. Moves in the transactions that write the rows; gone in the one that moves the watermark.
CREATE TABLE sync.backfills (
    table_name text PRIMARY KEY,
    version bigint NOT NULL,
    began_empty boolean NOT NULL,  -- else rows may be there that the lake no longer holds
    path text NOT NULL DEFAULT '',  -- the file that is being read; the files before it are done
    rows bigint NOT NULL DEFAULT 0,  -- of that file, done
    started_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
GRANT SELECT, INSERT, UPDATE, DELETE ON sync.backfills TO receipts_pipeline;

-- Where COPY brings rows before one statement writes them: filled and emptied in one transaction, so a reader never
-- finds a row here and a crash loses nothing. A row that goes carries its key only.
CREATE UNLOGGED TABLE sync.arriving_receipts (
    receipt_id text COLLATE "C",
    store_id integer,
    region_id smallint,
    receipt_type text,
    purchased_at timestamptz,
    purchased_on date,
    customer_id text COLLATE "C",
    total_cents bigint,
    card_last4 text,  -- joined by commas, as all lists here
    skus text,
    document text,
    payload_digest bytea,
    received_at timestamptz
);
CREATE UNLOGGED TABLE sync.arriving_products (
    sku text COLLATE "C",
    description text,
    department text,
    category text,
    search_text text,
    text_digest text COLLATE "C"
);
CREATE UNLOGGED TABLE sync.arriving_customer_profiles (
    customer_id text COLLATE "C",
    region_ids text,
    lifetime_spend_cents bigint,
    visits integer,
    last_visit_at timestamptz,
    document text
);
CREATE UNLOGGED TABLE sync.arriving_spending_insights (
    customer_id text COLLATE "C",
    month date,
    category text COLLATE "C",
    lines bigint,
    spend_cents bigint,
    discount_cents bigint
);
CREATE UNLOGGED TABLE sync.arriving_product_embeddings (
    text_digest text COLLATE "C",
    embedding text,
    model text
);
GRANT SELECT, INSERT, DELETE, TRUNCATE ON sync.arriving_receipts, sync.arriving_products,
    sync.arriving_customer_profiles, sync.arriving_spending_insights, sync.arriving_product_embeddings
    TO receipts_pipeline;

RESET ROLE;
