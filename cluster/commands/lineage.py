"""Command of the lineage family: what a column comes from, and what comes from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cluster.commands.output import print_json

if TYPE_CHECKING:
    from rich.tree import Tree

    from data_jobs.lineage.columns import Trace


def register(app: typer.Typer) -> None:
    """Add this family's command."""
    app.command("lineage")(lineage)


def lineage(
    what: Annotated[str, typer.Argument(metavar="TABLE[.COLUMN]", help="Such as gold.product_sales.sales_cents.")],
    down: Annotated[bool, typer.Option("--down/--up", help="What comes from it, instead of what it is from.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a tree.")] = False,
) -> None:
    """Show what a column comes from, up to the fields of what was received, or what comes from it, down to Postgres.

    Of a whole table every column is shown with its next neighbours. What decides only which rows there are is marked.
    """
    from data_jobs.lineage.columns import fields_by_table, find_field, trace_down, trace_up

    table, column = find_field(what)
    trace = trace_down if down else trace_up
    columns = [column] if column is not None else fields_by_table()[table]
    traces = [trace(table, name, deep=column is not None) for name in columns]
    if as_json:
        print_json({"direction": "down" if down else "up", "fields": [_plain(each) for each in traces]})
        return
    from rich.console import Console

    for each in traces:
        Console().print(_tree(each), highlight=False)


def _plain(trace: Trace) -> dict[str, object]:
    below = [_plain(each) for each in trace.next]
    return {"table": trace.table, "field": trace.field, "effect": trace.effect, "next": below}


def _tree(trace: Trace, onto: Tree | None = None) -> Tree:
    from rich.tree import Tree

    mark = " [dim](which rows)[/]" if trace.effect == "INDIRECT" else ""
    label = f"[cyan]{trace.table}[/].{trace.field}{mark}"
    tree = Tree(label) if onto is None else onto.add(label)
    for each in trace.next:
        _tree(each, tree)
    return tree
