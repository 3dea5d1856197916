"""How processes log: as real processes, because what they write to is their own standard error."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from configs.logs import LogSettings
from configs.settings import Settings
from receipts.log_files import LogFile, put_aside
from receipts.logs import described
from tests.fixtures.environment import environment_of

_LOGGING = """
import logging, sys
from configs.settings import load_settings
from receipts.logs import REQUEST, start_logs
start_logs(load_settings(), "tester")
log = logging.getLogger("serve_apps.tester")
"""


def run(settings: Settings, code: str, output: Path | None = None, expect: int = 0) -> list[str]:
    """Run a process that logs and return the lines it wrote."""
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", _LOGGING + code]
    if output is None:
        done = subprocess.run(
            command, cwd=root, env=environment_of(settings), capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode, done.stdout) == (expect, ""), done.stderr
        return done.stderr.splitlines()
    output.parent.mkdir(parents=True, exist_ok=True)
    with output.open("ab") as file:
        subprocess.run(
            command, cwd=root, env=environment_of(settings), stdout=file, stderr=file, check=True, timeout=60
        )
    return output.read_text().splitlines()


@pytest.fixture
def place(tmp_path) -> Settings:
    return Settings(state_dir=tmp_path)


def test_an_event_is_a_line_of_json_with_the_request_it_belongs_to(place):
    (line,) = run(place, "REQUEST.set('4f1a'); log.warning('%d rows of %s', 3, 'maria@example.com')")
    told = json.loads(line)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", told.pop("time"))
    assert told.pop("pid") > 1
    assert told == {
        "level": "WARNING",
        "process": "tester",
        "logger": "serve_apps.tester",
        "message": "3 rows of [removed]",
        "request_id": "4f1a",
    }


def test_the_level_and_the_form_are_settings(place):
    code = "log.debug('small'); log.info('usual'); REQUEST.set('4f1a'); log.error('two\\nlines')"
    quiet = place.model_copy(update={"log_level": "WARNING", "logs": LogSettings(format="text")})
    (line,) = run(quiet, code)
    assert line.endswith("Z ERROR tester serve_apps.tester: two lines request_id=4f1a") or " ERROR tester " in line
    assert [json.loads(line)["message"] for line in run(place, code)] == ["usual", "two\nlines"]


def test_of_an_exception_type_and_place_are_written_and_never_its_text(place):
    code = """
def find(name):
    raise ValueError(f"no such customer: {name}")
try:
    find("Maria")
except ValueError:
    log.exception("The search failed.")
"""
    (line,) = run(place, code)
    told = json.loads(line)
    assert (told["message"], told["error"]) == ("The search failed.", "ValueError")
    assert told["at"].startswith("find:")
    assert "Maria" not in line


@pytest.mark.parametrize(
    "where",
    [
        "raise RuntimeError('Maria')",
        "import threading; t = threading.Thread(target=fail); t.start(); t.join(); sys.exit(1)",
    ],
)
def test_what_nobody_caught_is_written_the_same_way(place, where):
    (line,) = run(place, f"def fail(): raise RuntimeError('Maria')\n{where}", expect=1)
    assert json.loads(line)["error"] == "RuntimeError"
    assert "Maria" not in line


def test_what_libraries_print_stands_between_the_lines(place):
    lines = run(place, "import warnings, os\nwarnings.warn('old')\nos.write(2, b'native\\n')\nlog.info('ours')")
    assert "native" in lines
    assert [json.loads(line)["logger"] for line in lines if line.startswith("{")] == [
        "py.warnings",
        "serve_apps.tester",
    ]


def test_a_file_that_several_processes_share_is_put_aside_and_loses_nothing(place):
    small = place.model_copy(update={"logs": LogSettings(most_bytes=65_536, kept=50)})
    code = """
import os
for child in range(3):
    if os.fork() == 0:
        break
for number in range(400):
    log.info("%d of %d %s", number, os.getpid(), "x" * 300)
    if number % 100 == 0:
        os.write(1, b"printed %d\\n" % number)  # in one piece, as print() does unless Python is told not to buffer
if child < 2 or os.getpid():
    try:
        while True: os.wait()
    except ChildProcessError:
        pass
"""
    output = place.state_dir / "log" / "tester.log"
    run(small, code, output)
    files = sorted(output.parent.glob("tester.log*"))
    assert len(files) > 3
    assert max(file.stat().st_size for file in files) < 65_536 + 4 * 1_000
    lines = [line for file in files for line in file.read_text().splitlines()]
    ours = [json.loads(line)["message"].split(" x")[0] for line in lines if line.startswith("{")]
    assert len(ours) == len(set(ours)) == 400 * len({one.split()[-1] for one in ours})
    assert len({one.split()[-1] for one in ours}) == 4
    assert sum(line.startswith("printed") for line in lines) == 4 * 4


def test_the_oldest_file_goes(tmp_path):
    settings = LogSettings(most_bytes=65_536, kept=2)
    path = tmp_path / "one.log"
    file = LogFile(path, settings)
    for number in range(10):
        file.write(b"%d" % number * 65_536 + b"\n")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["one.log", "one.log.1", "one.log.2"]
    assert [one.read_bytes()[:1] for one in (path, tmp_path / "one.log.1", tmp_path / "one.log.2")] == [
        b"9",
        b"8",
        b"7",
    ]


def test_a_small_file_stays(tmp_path):
    path = tmp_path / "one.log"
    put_aside(path, LogSettings())
    path.write_text("a line")
    put_aside(path, LogSettings())
    assert [one.name for one in tmp_path.iterdir()] == ["one.log"]


def test_an_error_is_described_by_what_cannot_quote_anybody(owner):
    assert described(ValueError("Maria")) == "ValueError"
    assert described(FileNotFoundError(2, "No such file", "/a")) == "FileNotFoundError: [Errno 2] No such file: '/a'"
    with pytest.raises(Exception) as caught:  # noqa: PT011 - which one is psycopg's affair
        owner.execute("SELECT 'Maria'::int")
    assert described(caught.value) == "InvalidTextRepresentation (22P02)"
