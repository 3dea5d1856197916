"""Events as OpenLineage tells them (openlineage.io/docs/spec): a start and an end for every batch of every table."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID, uuid5

from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState, set_producer
from openlineage.client.facet_v2 import (
    DatasetFacet,
    InputDatasetFacet,
    JobFacet,
    OutputDatasetFacet,
    column_lineage_dataset,
    data_quality_assertions_dataset,
    dataset_version_dataset,
    documentation_job,
    error_message_run,
    input_statistics_input_dataset,
    output_statistics_output_dataset,
    schema_dataset,
)

from data_jobs.catalogue import TABLES
from data_jobs.declaration import Action, Table
from data_jobs.events.rows import Event, Input
from data_jobs.lineage.columns import list_edges
from receipts.lake import Lake

_PRODUCER = "urn:receipts:data_jobs"
_TABLES = {table.name: table for table in TABLES}


def to_run_events(event: Event, lake: Lake, namespace: str) -> tuple[RunEvent, RunEvent]:
    """Return the start and the end of a batch; the same event gives the same run, so it may be sent twice."""
    set_producer(_PRODUCER)  # of facets: their own argument is hidden from type checkers
    table = _TABLES.get(event.table)  # none for one that a later release no longer has
    run = Run(runId=str(uuid5(UUID(event.run), event.table)))
    job = Job(namespace=namespace, name=event.table, facets=_about(table))
    started = event.committed_at - timedelta(milliseconds=event.took_ms or 0)
    start = RunEvent(
        eventType=RunState.START, eventTime=_instant(started), run=run, job=job, producer=_PRODUCER,
        inputs=[InputDataset(*_name(lake, each.table)) for each in event.inputs],
        outputs=[OutputDataset(*_name(lake, event.table))],
    )  # fmt: skip
    end = RunEvent(
        eventType=RunState.COMPLETE if event.error is None else RunState.FAIL,
        eventTime=_instant(event.committed_at), run=_ended(run, event), job=job, producer=_PRODUCER,
        inputs=[_input(lake, event, each, table) for each in event.inputs],
        outputs=[_output(lake, event, table)],
    )  # fmt: skip
    return start, end


def _instant(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")


def _name(lake: Lake, table: str) -> tuple[str, str]:
    """Return namespace and name of a table by OpenLineage's naming: the store, and the path in it."""
    uri = lake.uri(table)
    if "://" not in uri:
        return "file", uri
    scheme, path = uri.split("://", 1)
    bucket, key = path.split("/", 1)
    return f"{scheme}://{bucket}", key


def _about(table: Table | None) -> dict[str, JobFacet]:
    if table is None:
        return {}
    return {"documentation": documentation_job.DocumentationJobFacet(table.grain)}


def _ended(run: Run, event: Event) -> Run:
    if event.error is None:
        return run
    facet = error_message_run.ErrorMessageRunFacet(event.error, "PYTHON")
    return Run(runId=run.runId, facets={"errorMessage": facet})


def _input(lake: Lake, event: Event, read: Input, table: Table | None) -> InputDataset:
    """Return an input in the version read; what expectations caught is told of the driving one."""
    version = dataset_version_dataset.DatasetVersionDatasetFacet(str(read.to_version))
    facets: dict[str, InputDatasetFacet] = {}
    if read is event.inputs[0]:
        facets["inputStatistics"] = input_statistics_input_dataset.InputStatisticsInputDatasetFacet(
            rowCount=event.counts["rows_in"], fileCount=event.files_in
        )
        if table is not None and table.expectations:
            facets["dataQualityAssertions"] = _assertions(event, table)
    return InputDataset(*_name(lake, read.table), facets={"version": version}, inputFacets=facets)


def _assertions(event: Event, table: Table) -> data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet:
    told = [
        data_quality_assertions_dataset.Assertion(
            assertion=each.name,
            success=not event.caught.get(each.name),
            severity="warn" if each.action is Action.WARN else "error",
            description=each.sentence,
            expected="0",
            actual=str(event.caught.get(each.name, 0)),
        )
        for each in table.expectations
    ]
    return data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet(told)


def _output(lake: Lake, event: Event, table: Table | None) -> OutputDataset:
    """Return the table as the batch left it; a batch that failed left no version."""
    facets: dict[str, DatasetFacet] = {}
    if event.version is not None:
        facets["version"] = dataset_version_dataset.DatasetVersionDatasetFacet(str(event.version))
    if table is not None:
        facets |= {"schema": _schema(table), "columnLineage": _columns(lake, event)}
    statistics = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
        rowCount=event.counts["rows_out"], size=event.bytes_out, fileCount=event.files_out
    )
    written: dict[str, OutputDatasetFacet] = {"outputStatistics": statistics} if event.version is not None else {}
    return OutputDataset(*_name(lake, event.table), facets=facets, outputFacets=written)


def _schema(table: Table) -> schema_dataset.SchemaDatasetFacet:
    fields = [schema_dataset.SchemaDatasetFacetFields(field.name, str(field.type)) for field in table.schema]
    return schema_dataset.SchemaDatasetFacet(fields)


def _columns(lake: Lake, event: Event) -> column_lineage_dataset.ColumnLineageDatasetFacet:
    read = {each.table for each in event.inputs}
    fields: dict[str, column_lineage_dataset.Fields] = {}
    for edge in list_edges():
        if edge.table == event.table and edge.source in read:
            how = column_lineage_dataset.Transformation(type=edge.effect.value)
            source = column_lineage_dataset.InputField(*_name(lake, edge.source), edge.source_field, [how])
            fields.setdefault(edge.field, column_lineage_dataset.Fields([])).inputFields.append(source)
    return column_lineage_dataset.ColumnLineageDatasetFacet(fields)
