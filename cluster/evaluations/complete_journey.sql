-- DuckDB: the rules of docs/refinement.md over Complete Journey as it lies in its package.
-- In: raw.transactions, raw.products, and raw.shops with the rate of each shop's sales tax. Out: lines and refused.

-- Who is taxed is no part of the data: it is the simplified law of Pennsylvania that the import applies.
CREATE TABLE priced AS
SELECT
    t.*,
    p.product_category,
    coalesce(contains(p.product_type, 'GASOLINE'), false) AS petrol,
    (coalesce(p.department, '') IN (
        'DRUG GM', 'COSMETICS', 'FLORAL', 'GARDEN CENTER', 'SPIRITS', 'AUTOMOTIVE', 'PHOTO & VIDEO', 'TOYS',
        'ELECT &PLUMBING', 'GM MERCH EXP', 'RESTAURANT', 'SALAD BAR', 'CHEF SHOPPE'
    ) AND coalesce(p.product_category, '') NOT IN (
        'ADULT INCONTINENCE', 'ANALGESICS', 'ANTACIDS', 'APPAREL', 'BABY FOODS', 'CANDY - CHECKLANE', 'CANDY - PACKAGED',
        'COLD AND FLU', 'COUPON/MISC ITEMS', 'DIAPERS & DISPOSABLES', 'DIETARY AID PRODUCTS', 'EYE AND EAR CARE PRODUCTS',
        'FEMININE HYGIENE', 'FIRST AID PRODUCTS', 'FOOT CARE PRODUCTS', 'HOSIERY/SOCKS', 'INFANT FORMULA', 'LAXATIVES',
        'LONG DISTANCE CALLING CARDS', 'NEWSPAPER', 'ORAL HYGIENE PRODUCTS', 'PHARMACY', 'PREPAID WIRELESS&ACCESSORIES',
        'SINUS AND ALLERGY', 'SMOKING CESSATIONS', 'TICKETS', 'VITAMINS'
    )) OR coalesce(p.product_category, '') IN (
        'AIR CARE', 'BEERS/ALES', 'BIRD SEED', 'BLEACH', 'CAT FOOD', 'CAT LITTER', 'DISHWASH DETERGENTS', 'DOG FOODS',
        'DOMESTIC WINE', 'FACIAL TISS/DNR NAPKIN', 'FD WRAPS/BAGS/TRSH BG', 'HOUSEHOLD CLEANG NEEDS', 'IMPORTED WINE',
        'LAUNDRY ADDITIVES', 'LAUNDRY DETERGENTS', 'LIQUOR', 'MISC WINE', 'PAPER HOUSEWARES', 'PAPER TOWELS',
        'PARTY TRAYS', 'PET CARE SUPPLIES', 'PREPARED FOOD', 'SANDWICHES', 'SERVICE BEVERAGE', 'SOFT DRINKS', 'SUSHI'
    ) AS taxed,
    CAST(round(t.sales_value * 100) AS BIGINT) AS amount_cents,
    s.basis_points
FROM raw.transactions AS t
LEFT JOIN raw.products AS p USING (product_id)
JOIN raw.shops AS s USING (store_id);

-- The timestamp has no zone and is UTC; the day is that of the shops, which are in New York's zone.
CREATE TABLE lines AS
SELECT
    basket_id AS receipt,
    store_id,
    'C' || lpad(CAST(household_id AS VARCHAR), 7, '0') AS customer_id,
    'sale' AS receipt_type,
    CAST(transaction_timestamp AS TIMESTAMP) AT TIME ZONE 'UTC' AS purchased_at,
    CAST((CAST(transaction_timestamp AS TIMESTAMP) AT TIME ZONE 'UTC') AT TIME ZONE 'America/New_York' AS DATE)
        AS purchased_on,
    CAST(product_id AS VARCHAR) AS sku,
    trim(regexp_replace(coalesce(product_category, ''), '\s+', ' ', 'g')) AS category,
    -- Petrol above 100 is volume, in thousandths of a gallon; all else is pieces.
    CAST(CASE WHEN petrol AND quantity > 100 THEN quantity ELSE quantity * 1000 END AS BIGINT)
        AS quantity_thousandths,
    amount_cents,
    CAST(round((retail_disc + coupon_match_disc) * 100) AS BIGINT) AS discount_cents,
    CASE WHEN taxed THEN (amount_cents * basis_points + 5000) // 10000 ELSE 0 END AS tax_cents
FROM priced;

CREATE TABLE refused (receipt BIGINT, reason VARCHAR, lines BIGINT);
