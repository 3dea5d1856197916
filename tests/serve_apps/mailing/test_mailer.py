"""What is due reaches a real mail server once, whatever the server says and whoever dies."""

import asyncio
import time
from email.utils import parseaddr

import psycopg
import pytest

from receipts.database import DatabaseRole, connect
from tests.fixtures.retail import make_receipt, store_rows
from tests.fixtures.smtp_server import mail_server
from tests.serve_apps.mailing.posting import RECEIPT, comes_true, ended, mailing, mailing_by, schedule


async def test_a_receipt_arrives_when_it_can_no_longer_be_taken_back(platform, sign_ins, server, owner):
    async with mailing(platform):
        began = time.monotonic()
        delivery = schedule(platform, sign_ins.principal("rep.east"), undo_s=0.5)
        (received,) = await server.arrived()
        assert 0.5 <= time.monotonic() - began < 4.0
        row = await ended(owner, delivery)
    assert (received.sender, received.recipients) == ("receipts@example.com", ["ann@example.com"])
    assert received.message["Message-ID"] == f"<{delivery}@example.com>"
    assert parseaddr(received.message["To"])[1] == "ann@example.com"
    assert (row["attempts"], row["detail"], row["sent_at"] >= row["send_at"]) == (1, None, True)


async def test_the_address_on_file_is_found_by_the_database_and_forgotten_once_mailed(
    platform, sign_ins, server, owner
):
    async with mailing(platform):
        delivery = schedule(platform, sign_ins.principal("rep.east"), None)
        (received,) = await server.arrived()
        row = await ended(owner, delivery)
    assert received.recipients == ["maria.kowalski@example.com"]
    assert row["email_masked"] == "m***@example.com"
    assert owner.execute("SELECT count(*) FROM mail.addresses").fetchone() == (0,)


async def test_what_was_taken_back_is_not_sent(platform, sign_ins, server, owner):
    principal = sign_ins.principal("rep.east")
    async with mailing(platform):
        undone = schedule(platform, principal, undo_s=0.3)
        with connect(platform, DatabaseRole.API) as api, api.transaction():
            api.execute("SELECT set_config('app.scope', %s, true)", (principal.scope_id,))
            api.execute("UPDATE mail.deliveries SET status = 'cancelled' WHERE delivery_id = %s", (undone,))
        await ended(owner, schedule(platform, principal, "bob@example.com", undo_s=0.6))
    assert [one.recipients for one in server.received] == [["bob@example.com"]]
    assert owner.execute("SELECT count(*) FROM mail.addresses").fetchone() == (0,)


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA"])
async def test_what_the_server_puts_off_is_sent_later(platform, sign_ins, server, owner, verb):
    server.answers[verb] = ["451 4.7.1 Greylisted <ann@example.com>", "450 4.2.2 Mailbox full"]
    async with mailing(platform) as metrics:
        delivery = schedule(platform, sign_ins.principal("rep.east"))
        await server.arrived()
        row = await ended(owner, delivery)
    assert (row["attempts"], row["detail"]) == (3, None)
    assert metrics.registry.get_sample_value("receipts_mail_put_off_total") == 2


async def test_while_a_delivery_waits_for_its_next_try_it_says_why_and_can_be_taken_back(
    platform, sign_ins, server, owner
):
    server.answers["RCPT"] = ["452 4.2.2 <ann@example.com> is over quota"]
    slow = mailing_by(platform, server, retry_s=600)
    async with mailing(slow):
        delivery = schedule(slow, sign_ins.principal("rep.east"))
        await server.until(lambda: server.asked.count("RCPT") == 1)
        row = await ended(owner, delivery, "scheduled")
    assert row["detail"] == "The mailbox is full (452 4.2.2)."
    assert 500 < (row["due_at"] - row["send_at"]).total_seconds() < 700


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("RCPT 550 5.1.1 <ann@example.com>: user unknown", "The mail server knows no such mailbox (550 5.1.1)."),
        ("MAIL 553 5.7.1 <receipts@example.com> not yours", "The mail server refuses our sender (553 5.7.1)."),
        ("DATA 554 no thanks, ann@example.com", "The mail server refuses the message (554)."),
    ],
)
async def test_what_the_server_refuses_for_good_is_given_up_with_a_reason_of_ours(
    platform, sign_ins, server, owner, said, told
):
    verb, _, answer = said.partition(" ")
    server.answers[verb] = [answer]
    async with mailing(platform) as metrics:
        delivery = schedule(platform, sign_ins.principal("rep.east"))
        row = await ended(owner, delivery, "failed")
        # The conversation goes on with the next.
        await ended(owner, schedule(platform, sign_ins.principal("rep.east"), "bob@example.com"))
    assert (row["detail"], row["attempts"], row["sent_at"]) == (told, 1, None)
    assert [one.recipients for one in server.received] == [["bob@example.com"]]
    assert metrics.registry.get_sample_value("receipts_mail_failed_total", {"reason": "refused"}) == 1
    assert owner.execute("SELECT count(*) FROM mail.addresses").fetchone() == (0,)


async def test_what_is_put_off_again_and_again_is_given_up(platform, sign_ins, server, owner):
    server.answers["RCPT"] = ["451 later"] * 9
    short = mailing_by(platform, server, retries=2)
    async with mailing(short):
        row = await ended(owner, schedule(short, sign_ins.principal("rep.east")), "failed")
    assert (row["attempts"], server.asked.count("RCPT")) == (3, 3)
    assert row["detail"] == "The mail server asks to try again later (451). It was tried 3 times."


async def test_a_connection_that_is_lost_in_the_middle_is_tried_again(platform, sign_ins, server, owner):
    server.answers["DATA"] = ["hang up"]
    async with mailing(platform):
        row = await ended(owner, schedule(platform, sign_ins.principal("rep.east")))
    assert (row["attempts"], len(server.received)) == (2, 1)


async def test_a_server_that_says_nothing_is_hung_up_on_and_holds_up_nothing_for_long(
    platform, sign_ins, server, owner
):
    server.taking.clear()
    hasty = mailing_by(platform, server, timeout_s=0.3, retry_s=600)
    async with mailing(hasty):
        delivery = schedule(hasty, sign_ins.principal("rep.east"))
        await server.until(lambda: "DATA" in server.asked)
        row = await ended(owner, delivery, "scheduled")
    assert row["detail"] == "The connection to the mail server was lost."


async def test_while_the_mail_server_is_away_nothing_is_claimed_and_all_is_sent_when_it_is_back(
    platform, sign_ins, server, owner
):
    away = mailing_by(platform, server, host="127.0.0.1", port=1)
    async with mailing(away) as metrics:
        deliveries = [schedule(away, sign_ins.principal("rep.east"), f"p{n}@example.com") for n in range(3)]
        await comes_true(lambda: metrics.registry.get_sample_value("receipts_mail_server_up") == 0)
        assert {row[0] for row in owner.execute("SELECT attempts FROM mail.deliveries").fetchall()} == {0}
    async with mailing(platform) as metrics:
        for delivery in deliveries:
            assert (await ended(owner, delivery))["attempts"] == 1
        assert metrics.registry.get_sample_value("receipts_mail_server_up") == 1
        assert metrics.registry.get_sample_value("receipts_mail_sent_seconds_count") == 3


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")  # it is on loopback
async def test_a_server_that_refuses_the_login_is_asked_more_and_more_seldom(settings, platform, sign_ins, owner):
    """Providers lock accounts that try a wrong password again and again."""
    with mail_server(password="geheim") as strict:
        wrong = mailing_by(settings, strict, username="shop", password="wrong", interval_s=0.05)
        async with mailing(wrong) as metrics:
            schedule(wrong, sign_ins.principal("rep.east"))
            await comes_true(lambda: metrics.registry.get_sample_value("receipts_mail_server_up") == 0)
            tried = strict.asked.count("AUTH")
            await asyncio.sleep(0.8)  # sixteen looks
            assert strict.asked.count("AUTH") == tried
            await comes_true(lambda: strict.asked.count("AUTH") == 2 * tried)
    assert owner.execute("SELECT status, attempts FROM mail.deliveries").fetchall() == [("scheduled", 0)]


async def test_two_mailers_send_each_delivery_once(platform, sign_ins, server, owner):
    principal = sign_ins.principal("rep.east")
    deliveries = [schedule(platform, principal, f"p{n}@example.com", undo_s=0.5) for n in range(20)]
    async with mailing(platform) as first, mailing(platform) as second:
        for delivery in deliveries:
            await ended(owner, delivery)
        sent = [one.registry.get_sample_value("receipts_mail_sent_seconds_count") for one in (first, second)]
    assert sum(sent) == 20
    assert sorted(one.recipients[0] for one in server.received) == sorted(f"p{n}@example.com" for n in range(20))


async def test_a_delivery_of_a_mailer_that_died_is_taken_over_when_its_lease_ends(platform, sign_ins, server, owner):
    delivery = schedule(platform, sign_ins.principal("rep.east"))
    owner.execute("UPDATE mail.deliveries SET status = 'sending', attempts = 1, due_at = now() + interval '0.5 s'")
    async with mailing(platform):
        row = await ended(owner, delivery)
    assert (row["attempts"], len(server.received)) == (2, 1)


async def test_a_mailer_that_comes_back_after_its_lease_changes_nothing(platform, sign_ins, server, owner):
    delivery = schedule(platform, sign_ins.principal("rep.east"))

    def overtake(point: str) -> None:
        if point == "claimed":
            owner.execute("UPDATE mail.deliveries SET status = 'sent', attempts = 2, sent_at = now()")

    async with mailing(platform, overtake):
        row = await ended(owner, delivery)
        await asyncio.sleep(0.2)  # for what must not happen
    assert (row["attempts"], server.received) == (2, [])


async def test_a_delivery_that_kills_every_mailer_is_given_up(platform, sign_ins, server, owner):
    few = mailing_by(platform, server, retries=1)
    delivery = schedule(few, sign_ins.principal("rep.east"))
    owner.execute("UPDATE mail.deliveries SET status = 'sending', attempts = 2, due_at = now()")
    async with mailing(few):
        row = await ended(owner, delivery, "failed")
    assert (row["detail"], server.received) == ("The mailer could not finish it.", [])


async def test_what_was_due_a_day_ago_is_not_sent_any_more(platform, sign_ins, server, owner):
    delivery = schedule(platform, sign_ins.principal("rep.east"))
    owner.execute("UPDATE mail.deliveries SET send_at = now() - interval '25 h', due_at = now() - interval '25 h'")
    async with mailing(platform):
        row = await ended(owner, delivery, "failed")
    assert (row["detail"], server.received) == ("It could not be sent within a day.", [])


async def test_deliveries_are_forgotten_after_the_days_that_are_set(platform, sign_ins, server, owner):
    principal = sign_ins.principal("rep.east")
    old, recent, waiting = (schedule(platform, principal, undo_s=60) for _ in range(3))
    owner.execute(
        "UPDATE mail.deliveries SET requested_at = now() - interval '401 days' WHERE delivery_id <> %s", [recent]
    )
    owner.execute("UPDATE mail.deliveries SET status = 'cancelled' WHERE delivery_id <> %s", [waiting])
    async with mailing(platform):
        there = "SELECT count(*) FROM mail.deliveries WHERE delivery_id = %s"
        await comes_true(lambda: owner.execute(there, [old]).fetchone() == (0,))
    kept = owner.execute("SELECT delivery_id FROM mail.deliveries").fetchall()
    assert {row[0] for row in kept} == {recent, waiting}


async def test_a_receipt_that_went_away_meanwhile_is_said_to_be_gone(platform, sign_ins, server, owner):
    delivery = schedule(platform, sign_ins.principal("rep.east"), undo_s=0.3)
    owner.execute("DELETE FROM retail.receipts")
    async with mailing(platform):
        row = await ended(owner, delivery, "failed")
    assert row["detail"] == "The receipt is not there any more."


async def test_what_postgres_could_not_be_told_is_told_when_it_is_back_and_not_sent_again(
    platform, sign_ins, server, owner
):
    def cut(point: str) -> None:
        if point == "taken":
            owner.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'receipts_mailer'")

    async with mailing(platform, cut) as metrics:
        row = await ended(owner, schedule(platform, sign_ins.principal("rep.east")))
        assert metrics.registry.get_sample_value("receipts_mail_postgres_up") == 1
    assert (row["attempts"], len(server.received)) == (1, 1)


async def test_what_waits_is_measured(platform, sign_ins, server, owner):
    server.answers["RCPT"] = ["451 later"]
    slow = mailing_by(platform, server, retry_s=600, interval_s=0.05)
    schedule(slow, sign_ins.principal("rep.east"))
    async with mailing(slow) as metrics:
        await comes_true(lambda: metrics.registry.get_sample_value("receipts_mail_oldest_seconds"))
        assert metrics.registry.get_sample_value("receipts_mail_waiting") == 1


async def test_no_log_line_tells_an_address(platform, sign_ins, server, owner, caplog):
    caplog.set_level("DEBUG")
    server.answers["RCPT"] = ["550 5.1.1 ann@example.com unknown"]
    async with mailing(platform):
        await ended(owner, schedule(platform, sign_ins.principal("rep.east")), "failed")
        await ended(owner, schedule(platform, sign_ins.principal("rep.east")))
    ours = [one.getMessage() for one in caplog.records if one.name.startswith("serve_apps")]
    assert ours
    assert [line for line in ours if "ann" in line or "@" in line] == []


async def test_the_mailer_reads_only_what_it_is_sending(platform, sign_ins):
    schedule(platform, sign_ins.principal("rep.east"), undo_s=60)
    store_rows(platform, receipts=[make_receipt(sequence_number=2)])
    with connect(platform, DatabaseRole.MAILER) as mailer:
        assert mailer.execute("SELECT address FROM mail.addresses").fetchall() == []
        assert mailer.execute("SELECT receipt_id FROM retail.receipts").fetchall() == []
        mailer.execute("UPDATE mail.deliveries SET status = 'sending'")
        assert mailer.execute("SELECT address FROM mail.addresses").fetchall() == [("ann@example.com",)]
        assert mailer.execute("SELECT receipt_id FROM retail.receipts").fetchall() == [(RECEIPT.receipt_id,)]
        for table in ("retail.customers", "retail.customer_contacts", "access.principals", "mail.digest_key"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), mailer.transaction():
                mailer.execute(f"SELECT * FROM {table}")
