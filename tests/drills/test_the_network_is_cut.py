"""The line between tills and gateway breaks in the middle of streams."""

from collections.abc import Iterator

import pytest

from tests.drills.conftest import STORES
from tests.drills.rig import Rig
from tests.fixtures.tcp_proxy import TcpProxy

# Ray Data warns of settings of its own when it makes its context.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.data.context")


@pytest.fixture
def line(rig: Rig) -> Iterator[TcpProxy]:
    """The network between the tills and the gateway."""
    proxy = TcpProxy("127.0.0.1", rig.settings.ingest.port)
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.close()


def test_streams_that_break_in_the_middle_lose_and_double_nothing(rig, line):
    rig.start(())
    rig.open_tills(STORES, line.port)
    for _ in range(8):
        rig.soon()
        line.drop()
    rig.soon()
    rig.conclude()
    assert all(till.broken for till in rig.tills)


def test_tills_without_a_line_catch_up_once_it_is_back(rig, line, outage_s):
    rig.start(())
    rig.open_tills(STORES, line.port)
    rig.soon()
    line.cut()
    rig.endure(outage_s)
    line.restore()
    rig.soon()
    line.freeze()
    rig.endure(outage_s / 4)
    line.cut()
    line.restore()
    rig.soon()
    rig.conclude()
