"""A till needs little: what its modules import is what has to be installed in a store."""

import subprocess
import sys

MODULES = """
import sys
import ingest.pos.point_of_sale, ingest.till
print(*sorted({name.split(".")[0] for name in sys.modules}))
print(*sorted(name for name in sys.modules if name.split(".")[0] in {"ingest", "receipts"}))
"""
PLATFORM = {"psycopg", "polars", "deltalake", "pyarrow", "ray", "pydantic", "orjson", "numpy", "configs", "cluster"}


def test_the_till_imports_neither_the_platforms_libraries_nor_its_settings() -> None:
    ran = subprocess.run([sys.executable, "-c", MODULES], capture_output=True, text=True, check=True)
    libraries, ours = (set(line.split()) for line in ran.stdout.splitlines())
    assert libraries & PLATFORM == set()
    assert {"grpc", "httpx", "sqlite3"} <= libraries
    assert {name for name in ours if name.startswith("receipts.")} == {
        "receipts.errors",
        "receipts.card_numbers",
        "receipts.identity",
    }
    assert {name for name in ours if not name.startswith(("ingest.pos", "ingest.generated", "receipts"))} == {
        "ingest",
        "ingest.backoff",
        "ingest.till",
    }
