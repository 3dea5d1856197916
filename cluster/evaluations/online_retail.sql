-- DuckDB: the rules of docs/refinement.md over the rows of Online Retail as they lie in the file.
-- In: raw.rows, a row per line item, `position` as in the file. Out: lines and refused, as totals.sql reads them.

-- An invoice is known by its digits and its day, a run of rows without another's between them is one receipt, and
-- only the first run of an invoice is accepted.
CREATE TABLE runs AS
WITH keyed AS (
    SELECT *, regexp_extract(InvoiceNo, '^C?(\d{6})$', 1) AS number, CAST(InvoiceDate AS DATE) AS day
    FROM raw.rows
), begun AS (
    SELECT *, (number, day) IS DISTINCT FROM lag((number, day)) OVER (ORDER BY position) AS begins
    FROM keyed
)
SELECT *, sum(CAST(begins AS INTEGER)) OVER (ORDER BY position) AS run
FROM begun;

CREATE TABLE judged AS
WITH described AS (
    SELECT
        *,
        min(run) OVER (PARTITION BY number, day) AS first_run,
        bool_and(starts_with(InvoiceNo, 'A')) OVER (PARTITION BY run) AS bad_debt,
        bool_and(UnitPrice = 0 AND CustomerID IS NULL AND NOT starts_with(InvoiceNo, 'C'))
            OVER (PARTITION BY run) AS stock,
        -- Two times within an invoice: the first row's.
        first_value(CAST(InvoiceDate AS TIMESTAMP)) OVER (PARTITION BY run ORDER BY position) AS printed
    FROM runs
)
SELECT
    *,
    CASE
        WHEN run <> first_run THEN 'The rows of this receipt do not stand together; sort the file by receipt.'
        WHEN bad_debt THEN 'A bad debt was written off; no goods were sold.'
        WHEN stock THEN 'Stock was counted or written off; nobody bought it.'
    END AS reason
FROM described;

CREATE TABLE lines AS
SELECT
    run AS receipt,
    901 AS store_id,
    CAST(CAST(CustomerID AS BIGINT) AS VARCHAR) AS customer_id,
    CASE WHEN starts_with(InvoiceNo, 'C') THEN 'return' ELSE 'sale' END AS receipt_type,
    printed AT TIME ZONE 'Europe/London' AS purchased_at,
    CAST(printed AS DATE) AS purchased_on,
    CASE trim(StockCode) WHEN 'BANK CHARGES' THEN 'BANK-CHARGES' ELSE trim(StockCode) END AS sku,
    '' AS category,
    CAST(Quantity * 1000 AS BIGINT) AS quantity_thousandths,
    -- Prices have at most three decimals; in decimals half a penny is exactly that, and goes away from zero.
    CAST(round(CAST(UnitPrice AS DECIMAL(12, 3)) * CAST(Quantity AS BIGINT) * 100) AS BIGINT) AS amount_cents,
    0 AS discount_cents,
    0 AS tax_cents
FROM judged
WHERE reason IS NULL;

CREATE TABLE refused AS
SELECT run AS receipt, reason, count(*) AS lines
FROM judged
WHERE reason IS NOT NULL
GROUP BY ALL;
