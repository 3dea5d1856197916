"""A till's program over a spool: `till_program.py SPOOL TARGET FEED NOTED`.

Hands the lines of the file FEED over one after another until it is asked to end, and adds a line to the file NOTED for
each that the spool took. Started again it hands over what it has not noted: the spool may have taken that already.
"""

import signal
import sys
import threading
from pathlib import Path

from ingest.pos.point_of_sale import PointOfSale
from ingest.pos.session import Line

_PACE_S = 0.005  # between receipts
_PATIENCE_S = 120.0


def main(spool: str, target: str, feed: str, noted: str) -> None:
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    receipts = Path(feed).read_text().splitlines()
    line = Line(target, "retail.pos.receipts")
    with Path(noted).open("a+", buffering=1) as notes, PointOfSale(line, Path(spool)) as till:
        notes.seek(0)
        for receipt in receipts[len(notes.readlines()) :]:
            if stop.wait(_PACE_S):
                break
            till.put(receipt)
            notes.write("taken\n")
        stop.wait()
        till.flush(_PATIENCE_S)


if __name__ == "__main__":
    main(*sys.argv[1:])
