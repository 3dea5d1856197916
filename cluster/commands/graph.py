"""`receipts pipeline graph`: the declared tables, drawn for the terminal, as a Mermaid chart or as JSON."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cluster.commands.output import print_json

if TYPE_CHECKING:
    from rich.tree import Tree

    from data_jobs.declaration import Table


def graph(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a tree.")] = False,
    mermaid: Annotated[bool, typer.Option("--mermaid", help="Print a Mermaid flowchart for a document.")] = False,
) -> None:
    """Show every table: what it is made from, what it promises, what it tells of people and where it is served."""
    from data_jobs.catalogue import in_order

    order = in_order()
    if as_json:
        print_json({"tables": [_plain(table) for table in order]})
    elif mermaid:
        sys.stdout.write("\n".join(_chart(order)) + "\n")
    else:
        from rich.console import Console

        for tree in _trees(order):
            Console().print(tree, highlight=False)


def _plain(table: Table) -> dict[str, Any]:
    return {
        "table": table.name,
        "kind": table.kind,
        "grain": table.grain,
        "key": table.key,
        "made_from": [source.name for source in (table.input, *table.lookups) if source is not None],
        "input": table.input.name if table.input is not None else None,
        "lookups": [lookup.name for lookup in table.lookups],
        "personal": table.personal,
        "retention": {"column": table.retention.column, "days": table.retention.days} if table.retention else None,
        "expectations": [
            {"name": each.name, "action": each.action, "sentence": each.sentence} for each in table.expectations
        ],
        "quarantine": table.quarantine.name if table.quarantine is not None else None,
        "served_as": _served(table),
    }


def _served(table: Table) -> str | None:
    return f"retail.{table.served_as.relation}" if table.served_as is not None else None


def _trees(order: tuple[Table, ...]) -> Iterator[Tree]:
    """Yield a tree for each table that is not made from another one here: Bronze, and what other code fills."""
    from rich.tree import Tree

    roots = dict.fromkeys(table.input.name if table.input is not None else "" for table in order)
    names = {table.name for table in order}
    for root in roots:
        if root and root not in names:
            tree = Tree(f"[bold]{root}[/]")
            _grow(tree, root, order)
            yield tree
    for table in order:
        if table.input is None:
            yield Tree(_label(table))


def _grow(tree: Tree, name: str, order: tuple[Table, ...]) -> None:
    for table in order:
        if table.input is not None and table.input.name == name:
            _grow(tree.add(_label(table)), table.name, order)


def _label(table: Table) -> str:
    """Return some lines about a table."""
    kept = f", kept {table.retention.days} days after {table.retention.column}" if table.retention else ""
    lines = [
        f"[bold cyan]{table.name}[/] [dim]{table.kind}[/]",
        table.grain,
        f"key {', '.join(table.key)}; personal data: {table.personal}{kept}",
    ]
    if table.lookups:
        lines.append(f"looks up {', '.join(lookup.name for lookup in table.lookups)}")
    if table.expectations:
        for action in dict.fromkeys(each.action for each in table.expectations):
            names = ", ".join(each.name for each in table.expectations if each.action is action)
            lines.append(f"expects, or else {action}: {names}")
    if table.quarantine is not None:
        lines.append(f"refused rows go to {table.quarantine.name}")
    if table.served_as is not None:
        lines.append(f"[green]served as {_served(table)}[/]")
    return "\n".join(lines)


def _chart(order: tuple[Table, ...]) -> Iterator[str]:
    """Yield the lines of a Mermaid flowchart."""
    yield "flowchart LR"
    names = {table.name for table in order}
    sources = {table.input.name for table in order if table.input is not None}
    for name in sorted(sources - names):
        yield f'    {_id(name)}["{name}"]'
    for table in order:
        kept = f"<br/>kept {table.retention.days} days" if table.retention else ""
        about = f"{table.kind} by {', '.join(table.key)}<br/>personal data: {table.personal}{kept}"
        yield f'    {_id(table.name)}["{table.name}<br/>{about}"]'
    for table in order:
        if table.input is not None:
            yield f"    {_id(table.input.name)} --> {_id(table.name)}"
        for lookup in table.lookups:
            yield f"    {_id(lookup.name)} -. looked up .-> {_id(table.name)}"
        if table.quarantine is not None and table.input is not None:
            yield f"    {_id(table.input.name)} -. refused .-> {_id(table.quarantine.name)}"
        served = _served(table)
        if served is not None:
            yield f'    {_id(table.name)} ==> {_id(served)}[("{served}")]'


def _id(name: str) -> str:
    return name.replace(".", "_")
