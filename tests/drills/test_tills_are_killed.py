"""Till programs are killed at random moments under load, and what was promised to them is there exactly once."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.drills.conftest import STORES
from tests.drills.killable_till import KillableTill
from tests.drills.rig import Rig

# Ray Data warns of settings of its own when it makes its context.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.data.context")

_KILLS = 4
_HERE = Path(__file__).parent


@pytest.fixture
def killable(rig: Rig) -> Iterator[Callable[..., KillableTill]]:
    """Make a till of the last two stores that runs a program."""
    made: list[KillableTill] = []

    def make(*program: object) -> KillableTill:
        made.append(KillableTill([str(part) for part in program], rig, STORES[2:]))
        return made[-1]

    yield make
    for till in made:
        till.end()


def _kill(till: KillableTill) -> None:
    for _ in range(_KILLS):
        till.serve()
        till.kill()
        till.start()
    till.serve()


def test_a_till_that_is_killed_loses_and_doubles_nothing_that_its_spool_took(rig, killable):
    till = killable(sys.executable, _HERE / "till_program.py", rig.settings.state_dir / "spool")
    rig.start(STORES[:2])
    till.start()
    _kill(till)
    rig.gateway.kill()
    till.serve()  # a spool needs no gateway
    till.kill()
    rig.gateway.start()
    till.start()
    till.serve()
    till.finish()
    rig.conclude()


def test_a_till_on_the_stock_sdk_that_is_killed_loses_and_doubles_nothing_acknowledged(rig, killable, sdk_python):
    till = killable(sdk_python, _HERE / "sdk_program.py")
    rig.start(STORES[:2])
    till.start()
    _kill(till)
    rig.gateway.kill()
    rig.gateway.start()
    till.serve()  # on the stream that the SDK has recovered
    with rig.without_postgres():
        till.serve()
    till.serve()
    till.finish()
    rig.conclude()
