import asyncio

from loadtest.bench.http_driver import drive, get_request

STALL_S, RATE, SECONDS, CONNECTIONS = 1.0, 100.0, 2.0, 4
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"


async def pressed(stalled_from: int, rate: float | None, answers: bytes = ANSWER):
    """Drive a server that answers at once, but for one pause that begins with a given request."""
    asked = 0
    free = asyncio.Event()
    free.set()

    async def answer(reader, writer):
        nonlocal asked
        while await reader.readuntil(b"\r\n\r\n"):
            asked += 1
            if asked == stalled_from:
                free.clear()
                asyncio.get_running_loop().call_later(STALL_S, free.set)
            await free.wait()
            writer.write(answers)

    async def serve(reader, writer):
        try:
            await answer(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        address = server.sockets[0].getsockname()[:2]
        return await drive([address], [get_request("127.0.0.1", "/")], CONNECTIONS, SECONDS, rate)


async def test_a_stall_is_charged_to_every_request_that_was_due_meanwhile():
    outcome = await pressed(stalled_from=50, rate=RATE)
    late = [ms for ms in outcome.latencies_ms if ms > 500 * STALL_S]
    assert outcome.failed == 0
    assert len(late) >= 0.4 * STALL_S * RATE, "half of those that were due in the pause waited for half of it or more"
    assert outcome.percentile_ms(0.95) > 500 * STALL_S


async def test_what_was_due_is_sent_although_the_server_stalls_to_the_end():
    outcome = await pressed(stalled_from=150, rate=RATE)
    assert outcome.answered == RATE * SECONDS


async def test_without_a_rate_a_stall_hides_behind_the_connections_that_wait():
    outcome = await pressed(stalled_from=50, rate=None)
    late = [ms for ms in outcome.latencies_ms if ms > 500 * STALL_S]
    assert CONNECTIONS <= len(late) < 0.4 * STALL_S * RATE, "only those that were under way"


async def test_what_failed_is_counted_by_its_status_and_what_it_says():
    refusal = b'HTTP/1.1 503 Service Unavailable\r\ncontent-length: 15\r\n\r\n{"detail": "x"}'
    outcome = await pressed(stalled_from=10_000, rate=RATE, answers=refusal)
    assert (outcome.answered, outcome.failed) == (0, RATE * SECONDS)
    assert outcome.failures == {'503 {"detail": "x"}': RATE * SECONDS}
