-- name: list_stores
-- What every store is called.
SELECT store_id, name, aliases_norm FROM retail.stores ORDER BY store_id;

-- name: list_words
-- Every word of the catalogue with the number of products called by it; words of their kinds count as none.
SELECT word, sum(named)::bigint
FROM (
    SELECT word, 1 AS named
    FROM retail.products, string_to_table(split_part(search_text, ' | ', 1), ' ') AS word
    UNION ALL
    SELECT word, 0
    FROM (SELECT DISTINCT split_part(search_text, ' | ', 2) FROM retail.products) AS kinds (kind),
        string_to_table(kind, ' ') AS word
) AS told
GROUP BY word;
