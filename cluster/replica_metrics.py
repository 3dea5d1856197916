"""One address a node under which Prometheus finds the metrics of all replicas there, whichever come and go.

Each replica serves its own on a loopback port that it notes in a file, and holds that file's lock for as long as it
lives. The first one also serves `serve.metrics_port`, where it puts together what all of them say; when it ends,
another takes its place.
"""

from __future__ import annotations

import fcntl
import itertools
import json
import logging
import socket
import threading
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import IO, TYPE_CHECKING

from fastapi import FastAPI

from configs.settings import Settings
from receipts.errors import Unavailable
from receipts.metrics_server import LOOPBACK, serving, serving_metrics
from serve_apps.exposition import PREFIX, Whose, registry_of

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_log = logging.getLogger(__name__)
_POLL_S = 1.0  # how long stopping may take; a shorter one would only wake threads that have nothing to do
_AGAIN_S = 5.0  # a node is without its address for so long after the replica that served it has ended
_ANSWER_S = 1.0  # a replica that hangs must not keep Prometheus from hearing the others
_AT_ONCE = 8
_UP = f"{PREFIX}_up"
_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Teller:
    """A replica that lives on this node; without a port while it is starting."""

    whose: Whose
    port: int | None


@contextmanager
def telling(settings: Settings, application: str, app: FastAPI) -> Generator[None]:
    """Serve this process' metrics for the length of the block.

    A replica that cannot do that is logged, and answers its callers all the same.
    """
    stop = threading.Event()
    with ExitStack() as stack:
        try:
            slot, note = _take_slot(_folder(settings), application)
            stack.enter_context(note)
            registry = registry_of(app, Whose(application, slot))
            port = stack.enter_context(serving_metrics(registry, 0, poll_s=_POLL_S))
            note.write(json.dumps({"port": port}))
            note.flush()
            node = threading.Thread(target=_serve_node, args=(settings, stop), name="metrics of the node", daemon=True)
            node.start()
            stack.callback(node.join)
        except (OSError, Unavailable) as error:
            _log.warning("Prometheus cannot see this replica: %s", error)
        stack.callback(stop.set)
        yield


def list_tellers(settings: Settings) -> list[Teller]:
    """Return the replicas that live on this node, by application and slot."""
    told: list[Teller] = []
    for path in sorted(_folder(settings).glob("*.json")):
        application, _, slot = path.stem.rpartition("-")
        with path.open() as note:
            if _lock(note, fcntl.LOCK_SH):  # nobody holds it: what it says is of a replica that has ended
                continue
            text = note.read()
        port = json.loads(text)["port"] if text.endswith("}") else None
        told.append(Teller(Whose(application, int(slot)), port))
    return told


def node_text(settings: Settings) -> str:
    """Return what all replicas of this node say, and of each whether it answers."""
    tellers = list_tellers(settings)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        said = list(pool.map(_ask, tellers))
    ups = [
        f'{_UP}{{application="{one.whose.application}",slot="{one.whose.slot}"}} {float(text is not None)}\n'
        for one, text in zip(tellers, said, strict=True)
    ]
    head = f"# HELP {_UP} 1 while the replica answers a scrape.\n# TYPE {_UP} gauge\n"
    return head + "".join(ups) + put_together([text for text in said if text is not None])


def put_together(texts: Iterable[str]) -> str:
    """Return one exposition of several: each family's head once, and the samples of all below it."""
    families: dict[str, list[str]] = {}
    for text in texts:
        for block in text.split("# HELP ")[1:]:
            what, kind, samples = block.split("\n", 2)
            families.setdefault(f"# HELP {what}\n{kind}\n", []).append(samples)
    return "".join(head + "".join(samples) for head, samples in families.items())


def _folder(settings: Settings) -> Path:
    """Return where the replicas of this node leave their notes; nodes may share a state folder."""
    return settings.state_dir.resolve() / "run" / "serve-metrics" / socket.gethostname()


def _take_slot(folder: Path, application: str) -> tuple[int, IO[str]]:
    """Return the lowest number that no other replica of the application has here, and the note that keeps it."""
    folder.mkdir(parents=True, exist_ok=True)
    for slot in itertools.count():
        note = (folder / f"{application}-{slot}.json").open("a+")
        if _lock(note, fcntl.LOCK_EX):
            note.truncate(0)
            return slot, note
        note.close()
    raise AssertionError("numbers do not end")


def _lock(note: IO[str], how: int) -> bool:
    try:
        fcntl.flock(note, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _serve_node(settings: Settings, stop: threading.Event) -> None:
    """Serve the node's address as soon as no other replica does."""
    while not stop.is_set():
        try:
            with serving(_app(settings), settings.serve.metrics_port, settings.serve.metrics_host, _POLL_S):
                stop.wait()
        except Unavailable:  # another replica serves it, which may end at any time
            stop.wait(_AGAIN_S)


def _app(settings: Settings) -> WSGIApplication:
    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] != "/metrics":
            start_response("404 Not Found", [("Content-Length", "0")])
            return []
        body = node_text(settings).encode()
        start_response("200 OK", [("Content-Type", _CONTENT_TYPE), ("Content-Length", str(len(body)))])
        return [body]

    return app


def _ask(teller: Teller) -> str | None:
    """Return what a replica says, or none when it does not answer in time."""
    if teller.port is None:
        return None
    connection = HTTPConnection(LOOPBACK, teller.port, timeout=_ANSWER_S)
    try:
        connection.request("GET", "/metrics", headers={"Accept": "text/plain"})
        answer = connection.getresponse()
        return answer.read().decode() if answer.status == 200 else None
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()


def applications_up(tellers: Sequence[Teller]) -> dict[str, int]:
    """Return how many replicas of each application live."""
    names = [one.whose.application for one in tellers]
    return {name: names.count(name) for name in dict.fromkeys(names)}
