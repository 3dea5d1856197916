-- Ingest at full strength: an outbox that gives its space back, receipts that came through the lake, the tills'
-- credentials, imported files and the quarantine desk.

SET LOCAL ROLE receipts_owner;

-- The outbox ---------------------------------------------------------------------------------------------------

-- Which gateway numbered a record: the last ten bits of its sequence (ingest/numbering.py).
CREATE SEQUENCE ingest.gateway_numbers AS integer MINVALUE 0 MAXVALUE 1023 CYCLE;

-- Grain: one row per record on its way to Bronze. `xid` is the writing transaction: a drainer takes only rows whose
-- transaction is older than every running one, so none can appear behind its back. `sequence` is the gateway's
-- number and orders the records of a store also where some of them went to Bronze directly. Two partitions take turns:
-- the one that is not written to is truncated once Bronze holds all of it, so nothing is ever vacuumed.
ALTER TABLE ingest.outbox RENAME TO outbox_before;
ALTER INDEX ingest.outbox_by_xid RENAME TO outbox_before_by_xid;
CREATE TABLE ingest.outbox (
    turn smallint NOT NULL,
    sequence bigint NOT NULL,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    bronze_table text NOT NULL,
    record_key text,
    store_id integer,
    received_at timestamptz NOT NULL,
    source text NOT NULL,
    payload_digest bytea NOT NULL,
    payload text NOT NULL,
    refusal text
) PARTITION BY LIST (turn);
CREATE TABLE ingest.outbox_0 PARTITION OF ingest.outbox FOR VALUES IN (0);
CREATE TABLE ingest.outbox_1 PARTITION OF ingest.outbox FOR VALUES IN (1);
CREATE INDEX outbox_by_xid ON ingest.outbox (xid);
INSERT INTO ingest.outbox
    (turn, sequence, xid, bronze_table, record_key, store_id, received_at, source, payload_digest, payload, refusal)
SELECT 0, sequence, xid, bronze_table, record_key, store_id, received_at, source, payload_digest, payload, refusal
FROM ingest.outbox_before ORDER BY sequence;
DROP TABLE ingest.outbox_before;

-- One row: whose turn it is, which transaction gave it, and up to which transaction Bronze holds everything.
CREATE TABLE ingest.outbox_state (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    turn smallint NOT NULL DEFAULT 0,
    turned_by xid8 NOT NULL DEFAULT '0'::xid8,
    drained xid8 NOT NULL DEFAULT '0'::xid8
);
INSERT INTO ingest.outbox_state DEFAULT VALUES;

-- Gives the turn to the other partition when this one has grown beyond p_bytes, and truncates the one that had it when
-- Bronze holds all its rows and no transaction can write to it any more. Truncating waits for nobody: it is tried
-- again by the next call. Answers how many bytes were given back.
CREATE FUNCTION ingest.rotate_outbox(p_bytes bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    state ingest.outbox_state;
    resting regclass;
    freed bigint := 0;
    left_over boolean;
BEGIN
    SELECT * INTO STRICT state FROM ingest.outbox_state;
    resting := format('ingest.outbox_%s', 1 - state.turn)::regclass;
    IF pg_relation_size(resting) > 0 AND state.turned_by < pg_snapshot_xmin(pg_current_snapshot()) THEN
        EXECUTE format('SELECT EXISTS (SELECT FROM %s WHERE xid > %L)', resting, state.drained) INTO left_over;
        IF NOT left_over THEN
            BEGIN
                PERFORM set_config('lock_timeout', '50ms', true);
                freed := pg_total_relation_size(resting);
                EXECUTE format('TRUNCATE %s', resting);
            EXCEPTION WHEN lock_not_available THEN
                freed := 0;
            END;
        END IF;
    END IF;
    IF pg_relation_size(resting) = 0
        AND pg_relation_size(format('ingest.outbox_%s', state.turn)::regclass) > p_bytes
    THEN
        UPDATE ingest.outbox_state SET turn = 1 - state.turn, turned_by = pg_current_xact_id();
    END IF;
    RETURN freed;
END
$$;
REVOKE ALL ON FUNCTION ingest.rotate_outbox(bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ingest.rotate_outbox(bigint) TO receipts_ingest;
GRANT USAGE ON SEQUENCE ingest.gateway_numbers TO receipts_ingest;
GRANT SELECT, INSERT, DELETE ON ingest.outbox TO receipts_ingest;
GRANT SELECT, UPDATE (drained) ON ingest.outbox_state TO receipts_ingest;
GRANT SELECT ON ingest.outbox, ingest.outbox_state TO receipts_pipeline;

-- Records that gateways wrote to Bronze while Postgres was away -------------------------------------------------

-- Grain: one row per Bronze table. Up to `version` of it, everything that did not come through the outbox is known here.
CREATE TABLE ingest.settled (
    bronze_table text PRIMARY KEY,
    version bigint NOT NULL,
    settled_at timestamptz NOT NULL
);
GRANT SELECT, INSERT, UPDATE ON ingest.settled TO receipts_ingest;
GRANT SELECT ON ingest.settled TO receipts_pipeline;

-- Tills and what they may write --------------------------------------------------------------------------------

-- Grain: one row per credential of a till or feed (OAuth 2.0 client). The secret itself is nowhere: it is 256 random
-- bits, so its SHA-256 tells nothing. Written by the database's administrator only (`receipts tills`).
CREATE TABLE ingest.clients (
    client_id text COLLATE "C" PRIMARY KEY,
    secret_digest bytea NOT NULL,
    store_ids integer[] NOT NULL,  -- whose records it may write; empty with all_stores
    all_stores boolean NOT NULL DEFAULT false,  -- a feed: every store, and the store and customer records
    note text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    revoked_at timestamptz,
    CHECK (all_stores = (cardinality(store_ids) = 0))
);
GRANT SELECT ON ingest.clients TO receipts_ingest;

-- Imported files -----------------------------------------------------------------------------------------------

-- Grain: one row per distinct file content. `records` moves in the transaction that writes them, so that an import
-- that was killed goes on where it stood; a file that is finished is never read again.
CREATE TABLE ingest.imports (
    content_digest bytea PRIMARY KEY,  -- SHA-256 of the file
    format text NOT NULL,
    file_name text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at timestamptz,
    records bigint NOT NULL DEFAULT 0,  -- read so far
    new bigint NOT NULL DEFAULT 0,
    known bigint NOT NULL DEFAULT 0,  -- received before
    refused bigint NOT NULL DEFAULT 0,
    skipped bigint NOT NULL DEFAULT 0,  -- no receipts: training, suspended and control transactions
    broken text,  -- where and why the file cannot be read any further
    CHECK (records = new + known + refused + skipped)
);

-- Grain: one row per record of a file that became no receipt. A refused record itself is in quarantine.
CREATE TABLE ingest.import_refusals (
    content_digest bytea NOT NULL REFERENCES ingest.imports ON DELETE CASCADE,
    record bigint NOT NULL,  -- which record of the file, from 1
    position bigint NOT NULL,  -- line of a CSV or XML file, row of a Parquet file where it begins, from 1
    skipped boolean NOT NULL,
    reason text NOT NULL,
    PRIMARY KEY (content_digest, record)
);
GRANT SELECT, INSERT, UPDATE ON ingest.imports TO receipts_ingest;
GRANT SELECT, INSERT ON ingest.import_refusals TO receipts_ingest;
GRANT SELECT ON ingest.imports, ingest.import_refusals TO receipts_pipeline;

-- The quarantine desk ------------------------------------------------------------------------------------------

ALTER TABLE ingest.quarantine
    ADD COLUMN kind text NOT NULL DEFAULT 'malformed',  -- ingest/refusals.py names the kinds
    ADD COLUMN missing_store_id integer,  -- judged again by itself once this store is known
    ADD COLUMN accepted_key text,  -- record_key of what it became
    DROP CONSTRAINT quarantine_state_check,
    ADD CONSTRAINT quarantine_state_check CHECK (state IN ('held', 'replayed', 'fixed', 'dismissed'));
CREATE INDEX quarantine_by_missing_store ON ingest.quarantine (missing_store_id)
    WHERE state = 'held' AND missing_store_id IS NOT NULL;
CREATE INDEX quarantine_held ON ingest.quarantine (quarantine_id) WHERE state = 'held';

-- Grain: one row per thing an administrator asked to be done with a refused record. The API writes it, a gateway does
-- it: only ingest validates and writes records.
CREATE TABLE ingest.desk_orders (
    order_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    quarantine_id bigint NOT NULL REFERENCES ingest.quarantine,
    action text NOT NULL CHECK (action IN ('replay', 'fix', 'dismiss')),
    payload text,  -- with fix: the record as it should have been; removed when the order is done
    ordered_by text NOT NULL,
    ordered_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    done_at timestamptz,
    outcome text,  -- null while waiting; 'accepted', 'dismissed', or why it is still refused
    CHECK ((action = 'fix') = (payload IS NOT NULL) OR done_at IS NOT NULL)
);
CREATE INDEX desk_orders_waiting ON ingest.desk_orders (order_id) WHERE done_at IS NULL;
GRANT SELECT, UPDATE ON ingest.desk_orders TO receipts_ingest;
GRANT USAGE ON SCHEMA ingest TO receipts_api;
GRANT SELECT ON ingest.quarantine TO receipts_api;
GRANT SELECT, INSERT ON ingest.desk_orders TO receipts_api;

-- Verification ---------------------------------------------------------------------------------------------------

-- `receipts ingest verify` tells what is under way by how far Postgres has followed Silver.
GRANT USAGE ON SCHEMA sync TO receipts_ingest;
GRANT SELECT ON sync.watermarks TO receipts_ingest;
