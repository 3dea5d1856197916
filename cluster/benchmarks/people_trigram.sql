-- The seed's technique on a server with pg_trgm: distinct names under a trigram index, and those like one that is typed.
DROP SCHEMA IF EXISTS receipts_bench CASCADE;
CREATE SCHEMA receipts_bench;
CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA public;
CREATE TABLE receipts_bench.names (name_norm text NOT NULL);
CREATE FUNCTION receipts_bench.list_names(p_typed text, p_most integer) RETURNS TABLE (name_norm text, bearers text[])
LANGUAGE sql STABLE AS $$
    SELECT n.name_norm, ARRAY['']
    FROM receipts_bench.names n
    WHERE n.name_norm OPERATOR(public.%) p_typed
    ORDER BY public.similarity(n.name_norm, p_typed) DESC
    LIMIT p_most
$$;
