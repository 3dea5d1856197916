-- name: lease
-- Takes tokens for many keys at once; the last row tells how many processes share the limits.
SELECT key_given, tokens, wait_ns, holders
FROM limits.lease(
    %(holder)s, %(keys)s::bytea[], %(wanted)s::integer[], %(intervals_ns)s::bigint[], %(bursts)s::integer[]
);

-- name: count_customers
-- Counts those of some customers that a principal has not seen within the hour, if the cap allows all of them.
SELECT fits, seconds FROM limits.count_customers(%(principal)s, %(customers)s::bytea[], %(cap)s);
