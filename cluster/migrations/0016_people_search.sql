-- People are found by a vocabulary of the words of their names (SymSpell's deletes and a key of how a word sounds) and
-- by pairs of words; and by e-mail address or telephone number. Tables and functions belong to receipts_search, which
-- sees all regions: what leaves is only names and ids of customers in the caller's regions.
--
-- search.search_customers and retail.name_keys stay for replicas of the version before; a later migration removes them.

SET LOCAL ROLE receipts_search;

-- Grain: one row per distinct name and pair of its words, in their order; two, where two gateways learned it at the same
-- moment. Readers group, so that writers need not wait for each other. Of more than two words, neighbours also stand
-- joined: "mary ann smith" is (mary, smith), (ann, smith), (maryann, smith)... A single word has '' before it.
CREATE TABLE search.name_pairs (
    last_word text COLLATE "C" NOT NULL,
    first_word text COLLATE "C" NOT NULL,
    name_norm text NOT NULL
);
CREATE INDEX name_pairs_by_last ON search.name_pairs (last_word, first_word) INCLUDE (name_norm);
CREATE INDEX name_pairs_by_first ON search.name_pairs (first_word, last_word) INCLUDE (name_norm);

-- Grain: one row per word of a name and key it is found by, as above. Grows with the vocabulary, not with the customers.
CREATE TABLE search.name_keys (
    key text COLLATE "C" NOT NULL,
    word text COLLATE "C" NOT NULL
);
CREATE INDEX name_keys_by_key ON search.name_keys (key, word);

-- Grain: one row per name that a customer bears no longer. Only appended to, so that nobody waits for anybody.
CREATE TABLE search.names_left (name_norm text NOT NULL);

-- The words of a name that it is found by: five at most, cut at forty characters, none of a name that fits no index.
-- Not STRICT and without a search path, so that it is inlined.
CREATE FUNCTION search.words_of(p_name_norm text) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT CASE
        WHEN octet_length(p_name_norm) > 1000 THEN '{}'
        WHEN cardinality(string_to_array(p_name_norm, ' ')) <= 5 AND length(p_name_norm) <= 40
            THEN string_to_array(p_name_norm, ' ')
        ELSE (
            SELECT array_agg(left(w.word, 40) ORDER BY w.place)
            FROM string_to_table(p_name_norm, ' ') WITH ORDINALITY AS w(word, place)
            WHERE w.place <= 2 OR w.place > cardinality(string_to_array(p_name_norm, ' ')) - 3
        )
    END
$$;

-- The pairs of a name's words; see search.name_pairs.
CREATE FUNCTION search.pairs_of(p_name_norm text) RETURNS TABLE (first_word text, last_word text)
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT array_to_string(w.words[a.i:a.j], ''), array_to_string(w.words[b.i:b.j], '')
    FROM (SELECT search.words_of(p_name_norm) OFFSET 0) AS w(words)  -- once, and not for every pair
    JOIN (VALUES (1, 1), (2, 2), (3, 3), (4, 4), (1, 2), (2, 3), (3, 4), (1, 3), (2, 4)) AS a(i, j) ON true
    JOIN (VALUES (2, 2), (3, 3), (4, 4), (5, 5), (2, 3), (3, 4), (4, 5), (2, 4), (3, 5)) AS b(i, j) ON b.i > a.j
    WHERE b.j <= cardinality(w.words)
    UNION ALL
    SELECT '', left(p_name_norm, 40) WHERE p_name_norm <> '' AND position(' ' IN p_name_norm) = 0
        AND octet_length(p_name_norm) <= 1000
$$;

-- How a word sounds to a clerk: its consonants, those that are taken for each other made one; a first vowel is "a".
-- Plain replacements: a regular expression costs ten times as much, and every new word passes here.
CREATE FUNCTION search.sound_of(p_word text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT CASE WHEN left(p_word, 1) IN ('a', 'e', 'i', 'o', 'u', 'y', 'h') THEN 'a' ELSE '' END || left(
        regexp_replace(
            translate(
                replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(replace(
                replace(replace(replace(replace(replace(replace(
                    CASE WHEN left(p_word, 2) IN ('gn', 'kn', 'pn', 'ps', 'wh', 'wr') THEN substr(p_word, 2)
                    ELSE p_word END,
                    'sch', 's'), 'sh', 's'), 'sz', 's'), 'tch', 'j'), 'chr', 'kr'), 'chae', 'ka'), 'ch', 'j'),
                    'cs', 'j'), 'ck', 'k'), 'ce', 'se'), 'ci', 'si'), 'cy', 'sy'), 'ph', 'f'), 'dge', 'je'),
                    'ge', 'je'), 'gi', 'ji'), 'gy', 'jy'), 'gh', ''), 'x', 'ks'),
                'cqzvwdbaeiouyh', 'kksfftp'
            ),
            '(.)\1+', '\1', 'g'
        ),
        12
    )
$$;

-- The keys of a word: its first eight letters with up to two of them deleted (one, if it has fewer than five), after
-- SymSpell (W. Garbe, 2012), and '=' with its sound; one that comes about in two ways is there twice. Two words within
-- so many edits share a key.
CREATE FUNCTION search.keys_of(p_word text) RETURNS SETOF text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT left(p_word, 8)
    UNION ALL
    SELECT left(p_word, a.i - 1) || substr(left(p_word, 8), a.i + 1, b.j - a.i - 1) || substr(left(p_word, 8), b.j + 1)
    FROM (VALUES (1), (2), (3), (4), (5), (6), (7), (8)) AS a(i)
    JOIN (VALUES (2), (3), (4), (5), (6), (7), (8), (9)) AS b(j) ON b.j > a.i  -- past the end: only one is deleted
    WHERE a.i <= length(p_word) AND b.j <= length(p_word) + 1 AND (b.j > length(p_word) OR length(p_word) >= 5)
    UNION ALL
    SELECT '=' || search.sound_of(p_word)
$$;

-- Enters names that are not known yet, and the words among them that are new. The lock is the one that every INSERT
-- takes, before anything is looked at: search.forget_names waits for it, or is waited for. The plan is one for tables of
-- any size, because the connection that keeps it may have met them empty.
CREATE FUNCTION search.learn_names(p_names text[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
BEGIN
    LOCK TABLE search.name_pairs IN ROW EXCLUSIVE MODE;
    WITH entered AS (
        INSERT INTO search.name_pairs (last_word, first_word, name_norm)
        SELECT p.last_word, p.first_word, p.name_norm
        FROM (
            SELECT split_part(n.name_norm, ' ', 2), split_part(n.name_norm, ' ', 1), n.name_norm
            FROM unnest(p_names) AS n(name_norm)
            -- Two words, as nearly all names are, at a tenth of the cost.
            WHERE split_part(n.name_norm, ' ', 2) <> '' AND split_part(n.name_norm, ' ', 3) = ''
                AND length(n.name_norm) <= 40
            UNION ALL
            SELECT o.last_word, o.first_word, n.name_norm
            FROM unnest(p_names) AS n(name_norm) CROSS JOIN LATERAL search.pairs_of(n.name_norm) AS o
            WHERE split_part(n.name_norm, ' ', 2) = '' OR split_part(n.name_norm, ' ', 3) <> ''
                OR length(n.name_norm) > 40
        ) AS p(last_word, first_word, name_norm)
        WHERE NOT EXISTS (
            SELECT FROM search.name_pairs k
            WHERE k.last_word = p.last_word AND k.first_word = p.first_word AND k.name_norm = p.name_norm
        )
        ORDER BY p.last_word COLLATE "C"  -- neighbours of the index are entered together
        RETURNING name_norm
    ), word AS (
        SELECT DISTINCT left(w.word, 40) COLLATE "C" AS word
        FROM entered e CROSS JOIN LATERAL string_to_table(e.name_norm, ' ') AS w(word)
    )
    INSERT INTO search.name_keys (key, word)
    SELECT DISTINCT k.key COLLATE "C", w.word
    FROM word w CROSS JOIN LATERAL search.keys_of(w.word) AS k(key)
    WHERE NOT EXISTS (SELECT FROM search.name_keys o WHERE o.key = left(w.word, 8) AND o.word = w.word)
    ORDER BY 1;
END
$$;

CREATE FUNCTION search.learn_written() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM search.learn_names(ARRAY(SELECT DISTINCT w.name_norm FROM written w));
    RETURN NULL;
END
$$;

CREATE FUNCTION search.learn_renamed() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM search.learn_names(ARRAY[NEW.name_norm]);
    INSERT INTO search.names_left (name_norm) VALUES (OLD.name_norm);
    RETURN NULL;
END
$$;

CREATE FUNCTION search.note_deleted() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO search.names_left (name_norm) SELECT DISTINCT g.name_norm FROM gone g;
    RETURN NULL;
END
$$;

-- Takes out the names that nobody bears any more, and the words that no name has; returns how many names, null when
-- writers did not let it in time. The lock waits for customers that are being written and holds up later ones, so that
-- a name somebody is just given is either seen here or entered again. Until then a name without bearers finds nobody.
CREATE FUNCTION search.forget_names() RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '1s'
AS $$
DECLARE
    v_names text[];
BEGIN
    IF NOT EXISTS (SELECT FROM search.names_left) THEN
        RETURN 0;
    END IF;
    LOCK TABLE search.name_pairs IN SHARE ROW EXCLUSIVE MODE;
    WITH taken AS (DELETE FROM search.names_left RETURNING name_norm)
    SELECT array_agg(DISTINCT t.name_norm) INTO v_names
    FROM taken t WHERE NOT EXISTS (SELECT FROM retail.customers c WHERE c.name_norm = t.name_norm);
    DELETE FROM search.name_pairs p
    USING unnest(v_names) AS n(name_norm) CROSS JOIN LATERAL search.pairs_of(n.name_norm) AS o
    WHERE p.last_word = o.last_word AND p.first_word = o.first_word AND p.name_norm = n.name_norm;
    DELETE FROM search.name_keys k
    USING (
        SELECT DISTINCT left(w.word, 40) COLLATE "C" AS word
        FROM unnest(v_names) AS n(name_norm) CROSS JOIN LATERAL string_to_table(n.name_norm, ' ') AS w(word)
    ) AS w CROSS JOIN LATERAL search.keys_of(w.word) AS o(key)
    WHERE k.key = o.key AND k.word = w.word
        AND NOT EXISTS (SELECT FROM search.name_pairs p WHERE p.last_word = w.word)
        AND NOT EXISTS (SELECT FROM search.name_pairs p WHERE p.first_word = w.word);
    RETURN coalesce(cardinality(v_names), 0);
EXCEPTION WHEN lock_not_available THEN
    RETURN NULL;
END
$$;

-- Some customers of some regions who bear a name, or null. Inlined where it is asked for.
CREATE FUNCTION search.bearers_of(p_name_norm text, p_regions smallint[], p_most integer)
RETURNS TABLE (customer_ids text[])
LANGUAGE sql STABLE
AS $$
    SELECT array_agg(o.customer_id)
    FROM (
        SELECT c.customer_id FROM retail.customers c
        WHERE c.name_norm = p_name_norm AND c.region_ids && p_regions
        LIMIT p_most
    ) AS o
$$;

-- Words of the vocabulary near those typed, and what was typed itself, at the cost of each: edits by the longer word's
-- length, less where both sound alike, a little more where first or last letters differ; 0.35 where only the sound is.
CREATE FUNCTION search.near_words(
    p_spellings text[], p_starts integer[], p_ends integer[], p_costs real[], p_edits integer, p_most integer
)
RETURNS TABLE (word text, starts integer, ends integer, cost real)
LANGUAGE sql STABLE
AS $$
    SELECT t.spelling COLLATE "C", t.starts, t.ends, t.cost
    FROM unnest(p_spellings, p_starts, p_ends, p_costs) AS t(spelling, starts, ends, cost)
    WHERE length(t.spelling) > 1
    UNION ALL
    SELECT n.word, t.starts, t.ends, n.cost
    FROM (
        SELECT o.spelling, o.starts, o.ends, length(o.spelling) AS size
        FROM unnest(p_spellings, p_starts, p_ends, p_costs) AS o(spelling, starts, ends, cost)
        WHERE o.cost = 0 AND length(o.spelling) > 1
        OFFSET 0
    ) AS t
    CROSS JOIN LATERAL (
        SELECT f.word, CASE
                WHEN f.common = 0 THEN 0.35::real
                ELSE greatest(
                    least(greatest(t.size, f.size), 8) - f.common
                        + (greatest(t.size, f.size) > 8 AND right(t.spelling, 3) <> right(f.word, 3))::integer,
                    abs(t.size - f.size)
                )::real / greatest(t.size, f.size) * CASE WHEN f.sounds THEN 0.6::real ELSE 1::real END
            END + CASE WHEN left(f.word, 1) = left(t.spelling, 1) THEN 0::real ELSE 0.03::real END
                + CASE WHEN right(f.word, 1) = right(t.spelling, 1) THEN 0::real ELSE 0.02::real END AS cost
        FROM (
            SELECT k.word, min(q.size) = 0 AS sounds, max(q.size) AS common, length(k.word) AS size
            FROM (
                SELECT o.key, CASE WHEN left(o.key, 1) = '=' THEN 0 ELSE length(o.key) END AS size
                FROM search.keys_of(t.spelling) AS o(key)
                OFFSET 0  -- once for each key, not for each word
            ) AS q
            JOIN search.name_keys k ON k.key = q.key COLLATE "C"
            WHERE q.size = 0 OR q.size >= least(t.size, 8) - p_edits
            GROUP BY k.word
            OFFSET 0  -- and its length once, not each time it is asked for
        ) AS f
        ORDER BY cost, f.word
        LIMIT p_most
    ) AS n
$$;

-- Names that share a typed word, or one very like it, which few bear, as their first or their last.
CREATE FUNCTION search.related_names(p_words text[]) RETURNS SETOF text
LANGUAGE sql STABLE
AS $$
    SELECT DISTINCT r.name_norm
    FROM unnest(p_words) AS m(word)
    CROSS JOIN LATERAL (
        (SELECT array_agg(o.name_norm) AS names
        FROM (
            SELECT p.name_norm FROM search.name_pairs p
            WHERE p.last_word = m.word COLLATE "C" AND right(p.name_norm, length(m.word)) = m.word LIMIT 21
        ) AS o)
        UNION ALL
        (SELECT array_agg(o.name_norm) AS names
        FROM (
            SELECT p.name_norm FROM search.name_pairs p
            WHERE p.first_word = m.word COLLATE "C" AND left(p.name_norm, length(m.word)) = m.word LIMIT 21
        ) AS o)
    ) AS b
    CROSS JOIN LATERAL unnest(b.names) AS r(name_norm)
    WHERE cardinality(b.names) <= 20
$$;

-- Names that may be the one typed, the nearest first, each with customers of the caller's regions who bear it.
--
-- A spelling stands for the words `p_starts` to `p_ends` of what was typed: a word, or neighbours joined. At a cost of
-- 0 it is as typed, and its neighbours in the vocabulary count too; at another it is a variant (a nickname), taken as
-- it is. Words two edits away are looked at only where nobody of the caller's regions is called nearly as typed. Then
-- come, not counted among `p_names`, names that share one typed word which few bear: a household has one card, and it
-- is not always in the right name. They may be among the others too.
CREATE FUNCTION search.find_people(
    p_spellings text[], p_starts integer[], p_ends integer[], p_costs real[], p_names integer, p_bearers integer
)
RETURNS TABLE (name_norm text, customer_ids text[])
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan
SET max_parallel_workers_per_gather = 0
AS $$
DECLARE
    v_regions smallint[] := access.my_regions();
    v_first integer := (SELECT min(s) FROM unnest(p_starts) AS s);
    v_last integer := (SELECT max(e) FROM unnest(p_ends) AS e);
    v_initial text := (SELECT t.spelling FROM unnest(p_spellings) AS t(spelling) WHERE length(t.spelling) = 1 LIMIT 1);
    v_words text[]; v_starts integer[]; v_ends integer[]; v_costs real[];
    v_left text[]; v_right text[];
    v_names text[]; v_near text[];
BEGIN
    FOR v_edits IN 1..2 LOOP
        SELECT array_agg(m.word), array_agg(m.starts), array_agg(m.ends), array_agg(m.cost),
            array_agg(m.word) FILTER (WHERE m.ends < v_last), array_agg(m.word) FILTER (WHERE m.starts > v_first)
        INTO v_words, v_starts, v_ends, v_costs, v_left, v_right
        FROM search.near_words(
            p_spellings, p_starts, p_ends, p_costs, v_edits, (200 * v_edits - 100) / (v_last - v_first + 1)
        ) AS m;
        WITH found AS (
            SELECT p.name_norm, p.first_word, p.last_word FROM search.name_pairs p
            WHERE p.last_word = ANY (v_right) AND p.first_word = ANY (v_left)
            UNION ALL
            SELECT p.name_norm, p.first_word, p.last_word FROM search.name_pairs p
            WHERE p.last_word = ANY (v_left) AND p.first_word = ANY (v_right)
        ), matched AS MATERIALIZED (
            SELECT m.word COLLATE "C" AS word, m.starts, m.ends, m.cost
            FROM unnest(v_words, v_starts, v_ends, v_costs) AS m(word, starts, ends, cost)
        ), costly AS (
            SELECT f.name_norm, a.cost + b.cost AS cost
            FROM found f
            JOIN matched a ON a.word = f.first_word
            JOIN matched b ON b.word = f.last_word AND (a.ends < b.starts OR b.ends < a.starts)
            UNION ALL
            (SELECT p.name_norm, m.cost
            FROM matched m JOIN search.name_pairs p ON p.last_word = m.word
            WHERE m.starts = v_first AND m.ends = v_last
            ORDER BY m.cost LIMIT 2000)
            UNION ALL
            (SELECT p.name_norm, m.cost + 0.05
            FROM matched m JOIN search.name_pairs p ON p.first_word = m.word
            WHERE m.starts = v_first AND m.ends = v_last
            ORDER BY m.cost LIMIT 2000)
            UNION ALL
            SELECT p.name_norm, 0.1
            FROM unnest(p_spellings) AS t(spelling)
            CROSS JOIN LATERAL generate_series(2, length(t.spelling) - 1) AS cut
            JOIN search.name_pairs p ON
                (p.first_word = left(t.spelling, cut - 1) AND p.last_word = substr(t.spelling, cut))
                OR (p.last_word = left(t.spelling, cut - 1) AND p.first_word = substr(t.spelling, cut))
            WHERE v_first = v_last
            UNION ALL
            (SELECT p.name_norm, m.cost + 0.1
            FROM matched m JOIN search.name_pairs p ON p.last_word = m.word
                AND p.first_word >= v_initial AND p.first_word < v_initial || chr(1114111)
            WHERE v_initial IS NOT NULL
            ORDER BY m.cost LIMIT 2000)
            UNION ALL
            (SELECT p.name_norm, m.cost + 0.15
            FROM matched m JOIN search.name_pairs p ON p.first_word = m.word
                AND p.last_word >= v_initial AND p.last_word < v_initial || chr(1114111)
            WHERE v_initial IS NOT NULL
            ORDER BY m.cost LIMIT 2000)
        )
        SELECT array_agg(n.name_norm), array_agg(n.name_norm) FILTER (WHERE n.cost < 0.21)
        INTO v_names, v_near
        FROM (
            SELECT c.name_norm, min(c.cost) AS cost FROM costly c GROUP BY c.name_norm
            ORDER BY min(c.cost), c.name_norm
        ) AS n;
        EXIT WHEN EXISTS (
            SELECT FROM unnest(v_near) AS n(name_norm) JOIN retail.customers c ON c.name_norm = n.name_norm
            WHERE c.region_ids && v_regions
        );
        v_near := NULL;
    END LOOP;
    RETURN QUERY
        SELECT n.name_norm, b.customer_ids
        FROM unnest(v_names) AS n(name_norm)
        CROSS JOIN LATERAL search.bearers_of(n.name_norm, v_regions, p_bearers) AS b(customer_ids)
        WHERE b.customer_ids IS NOT NULL
        LIMIT p_names;
    IF v_near IS NULL AND v_first < v_last THEN
        RETURN QUERY
            SELECT r.name_norm, b.customer_ids
            FROM search.related_names(ARRAY(
                SELECT m.word FROM unnest(v_words, v_starts, v_ends, v_costs) AS m(word, starts, ends, cost)
                WHERE m.starts = m.ends AND m.cost < 0.2 ORDER BY m.cost LIMIT 8
            )) AS r(name_norm)
            CROSS JOIN LATERAL search.bearers_of(r.name_norm, v_regions, p_bearers) AS b(customer_ids)
            WHERE b.customer_ids IS NOT NULL;
    END IF;
END
$$;

-- Customers of the caller's regions with an e-mail address or a telephone number, or with both when both are given.
-- Takes them as receipts.text normalises them, and answers ids only.
CREATE FUNCTION search.find_customers_by_contact(p_email_norm text, p_phone_norm text, p_most integer)
RETURNS TABLE (customer_id text)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan
AS $$
DECLARE
    v_regions smallint[] := access.my_regions();
BEGIN
    RETURN QUERY
        SELECT c.customer_id
        FROM retail.customer_contacts o JOIN retail.customers c ON c.customer_id = o.customer_id
        WHERE (p_email_norm <> '' OR p_phone_norm <> '')
            AND (p_email_norm IS NULL OR o.email_norm = p_email_norm)
            AND (p_phone_norm IS NULL OR o.phone_norm = p_phone_norm)
            AND c.region_ids && v_regions
        ORDER BY c.customer_id
        LIMIT p_most;
END
$$;

REVOKE ALL ON FUNCTION search.words_of(text), search.pairs_of(text), search.sound_of(text), search.keys_of(text),
    search.learn_names(text[]), search.learn_written(), search.learn_renamed(), search.note_deleted(),
    search.forget_names(), search.bearers_of(text, smallint[], integer), search.related_names(text[]),
    search.near_words(text[], integer[], integer[], real[], integer, integer),
    search.find_people(text[], integer[], integer[], real[], integer, integer),
    search.find_customers_by_contact(text, text, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION search.find_people(text[], integer[], integer[], real[], integer, integer),
    search.find_customers_by_contact(text, text, integer) TO receipts_api;
GRANT USAGE ON SCHEMA search TO receipts_pipeline, receipts_owner;
GRANT EXECUTE ON FUNCTION search.forget_names() TO receipts_pipeline;
-- Whoever makes a trigger must be allowed to call its function; whoever writes to the table need not.
GRANT EXECUTE ON FUNCTION search.learn_written(), search.learn_renamed(), search.note_deleted() TO receipts_owner;

RESET ROLE;
SET LOCAL ROLE receipts_owner;

GRANT SELECT (customer_id, email_norm, phone_norm) ON retail.customer_contacts TO receipts_search;
-- Making a trigger locks out writers until this transaction ends, so nobody is missed between here and the back-fill.
CREATE TRIGGER learn_written AFTER INSERT ON retail.customers
    REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION search.learn_written();
CREATE TRIGGER learn_renamed AFTER UPDATE OF name_norm ON retail.customers
    FOR EACH ROW WHEN (OLD.name_norm <> NEW.name_norm) EXECUTE FUNCTION search.learn_renamed();
CREATE TRIGGER note_deleted AFTER DELETE ON retail.customers
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION search.note_deleted();

RESET ROLE;
SET LOCAL ROLE receipts_search;

DO $$
DECLARE
    v_after text := '';
    v_names text[];
BEGIN
    LOOP  -- in portions: all names of a large chain at once are a sort of some gigabytes
        SELECT array_agg(n.name_norm) INTO v_names
        FROM (
            SELECT DISTINCT c.name_norm FROM retail.customers c
            WHERE c.name_norm ~>~ v_after ORDER BY c.name_norm USING ~<~ LIMIT 50000
        ) AS n;
        EXIT WHEN v_names IS NULL;
        PERFORM search.learn_names(v_names);
        v_after := v_names[cardinality(v_names)];
    END LOOP;
END
$$;

RESET ROLE;
