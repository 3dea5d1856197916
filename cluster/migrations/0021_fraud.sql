-- The fraud desk: what staff flag, and how it was reviewed.

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
