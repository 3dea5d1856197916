-- What is due is claimed with a lease: of a mailer that died meanwhile another one takes it over when the lease ends. An
-- attempt's number is its claim's: a mailer that comes back late changes nothing any more.

-- name: listen
-- Hear of what is scheduled.
LISTEN mail;

-- name: claim_delivery
-- Take the first delivery that is due, for so many seconds.
UPDATE mail.deliveries
SET status = 'sending', attempts = attempts + 1, due_at = clock_timestamp() + make_interval(secs => %(lease_s)s)
WHERE delivery_id = (
    SELECT delivery_id FROM mail.deliveries
    WHERE status IN ('scheduled', 'sending') AND due_at <= now()
    ORDER BY due_at
    LIMIT 1
    FOR UPDATE SKIP LOCKED
)
RETURNING delivery_id, attempts;

-- name: find_letter
-- What a claimed delivery needs; the receipt is null when it is not there any more.
SELECT a.address, d.gift, d.send_at, r.document, s.document AS store_document
FROM mail.deliveries d
JOIN mail.addresses a ON a.delivery_id = d.delivery_id
LEFT JOIN retail.receipts r ON r.receipt_id = d.receipt_id
LEFT JOIN retail.stores s ON s.store_id = r.store_id
WHERE d.delivery_id = %(delivery_id)s;

-- name: record_sent
-- The mail server has it.
UPDATE mail.deliveries SET status = 'sent', sent_at = clock_timestamp(), detail = NULL
WHERE delivery_id = %(delivery_id)s AND status = 'sending' AND attempts = %(attempts)s;

-- name: record_failed
-- It is given up.
UPDATE mail.deliveries SET status = 'failed', detail = %(detail)s
WHERE delivery_id = %(delivery_id)s AND status = 'sending' AND attempts = %(attempts)s;

-- name: put_off
-- It is tried again in so many seconds, and can be taken back until then.
UPDATE mail.deliveries
SET status = 'scheduled', due_at = clock_timestamp() + make_interval(secs => %(pause_s)s), detail = %(detail)s
WHERE delivery_id = %(delivery_id)s AND status = 'sending' AND attempts = %(attempts)s;

-- name: give_up_late
-- Give up what was due so many seconds ago: nobody expects it any more.
UPDATE mail.deliveries SET status = 'failed', detail = %(detail)s
WHERE status IN ('scheduled', 'sending') AND due_at <= now() AND send_at < now() - make_interval(secs => %(patience_s)s);

-- name: forget_old
-- Forget deliveries that ended and are so many days old, some thousands at a time.
DELETE FROM mail.deliveries
WHERE delivery_id IN (
    SELECT delivery_id FROM mail.deliveries
    WHERE status IN ('sent', 'failed', 'cancelled') AND requested_at < now() - make_interval(days => %(days)s)
    ORDER BY requested_at
    LIMIT 5000
    FOR UPDATE SKIP LOCKED
);

-- name: measure
-- How many wait, for how long the first has been due, and in how many seconds the next one is (null without one).
SELECT
    count(*),
    coalesce(greatest(extract(epoch FROM now() - min(send_at)), 0), 0)::float8,
    extract(epoch FROM min(due_at) - now())::float8
FROM mail.deliveries
WHERE status IN ('scheduled', 'sending');
