"""The load of a drill asks at its pace whatever happens, and tells exactly how each question ended."""

import asyncio
import json
import socket
from contextlib import asynccontextmanager

import pytest

from loadtest.drill.answers import Answer, Asker, End, History, Kind, Subject, interruption
from loadtest.drill.link import Link
from loadtest.drill.load import Load, Plan
from tests.fixtures.tcp_proxy import TcpProxy

ASK = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"
NUMBER = "0" * 31 + "1"
EAST = Asker("rep.east", frozenset({1}))
SUBJECTS = [
    Subject(Kind.RECEIPT, "1", frozenset({1})),
    Subject(Kind.HISTORY, "C1", frozenset({1})),
    Subject(Kind.CONTEXT, "C1", frozenset({1})),
]


def written(status: int, body: object, **headers: str) -> bytes:
    told = json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(told)}", *(f"{k}: {v}" for k, v in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + told


@asynccontextmanager
async def server(*answers: bytes | None):
    """Answer one question after the other on each connection; None hangs up instead, and b'' says nothing."""

    async def serve(reader, writer):
        for answer in answers:
            await reader.readuntil(b"\r\n\r\n")
            if answer is None:
                break
            writer.write(answer)
            if not answer:
                await reader.read()  # until the client has had enough
        writer.close()

    running = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with running:
        yield running.sockets[0].getsockname()[1]


async def test_an_answer_is_read_whole_and_its_connection_kept():
    async with server(written(200, {"a": 1}, **{"X-Request-Id": NUMBER}), written(404, [])) as port:
        link = Link("127.0.0.1", port)
        first, second = await link.ask(ASK, 5), await link.ask(ASK, 5)
        link.close()
    assert (first.end, first.status, first.headers["x-request-id"], first.body) == (
        End.ANSWERED, 200, NUMBER, b'{"a": 1}',
    )  # fmt: skip
    assert (second.end, second.status) == (End.ANSWERED, 404)


@pytest.mark.parametrize(
    ("answer", "end"),
    [
        (None, End.CUT),
        (b"", End.LATE),
        (b"HTTP/1.1 200 X\r\nContent-Le", End.CUT),
        (b"HTTP/1.1 200 X\r\n\r\n", End.CUT),  # without a length nobody knows where it ends
    ],
)
async def test_a_question_that_has_no_answer_ends_as_one(answer, end):
    async with server(answer) as port:
        link = Link("127.0.0.1", port)
        assert (await link.ask(ASK, 0.2)).end is end
        link.close()


async def test_a_connection_that_was_kept_and_ends_is_told_from_one_that_was_cut():
    async with server(written(200, {}), None) as port:
        link = Link("127.0.0.1", port)
        assert [(await link.ask(ASK, 5)).end for _ in range(3)] == [End.ANSWERED, End.HUNG_UP, End.ANSWERED]
        link.close()


async def test_nobody_there_is_told_as_that():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert (await Link("127.0.0.1", port).ask(ASK, 5)).end is End.REFUSED


@pytest.fixture
def replica():
    """A server that answers every receipt as ours, and as a proxy what else is asked, from a thread of its own."""
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
    from threading import Thread

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            name = self.path.rpartition("/")[2]
            is_receipt = self.path.startswith("/receipt/")
            body = json.dumps({"receipt": {"receipt_id": name}} if is_receipt else "no").encode()
            self.send_response(200 if is_receipt else 503)
            self.send_header("Content-Type", "application/json" if is_receipt else "text/plain")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("X-Request-Id", NUMBER)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = Thread(target=running.serve_forever)
        thread.start()
        yield running.server_address[1]
        running.shutdown()
        thread.join()


def test_the_load_tells_our_answers_from_a_proxys_and_goes_on_through_a_cut(replica):
    line = TcpProxy("127.0.0.1", replica)
    line.start()
    history = History()
    plan = Plan("127.0.0.1", line.port, [EAST], SUBJECTS, {"rep.east": "token"}, seed=1, rate=400, connections=4)
    with Load(plan, history):
        assert history.wait_for(Kind.RECEIPT, 20, 30)
        line.cut()
        cut = len(history.answers)
        while not any(one.end is End.REFUSED or one.end is End.CUT for one in history.answers[cut:]):
            assert history.wait_for(None, 0, 30)
        line.restore()
        assert history.wait_for(Kind.RECEIPT, 20, 30)
    line.close()
    good = [one for one in history.answers if one.is_good]
    assert {one.subject.kind for one in good} == {Kind.RECEIPT}
    assert {one.shown for one in good} == {("1",)}
    assert {one.how for one in history.answers if not one.is_good} >= {"503 of a proxy"}


def ended(at: float, end: End = End.ANSWERED, status: int = 200) -> Answer:
    return Answer(EAST, SUBJECTS[0], at - 0.1, at, end, status, NUMBER if end is End.ANSWERED else "")


def test_what_callers_noticed_of_a_fault_is_told():
    told = interruption(
        [ended(10.2), ended(10.4, End.CUT), ended(11, status=503), ended(12.5), ended(13.0, End.HUNG_UP), ended(13.1)],
        fault_at=10.0,
    )
    assert (told.good, dict(told.failures)) == (3, {"cut": 1, "503": 1, "hung up": 1})
    assert (told.silent_s, told.recovered_s) == (pytest.approx(2.3), pytest.approx(3.0))
    assert str(told) == (
        "3 good, failures: 1 503, 1 cut, 1 hung up; no answer for 2.3 s at most, the last failure 3.0 s after the fault"
    )
