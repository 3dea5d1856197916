-- The fraud desk: what staff flag, how it was reviewed, and the patterns that Gold finds.

CREATE SCHEMA fraud AUTHORIZATION receipts_owner;

SET LOCAL ROLE receipts_owner;

-- Flags ----------------------------------------------------------------------------------------------------------

-- The regions of what a flag is about, or null where the caller may not see it: the caller's rights and row-level
-- security decide.
CREATE FUNCTION fraud.regions_of(p_subject text, p_subject_id text) RETURNS smallint[]
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
AS $$
    SELECT ARRAY[r.region_id] FROM retail.receipts r WHERE p_subject = 'receipt' AND r.receipt_id = p_subject_id
    UNION ALL
    SELECT c.region_ids FROM retail.customers c WHERE p_subject = 'customer' AND c.customer_id = p_subject_id
$$;

-- Grain: one row per flag. Notes are what staff wrote about somebody: personal data.
CREATE TABLE fraud.flags (
    flag_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subject text NOT NULL CHECK (subject IN ('receipt', 'customer')),
    subject_id text COLLATE "C" NOT NULL,
    reason text NOT NULL CHECK (reason IN ('return_abuse', 'card_misuse', 'identity', 'employee', 'other')),
    note text NOT NULL,
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'confirmed', 'cleared')),
    raised_by text NOT NULL,
    raised_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    reviewed_by text CHECK (reviewed_by <> raised_by),  -- four eyes
    reviewed_at timestamptz,
    review_note text,
    CHECK ((state = 'open') = (reviewed_by IS NULL)),
    CHECK (num_nulls(reviewed_by, reviewed_at, review_note) IN (0, 3))
);
CREATE INDEX flags_by_subject ON fraud.flags (subject_id, flag_id);
ALTER TABLE fraud.flags ENABLE ROW LEVEL SECURITY;
ALTER TABLE fraud.flags FORCE ROW LEVEL SECURITY;
CREATE POLICY seen ON fraud.flags FOR SELECT TO receipts_api
    USING (fraud.regions_of(subject, subject_id) IS NOT NULL);
CREATE POLICY raised ON fraud.flags FOR INSERT TO receipts_api
    WITH CHECK (state = 'open' AND fraud.regions_of(subject, subject_id) IS NOT NULL);
CREATE POLICY reviewed ON fraud.flags FOR UPDATE TO receipts_api
    USING (state = 'open' AND fraud.regions_of(subject, subject_id) IS NOT NULL) WITH CHECK (state <> 'open');

REVOKE ALL ON FUNCTION fraud.regions_of(text, text) FROM PUBLIC;
GRANT USAGE ON SCHEMA fraud TO receipts_api;
GRANT EXECUTE ON FUNCTION fraud.regions_of(text, text) TO receipts_api;
GRANT SELECT, INSERT (subject, subject_id, reason, note, raised_by),
    UPDATE (state, reviewed_by, reviewed_at, review_note) ON fraud.flags TO receipts_api;

-- Patterns -------------------------------------------------------------------------------------------------------

-- Grain: one row per pattern (Gold fraud_patterns, burst_patterns and return_patterns: a signal, subject and month).
CREATE TABLE retail.fraud_patterns (
    pattern_id text COLLATE "C" PRIMARY KEY,
    source text COLLATE "C" NOT NULL,  -- the table of the lake
    kind text COLLATE "C" NOT NULL,  -- the signal's name
    subject text COLLATE "C" NOT NULL,
    subject_id text COLLATE "C" NOT NULL,
    month date NOT NULL,  -- its first day
    strength integer NOT NULL,  -- thousandths: 500 at the threshold, towards 1000 far beyond it
    figures text NOT NULL,  -- JSON
    explanation text NOT NULL,
    receipt_types text[] NOT NULL,  -- of those that show it
    receipt_count bigint NOT NULL,
    first_at timestamptz,  -- where it is of a span of time and not of the month
    last_at timestamptz,
    store_ids integer[] NOT NULL,
    region_ids smallint[] NOT NULL  -- of the stores
);
CREATE INDEX fraud_patterns_by_strength ON retail.fraud_patterns (strength DESC, pattern_id);
ALTER TABLE retail.fraud_patterns ENABLE ROW LEVEL SECURITY;
ALTER TABLE retail.fraud_patterns FORCE ROW LEVEL SECURITY;
CREATE POLICY own_regions ON retail.fraud_patterns FOR SELECT TO receipts_api
    USING (region_ids && (SELECT access.my_regions())::smallint[]);
CREATE POLICY writers ON retail.fraud_patterns TO receipts_pipeline USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON retail.fraud_patterns TO receipts_pipeline;
GRANT SELECT ON retail.fraud_patterns TO receipts_api;

-- Where COPY brings them, as 0006_refinement.sql says.
CREATE UNLOGGED TABLE sync.arriving_fraud_patterns (
    source text,
    pattern_id text COLLATE "C",
    kind text,
    subject text,
    subject_id text,
    month date,
    figures text,
    explanation text,
    strength integer,
    receipt_types text,
    receipt_count bigint,
    first_at timestamptz,
    last_at timestamptz,
    store_ids text
);
GRANT SELECT, INSERT, DELETE, TRUNCATE ON sync.arriving_fraud_patterns TO receipts_pipeline;
