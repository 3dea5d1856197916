"""An auditor's own check, as docs/audit.md prints it: DuckDB, the files and the public key, and no line of ours."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from cluster.credentials import add_anchor_key
from tests.data_jobs.trail.conftest import Trail
from tests.data_jobs.trail.writing import TODAY, copy, forge_chain, rewrite, write_chain

_DOCUMENT = Path(__file__).parents[3] / "docs" / "audit.md"


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """The program that the document prints."""
    (code,) = re.findall(r"```python\n(.*?)```", _DOCUMENT.read_text(), re.DOTALL)
    file = tmp_path / "check.py"
    file.write_text(code)
    return file


def check(program: Path, trail: Trail) -> subprocess.CompletedProcess[str]:
    """Run it with the first public key."""
    (key, *_) = sorted((trail.settings.state_dir / "keys").glob("audit-anchor-*.pub"))
    command = [sys.executable, "-I", program, trail.lake.root, key, trail.place]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, cwd=program.parent)


def test_a_trail_that_nobody_touched_is_whole_across_a_change_of_keys(trail: Trail, program: Path) -> None:
    add_anchor_key(trail.settings)
    for number in (7, 8):
        write_chain(trail.owner, TODAY, number, 1)
        copy(trail.settings)
    ended = check(program, trail)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("16 groups are whole; 5 anchors, the last at ")


def test_a_chain_that_was_rewritten_is_found(trail: Trail, program: Path) -> None:
    forge_chain(trail.owner, trail.lake, trail.chains["new"])
    ended = check(program, trail)
    assert (ended.returncode, ended.stdout) == (1, f"anchor 2: group 5 of chain {trail.chains['new']}\n")


def test_a_group_that_was_taken_out_is_found(trail: Trail, program: Path) -> None:
    rewrite(trail.lake, "audit.groups", lambda rows: rows.filter(rows["position"] != 9))
    ended = check(program, trail)
    assert (ended.returncode, ended.stdout) == (1, f"group 3 of chain {trail.chains['new']}\n")


def test_an_anchor_that_was_changed_is_found(trail: Trail, program: Path) -> None:
    rewrite(
        trail.lake, "audit.anchors", lambda rows: rows.with_columns(body=rows["body"].str.replace("heads", "Heads"))
    )
    ended = check(program, trail)
    assert ended.returncode == 1
    assert "InvalidSignature" in ended.stderr
