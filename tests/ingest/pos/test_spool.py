"""The spool: what is put is on the disk, in order, bounded, and its own."""

import sqlite3
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ingest.pos.spool import Spool, SpoolFull, read_depth
from ingest.pos.spool_file import FILE, SpoolInUse
from receipts.errors import Unavailable

MIB = 2**20


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def payloads(spool: Spool, after: int = 0) -> list[bytes]:
    return [payload for _, payload in spool.read(after, 1_000_000, 1_000_000_000)]


def reopened(spool: Spool, folder: Path) -> Spool:
    spool.close()
    return Spool(folder, MIB)


def test_what_is_put_is_read_in_order_after_the_spool_was_closed(folder: Path) -> None:
    spool = Spool(folder, MIB)
    spool.put([b"1", b"2"])
    spool.put([b"3"])
    spool.release(1)
    spool = reopened(spool, folder)
    assert payloads(spool) == [b"2", b"3"]
    assert (spool.released, spool.last) == (1, 3)
    spool.close()


def test_a_number_is_never_given_twice_even_when_the_spool_was_empty(folder: Path) -> None:
    spool = Spool(folder, MIB)
    spool.release(spool.put([b"1", b"2"]))
    spool = reopened(spool, folder)
    assert (spool.released, spool.last) == (2, 2)
    assert spool.put([b"3"]) == 3
    spool.close()


def test_a_put_is_synced_and_only_its_owner_may_read_it(folder: Path) -> None:
    spool = Spool(folder, MIB)
    spool.put([b"1"])
    assert spool._db.execute("PRAGMA synchronous").fetchone() == (2,)
    assert spool._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert {stat.S_IMODE(file.stat().st_mode) & 0o077 for file in folder.glob("spool.db*")} == {0}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    spool.close()


def test_a_read_ends_at_a_number_of_records_or_bytes_but_not_before_the_first(folder: Path) -> None:
    spool = Spool(folder, MIB)
    spool.put([b"x" * 100] * 5)
    assert [number for number, _ in spool.read(0, 2, 1_000)] == [1, 2]
    assert [number for number, _ in spool.read(2, 5, 250)] == [3, 4]
    assert [number for number, _ in spool.read(4, 5, 1)] == [5]
    spool.close()


def test_a_full_spool_says_how_many_wait_and_since_when_and_takes_more_after_a_release(folder: Path) -> None:
    spool = Spool(folder, 10_000)
    for _ in range(9):
        spool.put([b"x" * 1_000])
    with pytest.raises(SpoolFull, match=r"9 records wait \(9288 of 10000 bytes\), the oldest since 20..-..-.. .* UTC"):
        spool.put([b"x" * 500, b"x" * 500])
    assert spool.depth().records == 9
    spool.release(1)
    spool.put([b"x" * 500, b"x" * 500])
    assert spool.depth().records == 10
    spool.close()


def test_a_full_disk_is_a_full_spool(folder: Path) -> None:
    spool = Spool(folder, 100 * MIB)
    spool._db.execute("PRAGMA max_page_count = 20")
    with pytest.raises(SpoolFull, match=r"The disk of the spool .* is full; 0 records wait"):
        spool.put([b"x" * MIB])
    assert spool.put([b"1"]) == 1
    spool.close()


def test_the_file_stays_small_however_much_passes_through(folder: Path) -> None:
    spool = Spool(folder, 8 * MIB)
    for _ in range(30):
        last = spool.put([b"x" * 1_000] * 1_000)
        spool.release(last - 500)
    largest = sum(file.stat().st_size for file in folder.iterdir())
    spool.release(last)
    for _ in range(30):
        spool.release(spool.put([b"1"]))
    spool.close()
    assert largest < 16 * MIB
    assert (folder / FILE).stat().st_size < 2 * MIB


def test_a_second_process_is_told_who_has_the_spool(folder: Path) -> None:
    spool = Spool(folder, MIB)
    code = "import sys, pathlib; from ingest.pos.spool import Spool; Spool(pathlib.Path(sys.argv[1]), 1000)"
    second = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, check=False)
    assert "SpoolInUse" in second.stderr
    with pytest.raises(SpoolInUse, match=r"in use by process \d+: one process sends from it"):
        Spool(folder, MIB)
    spool.close()
    Spool(folder, MIB).close()


def test_its_depth_can_be_read_while_it_is_in_use_and_when_it_was_never_made(folder: Path) -> None:
    assert read_depth(folder).records == 0
    spool = Spool(folder, MIB)
    spool.put([b"123", b"4"])
    assert read_depth(folder) == spool.depth()
    spool.close()


def test_a_file_that_is_no_spool_is_set_aside_and_a_new_one_begun(folder: Path) -> None:
    folder.mkdir()
    (folder / FILE).write_bytes(b"nothing that SQLite knows " * 1_000)
    spool = Spool(folder, MIB)
    assert "was damaged (file is not a database). It was set aside as" in spool.damage
    assert spool.put([b"1"]) == 1
    (aside,) = folder.glob("damaged-*.db")
    assert aside.read_bytes().startswith(b"nothing")
    spool = reopened(spool, folder)
    assert spool.damage is None
    spool.close()


def test_what_can_be_read_of_a_damaged_spool_is_carried_over_in_order(folder: Path) -> None:
    spool = Spool(folder, MIB)
    spool.put([b"%06d" % n * 100 for n in range(1_000)])
    spool.close()
    with (folder / FILE).open("r+b") as file:
        file.seek(400_000)
        file.write(b"\xff" * 50_000)
    spool = Spool(folder, MIB)
    saved = payloads(spool)
    assert 100 < len(saved) < 1_000
    assert saved == [b"%06d" % n * 100 for n in range(len(saved))]
    assert f"{len(saved)} records could be read and were carried over" in spool.damage
    spool.close()


def test_a_disk_that_fails_is_said_in_a_sentence(folder: Path) -> None:
    spool = Spool(folder, MIB)
    spool._db.close()
    with pytest.raises(Unavailable, match=r"The spool .*spool\.db cannot be used"):
        spool.put([b"1"])
    spool._owning.close()


def test_another_programs_file_is_not_taken_for_a_spool_that_is_merely_locked(folder: Path) -> None:
    Spool(folder, MIB).close()
    other = sqlite3.connect(folder / FILE, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(Unavailable, match="database is locked"):
        Spool(folder, MIB)
    other.close()
    Spool(folder, MIB).close()


class AnySpool(RuleBasedStateMachine):
    """A spool against a list: whatever is put, released and reopened, nothing is lost, doubled or out of order."""

    def __init__(self) -> None:
        super().__init__()
        self.root = tempfile.TemporaryDirectory(prefix="spool-")
        self.spool = Spool(Path(self.root.name), 4_000)
        self.waiting: list[tuple[int, bytes]] = []
        self.last = 0

    @rule(records=st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=6))
    def put(self, records: list[bytes]) -> None:
        size = sum(len(payload) + 32 for _, payload in self.waiting) + sum(len(one) + 32 for one in records)
        if size > 4_000:
            with pytest.raises(SpoolFull):
                self.spool.put(records)
            return
        assert self.spool.put(records) == self.last + len(records)
        self.waiting += enumerate(records, self.last + 1)
        self.last += len(records)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        count = data.draw(st.integers(1, len(self.waiting)))
        self.spool.release(self.waiting[count - 1][0])
        del self.waiting[:count]

    @rule()
    def reopen(self) -> None:
        self.spool.close()
        self.spool = Spool(Path(self.root.name), 4_000)

    @invariant()
    def holds_what_waits(self) -> None:
        assert self.spool.read(0, 1_000, 1_000_000) == self.waiting
        assert self.spool.last == self.last
        assert self.spool.released == (self.waiting[0][0] - 1 if self.waiting else self.last)
        assert self.spool.depth().records == len(self.waiting)

    def teardown(self) -> None:
        self.spool.close()
        self.root.cleanup()


TestAnySpool = AnySpool.TestCase
TestAnySpool.settings = hypothesis_settings(max_examples=30, stateful_step_count=25)
