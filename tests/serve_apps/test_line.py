"""One statement, asked again and again on a connection of its own, on a real Postgres."""

import asyncio
import time
from functools import partial

import psycopg
import pytest
from psycopg import AsyncConnection

from cluster.postgres import admin_dsn
from serve_apps.line import Line, open_line

PATIENCE_S = 10.0


@pytest.fixture
def connect(settings):
    return partial(AsyncConnection.connect, admin_dsn(settings), autocommit=True)


async def asked(line: Line, *parameters: bytes, within_s: float = PATIENCE_S):
    answered = asyncio.get_running_loop().create_future()
    line.ask(parameters, [0 for _ in parameters], within_s, answered.set_result)
    return await answered


async def test_the_same_statement_answers_each_question_with_its_own_rows(connect):
    line = await open_line(
        connect, "SELECT n::text, repeat(%s::text, 2) FROM generate_series(1, %s::int) n", PATIENCE_S
    )
    for number in (0, 1, 3):
        result = await asked(line, b"z\xc3\xb6", str(number).encode())
        rows = [(result.get_value(row, 0), result.get_value(row, 1)) for row in range(result.ntuples)]
        assert rows == [(str(n).encode(), "zözö".encode()) for n in range(1, number + 1)]
    await line.aclose()
    assert not line.is_open


async def test_a_question_larger_than_the_socket_takes_arrives_whole(connect):
    line = await open_line(connect, "SELECT %s::text", PATIENCE_S)
    much = b"a receipt and another; " * 1_000_000
    assert (await asked(line, much)).get_value(0, 0) == much
    await line.aclose()


async def test_an_error_of_the_statement_is_told_and_leaves_the_line_open(connect):
    line = await open_line(connect, "SELECT 1 / %s::int", PATIENCE_S)
    assert isinstance(await asked(line, b"0"), psycopg.errors.DivisionByZero)
    assert line.is_open
    assert (await asked(line, b"1")).ntuples == 1
    await line.aclose()


async def test_a_statement_that_cannot_be_prepared_is_told_and_leaves_no_connection(connect, owner):
    with pytest.raises(psycopg.errors.UndefinedTable):
        await open_line(connect, "SELECT 4711 FROM nowhere", PATIENCE_S)
    assert owner.execute("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%%4711 FROM nowhere'").fetchone() == (
        0,
    )


def terminate(owner: psycopg.Connection, statement: str) -> None:
    """End the connection that runs, or last ran, a statement."""
    find = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE query LIKE %s AND pid <> pg_backend_pid() AND datname = current_database()"
    )
    deadline = time.monotonic() + PATIENCE_S
    while not owner.execute(find, (f"%{statement}%",)).fetchall():
        assert time.monotonic() < deadline
        time.sleep(0.01)  # polls with a deadline


async def test_a_lost_connection_fails_the_question_and_closes_the_line(connect, owner):
    line = await open_line(connect, "SELECT pg_sleep(%s::float), 'of the line'", PATIENCE_S)
    question = asyncio.create_task(asked(line, b"60"))
    await asyncio.sleep(0)
    await asyncio.to_thread(terminate, owner, "of the line")
    assert isinstance(await question, psycopg.OperationalError)
    assert not line.is_open


async def test_a_connection_lost_between_questions_fails_the_next_one_or_is_noticed_before(connect, owner):
    line = await open_line(connect, "SELECT 'between'", PATIENCE_S)
    await asked(line)
    await asyncio.to_thread(terminate, owner, "between")
    for _ in range(100):
        await asyncio.sleep(0.01)
        if not line.is_open:
            return
    assert isinstance(await asked(line), psycopg.OperationalError)


async def test_a_question_without_an_answer_in_time_fails_and_closes_the_line(connect):
    line = await open_line(connect, "SELECT pg_sleep(%s::float)", PATIENCE_S)
    assert isinstance(await asked(line, b"60", within_s=0.1), TimeoutError)
    assert not line.is_open


async def test_a_warning_is_taken_for_a_failure(connect, owner):
    """As when a commit's wait for a standby is cut short: the server reports success, and a warning."""
    body = "BEGIN RAISE WARNING 'cut'; RETURN ''; END"
    owner.execute(f"CREATE FUNCTION warned() RETURNS text LANGUAGE plpgsql AS $${body}$$")
    line = await open_line(connect, "SELECT CASE WHEN %s::boolean THEN warned() END", PATIENCE_S)
    assert (await asked(line, b"false")).ntuples == 1
    outcome = await asked(line, b"true")
    assert isinstance(outcome, psycopg.OperationalError)
    assert "cut" in str(outcome)
    await line.aclose()
