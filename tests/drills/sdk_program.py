"""A till on the stock Zerobus SDK: `sdk_program.py TARGET FEED NOTED`, run in the SDK's own environment.

Ingests the lines of the file FEED in order until it is asked to end, and adds a line to the file NOTED for each that
was acknowledged. A stream that the SDK gives up, or that a kill ended, is followed by one from what is not noted.
"""

import contextlib
import signal
import sys
import threading
import time
from pathlib import Path

from zerobus.sdk.shared import HeadersProvider, TableProperties, ZerobusException
from zerobus.sdk.sync import ZerobusSdk

_TABLE = "retail.pos.receipts"
_PACE_S = 0.02  # between calls
_GROUP = 10  # receipts under way at once
_AGAIN_S = 0.2


class NoToken(HeadersProvider):
    """Headers of a till of a gateway that asks for no token."""

    def get_headers(self):
        return [("x-databricks-zerobus-table-name", _TABLE)]


def main(target, feed, noted):
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    receipts = Path(feed).read_text().splitlines()
    sdk = ZerobusSdk(f"http://{target}", f"http://{target}")
    with Path(noted).open("a+", buffering=1) as notes:
        while True:
            notes.seek(0)
            with contextlib.suppress(ZerobusException):
                stream = sdk.create_stream(table_properties=TableProperties(_TABLE), headers_provider=NoToken())
                send(stream, receipts[len(notes.readlines()) :], notes, stop)
                stream.close()
                return
            time.sleep(_AGAIN_S)


def send(stream, receipts, notes, stop):
    for first in range(0, len(receipts), _GROUP):
        group = receipts[first : first + _GROUP]
        offsets = [stream.ingest_record_offset(receipt) for receipt in group]
        stream.wait_for_offset(offsets[-1])
        notes.write("acknowledged\n" * len(group))
        if stop.wait(_PACE_S):  # not before: what a stream before it left without an ack is among the first ones
            return


if __name__ == "__main__":
    main(*sys.argv[1:])
