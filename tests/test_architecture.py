"""The rules of the house that no linter knows."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from itertools import count
from pathlib import Path

import psycopg
import pytest

from receipts.sql import load_sql

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
# Written by protoc, not by us.
GENERATED = ROOT / "ingest" / "generated"
# Locust patches the standard library when it is imported, so only Locust's own process may load this file.
LOCUSTFILE = "loadtest.locustfile"
# Who may read or change the process environment, and why.
ENVIRONMENT_READERS = {
    "configs/settings.py": "settings are read here, once",
    "cluster/ray_node.py": "Ray and Serve take their settings from the environment of the node's process only",
    "cluster/processes.py": "a child inherits the environment it is started from",
}
MAX_MODULE_LINES = 300
MAX_FUNCTION_LINES = 40
HEAVY = {"torch", "gradio", "ray", "locust", "sentence_transformers", "polars", "deltalake", "fastapi", "grpc"}
REASONED = re.compile(
    r"#\s*(?:noqa: [A-Z0-9, ]+[A-Z0-9]|type: ignore\[[^\]]+\]|pyright: ignore\[[^\]]+\])[\s\-#–:]+\w.{3,}"
)
SUPPRESSED = re.compile(r"#\s*(?:noqa|type:\s*ignore|pyright:\s*ignore)")
PLACEHOLDER = re.compile(r"%(?:\((?P<name>\w+)\))?[sbt]|%%")
UNPLANNABLE = (
    "CREATE",
    "ALTER",
    "GRANT",
    "REVOKE",
    "SET",
    "DROP",
    "VACUUM",
    "ANALYZE",
    "COMMENT",
    "DO",
)
# Brings or clears rows, or waits for news, which the server does not plan; it leaves the schema alone.
BULK = ("COPY", "TRUNCATE", "LISTEN")


def sources() -> list[Path]:
    return [p for package in PACKAGES for p in sorted((ROOT / package).rglob("*.py")) if GENERATED not in p.parents]


def files_of_tests() -> list[Path]:
    return sorted((ROOT / "tests").rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def tree_of(path: Path) -> ast.Module:
    text = path.read_text(encoding="utf-8")
    try:
        return ast.parse(text, str(path))
    except SystemError:  # CPython 3.11 counts its depth for all threads together: another one parsed meanwhile
        return ast.parse(text, str(path))


def module_of(path: Path) -> str:
    return name_of(path).removesuffix(".py").replace("/", ".").removesuffix(".__init__")


def nodes(path: Path, kind: type[ast.AST]) -> Iterator[ast.AST]:
    return (node for node in ast.walk(tree_of(path)) if isinstance(node, kind))


def run_python(code: str, cwd: Path) -> str:
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=False, timeout=300
    )
    assert ended.returncode == 0, ended.stderr[-3_000:]
    return ended.stdout


# Folders -------------------------------------------------------------------------------------------------------


def test_every_package_is_shipped_layered_and_type_checked():
    folders = {p.parent.name for p in ROOT.glob("*/__init__.py")} - {"tests"}
    assert set(PACKAGES) == folders
    assert set(PROJECT["tool"]["importlinter"]["root_packages"]) == folders
    assert set(PROJECT["tool"]["basedpyright"]["include"]) == folders


def test_imports_fall_and_never_climb():
    linter = Path(sys.executable).with_name("lint-imports")
    ended = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout[-3_000:]


def test_every_folder_of_tests_mirrors_a_folder_of_sources():
    folders = {p.parent.relative_to(ROOT / "tests").as_posix() for p in files_of_tests()} - {"."}
    own = {"drills", "fixtures", "interop", "journeys"}
    assert [f for f in sorted(folders) if f.split("/")[0] not in own and not (ROOT / f).is_dir()] == []


def test_every_test_stands_in_a_file_that_pytest_collects():
    lost = [
        f"{name_of(path)}: {node.name}"
        for path in files_of_tests()
        if not path.name.startswith("test_")
        for node in nodes(path, ast.FunctionDef)
        if node.name.startswith("test_")
    ]
    assert lost == []


# Habits --------------------------------------------------------------------------------------------------------


def test_no_module_is_longer_than_two_screens_of_scrolling():
    lengths = {name_of(p): len(p.read_text().splitlines()) for p in sources()}
    assert {name: lines for name, lines in lengths.items() if lines > MAX_MODULE_LINES} == {}


def test_every_function_fits_on_a_screen():
    long = [
        f"{name_of(path)}:{node.lineno} {node.name} has {length} lines"
        for path in sources()
        for kind in (ast.FunctionDef, ast.AsyncFunctionDef)
        for node in nodes(path, kind)
        if (length := node.end_lineno - node.lineno + 1) > MAX_FUNCTION_LINES
    ]
    assert long == []


def test_every_suppressed_warning_says_why_on_its_line():
    silent = [
        f"{name_of(path)}:{number}: {line.strip()}"
        for path in (*sources(), *files_of_tests())
        if path != Path(__file__)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if SUPPRESSED.search(line) and not REASONED.search(line)
    ]
    assert silent == []


def test_the_environment_is_read_at_the_door_only():
    allowed = {ROOT / name for name in ENVIRONMENT_READERS}
    strays = [
        f"{name_of(path)}:{node.lineno}"
        for path in sources()
        if path not in allowed and ROOT / "cluster" / "commands" not in path.parents
        for node in nodes(path, ast.Attribute)
        if isinstance(node.value, ast.Name) and node.value.id == "os" and node.attr in {"environ", "getenv", "putenv"}
    ]
    assert strays == []


def test_only_commands_print():
    strays = [
        f"{name_of(path)}:{node.lineno}"
        for path in sources()
        if ROOT / "cluster" / "commands" not in path.parents
        for node in nodes(path, ast.Call)
        if isinstance(node.func, ast.Name) and node.func.id in {"print", "breakpoint", "input"}
    ]
    assert strays == []


def test_no_test_is_skipped_and_nothing_of_ours_is_mocked():
    banned = re.compile(r"mark\.skip|mark\.xfail|pytest\.skip|importorskip|unittest|\bmocker\b|\bMock\(")
    strays = [
        f"{name_of(path)}:{number}"
        for path in files_of_tests()
        if path != Path(__file__)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if banned.search(line)
    ]
    assert strays == []


# Importing does nothing ----------------------------------------------------------------------------------------

IMPORT_EVERYTHING = """
import importlib, os, sys, threading
WATCHED = {"socket.connect", "socket.bind", "socket.sendto", "subprocess.Popen", "os.fork", "os.mkdir", "os.remove"}
did = []

def watch(event, details):
    if event in WATCHED:
        frame = sys._getframe(1)
        # What a library does while it is itself being imported is its affair.
        while frame and not frame.f_code.co_filename.startswith(("<frozen importlib", *%(root)r)):
            frame = frame.f_back
        if frame and frame.f_code.co_filename.startswith(%(root)r):
            did.append(f"{event}{details} in {frame.f_code.co_filename}:{frame.f_lineno}")

sys.addaudithook(watch)
before = set(os.listdir("."))
for module in %(modules)r:
    importlib.import_module(module)
    assert not did, did
    running = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    assert not running, f"importing {module} started the threads {running}"
assert set(os.listdir(".")) == before, os.listdir(".")
assert not sys.modules["ray"].is_initialized()
"""
HELP = """
import sys
from cluster.commands import main
sys.argv = ["receipts", "--help"]
try:
    main()
except SystemExit as ended:
    assert not ended.code
print("LOADED", *(name for name in sys.modules if "." not in name))
"""


def test_importing_any_module_does_nothing(tmp_path):
    modules = [m for m in map(module_of, sources()) if m != LOCUSTFILE and not m.endswith("__main__")]
    run_python(IMPORT_EVERYTHING % {"modules": modules, "root": tuple(f"{ROOT / p}/" for p in PACKAGES)}, tmp_path)


def test_help_loads_no_heavy_library(tmp_path):
    shown = run_python(HELP, tmp_path)
    assert "lookup" in shown
    loaded = set(shown.splitlines()[-1].split()[1:])
    assert loaded & HEAVY == set()


# SQL -----------------------------------------------------------------------------------------------------------


def sql_files() -> list[Path]:
    return [p for package in PACKAGES for p in sorted((ROOT / package).rglob("*.sql")) if "-- name:" in p.read_text()]


def loads(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the (package, name) of each .sql file a module loads."""
    for node in nodes(path, ast.Call):
        if isinstance(node.func, ast.Name) and node.func.id == "load_sql":
            package, name = (ast.literal_eval(argument) for argument in node.args)
            yield package, name


def names_block(path: Path, block: str) -> bool:
    """Say whether a module has the block's name among its strings, whole or as an f-string that can make it."""
    if any(node.value == block for node in nodes(path, ast.Constant)):
        return True
    for node in nodes(path, ast.JoinedStr):
        parts = [re.escape(str(part.value)) if isinstance(part, ast.Constant) else r"\w+" for part in node.values]
        if re.search("[a-z]{4}", "".join(parts)) and re.fullmatch("".join(parts), block):
            return True
    return False


BLOCKS = {
    f"{name_of(path)}:{block}": statement.split("*/ ", 1)[1]
    for path in sql_files()
    for block, statement in load_sql(module_of(path.parent), path.stem).items()
}


def test_every_sql_file_is_loaded_by_the_module_beside_it():
    loaded = {(package, name): path for path in sources() for package, name in loads(path)}
    assert {(module_of(path.parent), path.stem) for path in sql_files()} == set(loaded)
    assert [f"{n} in {p}" for (p, n), path in loaded.items() if module_of(path.parent) != p] == []


@pytest.mark.parametrize("path", sql_files(), ids=name_of)
def test_every_sql_block_is_used(path):
    beside = [source for source in sources() if module_of(source).startswith(module_of(path.parent))]
    blocks = load_sql(module_of(path.parent), path.stem)
    assert [block for block in blocks if not any(names_block(source, block) for source in beside)] == []


def with_numbers(statement: str) -> str:
    """Return the statement with psycopg's placeholders as the server sees them: $1, $2..."""
    numbers = count(1)
    named: dict[str, int] = {}

    def number(found: re.Match[str]) -> str:
        if found.group() == "%%":
            return "%"
        name = found["name"]
        return f"${next(numbers) if name is None else named.setdefault(name, len(named) + 1)}"

    return PLACEHOLDER.sub(number, statement)


@pytest.fixture(scope="module")
def schema(postgres_server, template_database):
    """A connection to a migrated database: planning changes nothing, so all blocks share it."""
    postgres_server.create_database("receipts_plans", template_database)
    with psycopg.connect(postgres_server.dsn("receipts_plans"), autocommit=True) as connection:
        yield connection
    postgres_server.drop_database("receipts_plans")


def test_only_the_platform_changes_the_schema():
    assert [b for b, body in BLOCKS.items() if body.startswith(UNPLANNABLE) and not b.startswith("cluster/")] == []


@pytest.mark.parametrize("block", [b for b, body in BLOCKS.items() if not body.startswith((*UNPLANNABLE, *BULK))])
def test_every_sql_block_plans_on_the_real_schema(block, schema):
    plan = schema.execute(f"EXPLAIN (GENERIC_PLAN) {with_numbers(BLOCKS[block])}".encode()).fetchall()
    assert plan
