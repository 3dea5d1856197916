"""The document that customers get is whole, valid, and kept by the applications whatever Schemathesis sends them."""

from __future__ import annotations

import json

import pytest
import schemathesis
import typer
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.failures import FailureGroup
from typer.testing import CliRunner

from cluster.commands.serving import register
from receipts.access import Role
from serve_apps.openapi import whole_document
from tests.fixtures.retail import make_customer, make_receipt, make_store, store_rows
from tests.fixtures.serving import PRINCIPALS
from tests.fixtures.whole_api import serving_http
from tests.serve_apps.test_guard import ROUTES

# Not among them: that all that fits the schema is accepted. No schema can say what check digits are.
KEPT = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "negative_data_rejection",
    "ignored_auth",
)
WHO = {role: next(name for name, (of, _, _) in PRINCIPALS.items() if of == role) for role in Role}


def test_the_document_holds_every_route_and_every_problem_it_may_answer():
    document = whole_document()
    found = {
        f"{method.upper()} {path}": operation
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }
    assert found.keys() == ROUTES.keys()
    for name, operation in found.items():
        assert {"400", "401", "403", "404", "409", "413", "422", "429", "503"} <= operation["responses"].keys(), name
    names = [operation["operationId"] for operation in found.values()]
    assert len(set(names)) == len(names)


def test_the_command_prints_it_and_writes_it_without_a_platform(tmp_path):
    app = typer.Typer()
    register(app)
    printed = CliRunner().invoke(app, ["openapi"])
    assert printed.exit_code == 0, printed.output
    assert json.loads(printed.stdout) == json.loads(json.dumps(whole_document()))
    assert CliRunner().invoke(app, ["openapi", "--output", str(tmp_path / "api.json")]).exit_code == 0
    assert (tmp_path / "api.json").read_text() == printed.stdout


@pytest.fixture
def served(settings, sign_ins):
    store_rows(settings, stores=[make_store()], customers=[make_customer()], receipts=[make_receipt()])
    with serving_http(settings) as address:
        yield address


def test_whatever_is_sent_is_answered_as_the_document_says(served, sign_ins):
    load_all_checks()
    schema = schemathesis.openapi.from_dict(whole_document())
    schema.config.update(base_url=served)
    wrong: list[str] = []
    for role, name in WHO.items():
        for made in schema.get_all_operations():
            operation = made.ok()
            for mode in GenerationMode:
                broken = press(operation, mode, sign_ins.headers(name))
                wrong += [f"{role} {operation.label} {mode.value}: {broken}"] if broken else []
    assert wrong == []


def press(operation, mode: GenerationMode, headers: dict[str, str]) -> str | None:
    """Send examples of one operation, the same in every run; return what was wrong with the first bad answer."""

    @given(case=operation.as_strategy(generation_mode=mode))
    @hypothesis_settings(
        max_examples=5, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
    )
    def press_once(case):
        case.call_and_validate(headers=headers, checks=CHECKS.get_by_names(KEPT))

    try:
        press_once()
    except FailureGroup as error:
        return f"{type(error).__name__}: {error}"[:700]
    return None
