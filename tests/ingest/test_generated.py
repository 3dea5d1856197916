"""The committed generated code is what wire.proto gives."""

import subprocess
import sys
from pathlib import Path

import ingest.generated

_COMMITTED = Path(ingest.generated.__file__).parent


def test_generating_the_wire_code_again_gives_the_committed_files(tmp_path: Path) -> None:
    source = _COMMITTED.parent
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-Iingest/generated={source}", "ingest/generated/wire.proto"]
    command += [f"--{kind}_out={tmp_path}" for kind in ("python", "pyi", "grpc_python")]
    subprocess.run(command, check=True, capture_output=True)
    made = {path.name: path.read_text() for path in (tmp_path / "ingest/generated").iterdir()}
    kept = {path.name: path.read_text() for path in _COMMITTED.glob("wire_*.py*")}
    assert made == kept
