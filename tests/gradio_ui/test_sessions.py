from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from configs.settings import Settings
from gradio_ui.sessions import Session, begin_sign_in, end_session, find_session, record_session, take_sign_in
from receipts.access import Permission, Role
from receipts.database import DatabaseRole, connect, open_pool

TOKEN = "header.claims.signature"


@pytest.fixture
async def pool(settings: Settings):
    async with open_pool(settings, DatabaseRole.PORTAL) as opened:
        yield opened


def session(**overrides) -> Session:
    fields = {
        "principal_id": "rep.east",
        "role": Role.CS_REP,
        "display_name": "Renee East",
        "access_token": TOKEN,
        "expires_at": datetime.now(UTC) + timedelta(hours=1),
    }
    return Session(**{**fields, **overrides})


async def test_a_cookie_finds_its_session(pool):
    kept = session()
    assert await find_session(pool, await record_session(pool, kept)) == kept


@pytest.mark.parametrize("cookie", ["", "unknown", "x" * 5000, "\x00"])
async def test_a_cookie_that_we_did_not_give_finds_nothing(pool, cookie: str):
    assert await find_session(pool, cookie) is None


async def test_a_session_ends_with_its_token(pool):
    cookie = await record_session(pool, session(expires_at=datetime.now(UTC) - timedelta(seconds=1)))
    assert await find_session(pool, cookie) is None


async def test_signing_out_ends_this_session_only(pool):
    mine, other = await record_session(pool, session()), await record_session(pool, session())
    await end_session(pool, mine)
    assert await find_session(pool, mine) is None
    assert await find_session(pool, other) is not None


async def test_a_copy_of_the_table_signs_nobody_in_and_yields_no_token(pool, owner: psycopg.Connection):
    cookie = await record_session(pool, session())
    row = str(owner.execute("SELECT s, encode(sealed_tokens, 'escape') FROM portal.sessions s").fetchone())
    assert cookie not in row
    assert TOKEN not in row


async def test_a_session_that_was_moved_to_another_cookie_does_not_open(pool, owner: psycopg.Connection):
    await record_session(pool, session(principal_id="admin", role=Role.ADMIN))
    cookie = await record_session(pool, session())
    owner.execute(
        "UPDATE portal.sessions SET sealed_tokens = (SELECT sealed_tokens FROM portal.sessions WHERE role = 'admin') "
        "WHERE role = 'cs_rep'"
    )
    assert await find_session(pool, cookie) is None


async def test_a_sign_in_comes_back_once(pool):
    cookie = await begin_sign_in(pool, "/rep/?receipt=1", {"state": "s", "verifier": "v"})
    assert await take_sign_in(pool, cookie) == ("/rep/?receipt=1", {"state": "s", "verifier": "v"})
    assert await take_sign_in(pool, cookie) is None


async def test_a_sign_in_does_not_come_back_after_its_time(pool, owner: psycopg.Connection):
    cookie = await begin_sign_in(pool, "/", {})
    owner.execute("UPDATE portal.sign_ins SET expires_at = now() - interval '1 second'")
    assert await take_sign_in(pool, cookie) is None


async def test_what_has_ended_is_forgotten_when_the_next_comes(pool, owner: psycopg.Connection):
    await record_session(pool, session(expires_at=datetime.now(UTC) - timedelta(days=1)))
    await record_session(pool, session())
    assert owner.execute("SELECT count(*) FROM portal.sessions").fetchone() == (1,)


def test_the_portal_reads_nothing_but_its_own_sessions(settings: Settings):
    with connect(settings, DatabaseRole.PORTAL) as connection:
        for table in ["retail.receipts", "retail.customers", "audit.events", "access.principals"]:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"SELECT * FROM {table}")
            connection.rollback()


def test_what_a_role_may_follows_the_one_table():
    assert session().may(Permission.SEARCH_RECEIPTS)
    assert not session(role=Role.ADMIN).may(Permission.SEARCH_RECEIPTS)
