"""Events recorded and sent beside the work, in a thread of its own: telling never fails a batch or slows it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from configs.settings import Settings
from data_jobs.events.log import record_events
from receipts.lake import lake_of
from receipts.logs import described

if TYPE_CHECKING:
    from data_jobs.events.delivery import Receiver

_LOG = logging.getLogger(__name__)


@contextmanager
def telling(settings: Settings) -> Generator[None]:
    """Tell every `pipeline.interval_s` of new commits until the block ends, and once more then."""
    stop = threading.Event()
    thread = threading.Thread(target=_tell_until, args=(settings, stop), name="events", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def tell(settings: Settings) -> None:
    """Record the events of new commits and send them on; what goes wrong is logged and tried again next time."""
    _Teller(settings).tell()


def _tell_until(settings: Settings, stop: threading.Event) -> None:
    teller = _Teller(settings)
    while not stop.wait(settings.pipeline.interval_s):
        teller.tell()
    teller.tell()


class _Teller:
    """Keeps the connection between passes, and says only once that the receiver is away."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._receiver: Receiver | None = None
        self._away = False

    def tell(self) -> None:
        lake = lake_of(self._settings)
        try:
            record_events(lake)
            if self._settings.lineage.transport != "none":
                self._deliver()
        except Exception as error:  # noqa: BLE001  whatever it is, the pipeline goes on; commits keep what is to be told
            if not self._away:
                _LOG.warning("Events could not be told and will be later: %s", described(error))
            self._away = True
        else:
            self._away = False

    def _deliver(self) -> None:
        from data_jobs.events.delivery import deliver, receiver_of  # noqa: PLC0415  takes a second, where it is wanted

        if self._receiver is None:
            self._receiver = receiver_of(self._settings.lineage)
        if self._receiver is not None:
            deliver(lake_of(self._settings), self._receiver, self._settings.lineage.namespace)
