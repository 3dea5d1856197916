"""OpenLineage events reach a file or a server, whole and in order, whatever happens between."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pydantic import SecretStr

from configs.lineage import LineageSettings
from configs.settings import LakeSettings, Settings
from data_jobs.events.delivery import deliver, receiver_of
from data_jobs.events.failures import record_failure
from data_jobs.events.log import record_events
from data_jobs.events.telling import tell, telling
from receipts import bronze
from receipts.lake import Lake
from tests.data_jobs.landing import land, refine_here, rows_of
from tests.fixtures.retail import make_receipt

# What the OpenLineage specification 2-0-2 asks of a run event and of every facet.
FACET = {"type": "object", "required": ["_producer", "_schemaURL"]}
FACETS = {"type": "object", "additionalProperties": FACET}
DATASET = {
    "type": "object",
    "required": ["namespace", "name"],
    "properties": {
        "namespace": {"type": "string"},
        "name": {"type": "string"},
        **dict.fromkeys(("facets", "inputFacets", "outputFacets"), FACETS),
    },
}
RUN_EVENT = {
    "type": "object",
    "required": ["run", "job", "eventTime", "producer", "schemaURL"],
    "properties": {
        "eventType": {"enum": ["START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER"]},
        "eventTime": {"type": "string", "format": "date-time"},
        "producer": {"type": "string", "format": "uri"},
        "run": {
            "required": ["runId"],
            "properties": {"runId": {"type": "string", "format": "uuid"}, "facets": FACETS},
        },
        "job": {"required": ["namespace", "name"], "properties": {"facets": FACETS}},
        "inputs": {"type": "array", "items": DATASET},
        "outputs": {"type": "array", "items": DATASET},
    },
}
CHECK = jsonschema.Draft202012Validator(RUN_EVENT, format_checker=jsonschema.FormatChecker())


class Catalogue(ThreadingHTTPServer):
    """A server that takes lineage as Marquez does, and answers what it is told to answer."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 201
        self.asked = 0
        self.events: list[dict[str, Any]] = []
        self.wrong: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def ends(self) -> list[tuple[str, str]]:
        return [(each["job"]["name"], each["eventType"]) for each in self.events if each["eventType"] != "START"]


class _Handler(BaseHTTPRequestHandler):
    server: Catalogue

    def do_POST(self) -> None:
        event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked += 1
        if self.path != "/api/v1/lineage" or self.headers["Authorization"] != "Bearer key-1":
            self.server.wrong.append(f"{self.path} {self.headers['Authorization']}")
        self.server.wrong += [error.message for error in CHECK.iter_errors(event)]
        if self.server.status == 201:
            self.server.events.append(event)
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def catalogue() -> Iterator[Catalogue]:
    """A lineage server on loopback."""
    with Catalogue() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def refined(lake_with_stores: Lake) -> Lake:
    """A lake with one receipt that went through all tables."""
    land(lake_with_stores, bronze.RECEIPTS, [make_receipt()])
    refine_here(lake_with_stores)
    record_events(lake_with_stores)
    return lake_with_stores


def over_http(catalogue: Catalogue) -> LineageSettings:
    return LineageSettings(transport="http", url=catalogue.url, api_key=SecretStr("key-1"), timeout_s=30)


def settings_of(lake: Lake, lineage: LineageSettings) -> Settings:
    return Settings(lake=LakeSettings(root=lake.root), lineage=lineage)


def test_every_batch_is_told_to_the_server_once_as_the_specification_asks(refined: Lake, catalogue: Catalogue) -> None:
    receiver = receiver_of(over_http(catalogue))
    assert receiver is not None
    assert deliver(refined, receiver, "shop") == rows_of(refined, "events.pipeline").height
    assert catalogue.wrong == []
    assert len(catalogue.events) == 2 * rows_of(refined, "events.pipeline").height
    assert deliver(refined, receiver, "shop") == 0
    starts = [each["run"]["runId"] for each in catalogue.events if each["eventType"] == "START"]
    ends = [each["run"]["runId"] for each in catalogue.events if each["eventType"] == "COMPLETE"]
    assert starts == ends
    assert len(set(starts)) == len(starts)


def test_an_event_tells_versions_rows_expectations_and_columns(refined: Lake, catalogue: Catalogue) -> None:
    receiver = receiver_of(over_http(catalogue))
    assert receiver is not None
    deliver(refined, receiver, "shop")
    (end,) = [e for e in catalogue.events if e["job"]["name"] == "silver.receipts" and e["eventType"] == "COMPLETE"]
    received, stores = end["inputs"]
    assert (end["job"]["namespace"], received["namespace"]) == ("shop", "file")
    assert end["producer"] == received["facets"]["version"]["_producer"] == "urn:receipts:data_jobs"
    assert received["name"] == refined.uri("bronze.receipts")
    assert (received["facets"]["version"]["datasetVersion"], stores["facets"]["version"]["datasetVersion"]) == (
        "1",
        "1",
    )
    assertions = {each["assertion"]: each for each in received["inputFacets"]["dataQualityAssertions"]["assertions"]}
    assert (assertions["adds_up"]["success"], assertions["adds_up"]["actual"]) == (True, "0")
    (output,) = end["outputs"]
    assert output["outputFacets"]["outputStatistics"]["rowCount"] == 1
    assert output["facets"]["version"]["datasetVersion"] == "1"
    fields = output["facets"]["columnLineage"]["fields"]
    assert {each["field"] for each in fields["skus"]["inputFields"]} == {"payload.lines.sku"}
    assert fields["skus"]["inputFields"][0]["transformations"][0]["type"] == "DIRECT"


def test_what_could_not_be_sent_is_sent_when_the_server_is_back(refined: Lake, catalogue: Catalogue) -> None:
    settings = settings_of(refined, over_http(catalogue))
    catalogue.status = 503
    tell(settings)
    assert (catalogue.asked, catalogue.events) == (1, [])
    catalogue.status = 201
    land(refined, bronze.RECEIPTS, [make_receipt(sequence_number=2)])
    refine_here(refined)
    tell(settings)
    assert len(catalogue.events) == 2 * rows_of(refined, "events.pipeline").height
    assert [end for end in catalogue.ends() if end[0] == "silver.receipts"] == [("silver.receipts", "COMPLETE")] * 2


def test_an_event_the_server_will_never_take_holds_up_no_other(refined: Lake, catalogue: Catalogue) -> None:
    receiver = receiver_of(over_http(catalogue))
    assert receiver is not None
    catalogue.status = 422
    assert deliver(refined, receiver, "shop") == 0
    catalogue.status = 201
    record_failure(refined, "silver.receipts", "2 rows break adds_up: No.")
    assert deliver(refined, receiver, "shop") == 1
    assert catalogue.ends() == [("silver.receipts", "FAIL")]
    assert catalogue.events[-1]["run"]["facets"]["errorMessage"]["message"] == "2 rows break adds_up: No."
    assert catalogue.wrong == []


def test_events_go_to_a_file_a_line_each(refined: Lake, tmp_path: Path) -> None:
    path = tmp_path / "told" / "lineage.jsonl"
    settings = settings_of(refined, LineageSettings(transport="file", path=path))
    for _ in range(2):
        tell(settings)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(lines) == 2 * rows_of(refined, "events.pipeline").height
    for line in lines:
        CHECK.validate(line)


def test_telling_goes_on_beside_the_work_and_tells_the_rest_at_the_end(lake_with_stores: Lake, tmp_path: Path) -> None:
    path = tmp_path / "lineage.jsonl"
    with telling(settings_of(lake_with_stores, LineageSettings(transport="file", path=path))):
        land(lake_with_stores, bronze.RECEIPTS, [make_receipt()])
        refine_here(lake_with_stores)
    told = [json.loads(line)["job"]["name"] for line in path.read_text().splitlines()]
    assert {"silver.receipts", "gold.customer_profiles"} <= set(told)


def test_without_a_receiver_events_are_only_recorded(lake_with_stores: Lake) -> None:
    refine_here(lake_with_stores)
    tell(settings_of(lake_with_stores, LineageSettings()))
    assert rows_of(lake_with_stores, "events.pipeline").height == 1


def test_tables_in_an_object_store_are_named_by_bucket_and_key() -> None:
    from data_jobs.events.openlineage import _name

    assert _name(Lake("s3://bucket/lake"), "silver.receipts") == ("s3://bucket", "lake/silver/receipts")
