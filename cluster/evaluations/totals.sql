-- DuckDB: what Silver and Gold must hold, from the lines of a data set as its own script read them.
-- In: lines, a row per line item; refused, a row per receipt that was not accepted. Out: a table per table of ours.
CREATE SCHEMA expected;

CREATE TABLE expected.receipts AS
SELECT
    store_id,
    customer_id,
    receipt_type,
    purchased_at,
    purchased_on,
    count(*) AS item_count,
    CAST(sum(amount_cents) AS BIGINT) AS subtotal_cents,
    CAST(sum(discount_cents) AS BIGINT) AS discount_cents,
    CAST(sum(tax_cents) AS BIGINT) AS tax_cents,
    CAST(sum(amount_cents + tax_cents) AS BIGINT) AS total_cents
FROM lines
GROUP BY receipt, store_id, customer_id, receipt_type, purchased_at, purchased_on;

CREATE TABLE expected.receipt_lines AS
SELECT
    store_id, purchased_on, customer_id, receipt_type, sku, category, quantity_thousandths / 1000 AS quantity,
    amount_cents, discount_cents, tax_cents
FROM lines;

CREATE TABLE expected.quarantine AS
SELECT reason, lines
FROM refused;

CREATE TABLE expected.store_days AS
SELECT
    store_id,
    purchased_on AS day,
    count(*) AS rows,
    count(*) FILTER (receipt_type = 'sale') AS sales,
    count(*) FILTER (receipt_type = 'return') AS returns,
    0 AS voids,
    CAST(coalesce(sum(total_cents) FILTER (receipt_type = 'sale'), 0) AS BIGINT) AS sales_cents,
    CAST(coalesce(sum(total_cents) FILTER (receipt_type = 'return'), 0) AS BIGINT) AS returned_cents,
    CAST(sum(tax_cents) AS BIGINT) AS tax_cents,
    CAST(sum(discount_cents) AS BIGINT) AS discount_cents,
    CAST(sum(item_count) AS BIGINT) AS lines,
    count(customer_id) FILTER (receipt_type = 'sale') AS known_customers_sales
FROM expected.receipts
GROUP BY store_id, purchased_on;

CREATE TABLE expected.product_sales AS
SELECT
    sku,
    purchased_on AS day,
    count(*) AS rows,
    CAST(sum(quantity_thousandths) AS BIGINT) AS quantity_thousandths,
    CAST(coalesce(sum(amount_cents) FILTER (receipt_type = 'sale'), 0) AS BIGINT) AS sales_cents,
    CAST(coalesce(sum(amount_cents) FILTER (receipt_type = 'return'), 0) AS BIGINT) AS returned_cents,
    CAST(sum(discount_cents) AS BIGINT) AS discount_cents
FROM lines
GROUP BY sku, purchased_on;

CREATE TABLE expected.customer_profiles AS
SELECT
    customer_id,
    CAST(sum(total_cents) AS BIGINT) AS lifetime_spend_cents,
    count(*) FILTER (receipt_type = 'sale') AS visits,
    count(*) FILTER (receipt_type = 'return') AS returns,
    min(purchased_on) FILTER (receipt_type = 'sale') AS first_visit_on,
    max(purchased_on) FILTER (receipt_type = 'sale') AS last_visit_on,
    max(purchased_at) FILTER (receipt_type = 'sale') AS last_visit_at
FROM expected.receipts
WHERE customer_id IS NOT NULL
GROUP BY customer_id;

CREATE TABLE expected.spending_insights AS
SELECT
    customer_id,
    category,
    CAST(date_trunc('month', purchased_on) AS DATE) AS month,
    count(*) AS rows,
    CAST(sum(amount_cents) AS BIGINT) AS spend_cents,
    CAST(sum(discount_cents) AS BIGINT) AS discount_cents
FROM lines
WHERE customer_id IS NOT NULL
GROUP BY ALL;
