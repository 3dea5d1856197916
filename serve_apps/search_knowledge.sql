-- name: list_stores
-- What every store is called.
SELECT store_id, name, aliases_norm FROM retail.stores ORDER BY store_id;

-- name: list_words
-- Every word of the catalogue with the number of products that hold it.
SELECT word, count(*) FROM retail.products, string_to_table(search_text, ' ') AS word GROUP BY word;
