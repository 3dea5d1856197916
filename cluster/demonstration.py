"""The demonstration's steps: wait until everything has arrived, find a receipt again, hold the counts side by side."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cluster.api_client import ask
from cluster.errors import PlatformError
from cluster.status import collect
from configs.settings import Settings
from data_jobs.accounts import reconcile
from receipts.lake import lake_of

REP = "rep.all"
SENTENCES = (
    "chicken from East Liberty last Tuesday",
    "around $40 at Shadyside last week",
    "some kind of fancy cheese from Squirrel Hill this month",
)
_VECTORS = "gold.product_embeddings"
_POLL_S = 2.0
_ARRIVE_S = 480.0  # the slowest machine this was tried on needs a third of it

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Found:
    """A receipt found by a sentence, and again by its id, with the customer who bought it."""

    sentence: str
    answer: Mapping[str, Any]
    receipt: Mapping[str, Any]
    customer: Mapping[str, Any] | None


def await_arrival(settings: Settings, report: Report) -> dict[str, Any]:
    """Return the status once nothing is on its way any more: outbox, refinement, sync and embeddings.

    Raises PlatformError when a part dies meanwhile or it takes longer than eight minutes.
    """
    deadline = time.monotonic() + _ARRIVE_S
    settled = 0
    while True:
        status = collect(settings)
        late = pending(status)
        settled = 0 if late else settled + 1
        if settled == 2:  # twice in a row: between two stages a look can find all of them idle
            return status
        report("; ".join(late) or "looking once more")
        sick = [part["name"] for part in status["parts"] if part["state"] == "down"]
        if sick:
            raise PlatformError(f"{', '.join(sick)} ended while receipts were on their way; see `receipts status`.")
        if time.monotonic() > deadline:
            raise PlatformError(f"Not everything arrived within {_ARRIVE_S:.0f} s: {'; '.join(late)}.")
        time.sleep(_POLL_S)


def pending(status: Mapping[str, Any]) -> list[str]:
    """Say what is still on its way, stage by stage; empty when Postgres holds everything that was acked."""
    postgres, ingest, lake = status["postgres"], status["ingest"], status["lake"]
    if postgres is None or ingest is None:
        return ["Postgres does not answer"]
    late: list[str] = []
    if ingest["outbox"]:
        late.append(f"{ingest['outbox']:,} records on their way to Bronze")
    behind = [name for name, lag in status["refinement"].items() if lag["behind"] and name != _VECTORS]
    if behind or not rows(lake, "silver.receipts"):
        late.append(f"refining {', '.join(behind) or 'silver.receipts'}")
    unsynced = [name for name, lag in status["sync"].items() if lag["behind"]]
    waiting = postgres["receipts"] - postgres["receipts_refined"]
    if waiting:
        late.append(f"{waiting:,} receipts to be confirmed in Postgres")
    elif unsynced:
        late.append(f"syncing {', '.join(unsynced)} to Postgres")
    if status["refinement"].get(_VECTORS, {"behind": 1})["behind"]:
        done, texts = postgres["product_embeddings"], postgres["product_texts"]
        late.append(f"embedding products: {done:,} of {texts:,} distinct texts")
    return late


def find_again(settings: Settings) -> Found:
    """Find a receipt by a sentence, then by its id, then its customer. Raises PlatformError when nothing is found."""
    for sentence in SENTENCES:
        answer = ask(settings, REP, "POST", "/search/", {"text": sentence, "limit": 5})
        if not answer["hits"]:
            continue
        # A loyalty customer shows more of the platform, so prefer a hit that has one.
        hits = [hit["receipt"] for hit in answer["hits"]]
        chosen = next((hit for hit in hits if hit["customer_id"]), hits[0])
        receipt = ask(settings, REP, "GET", f"/receipt/{chosen['receipt_id']}")
        who = chosen["customer_id"]
        customer = ask(settings, REP, "GET", f"/cs/context/{who}") if who else None
        return Found(sentence, answer, receipt, customer)
    raise PlatformError("None of the demonstration's sentences found a receipt; see `receipts status`.")


def stages(settings: Settings, sent: int, acked: int, status: Mapping[str, Any]) -> dict[str, int]:
    """Return how many receipts each stage holds, in the order they pass through."""
    accounts, postgres = reconcile(lake_of(settings)), status["postgres"]
    return {
        "sent by tills": sent,
        "acked by the gateway": acked,
        "Bronze": accounts.bronze,
        "Silver": accounts.serving,
        "Silver, superseded by a correction": accounts.superseded,
        "Silver, quarantined": accounts.quarantined,
        "Bronze rows unaccounted for": accounts.unaccounted + accounts.waiting,
        "Postgres": postgres["receipts"],
        "Postgres, confirmed by Silver": postgres["receipts_refined"],
    }


def disagreements(counts: Mapping[str, int]) -> list[str]:
    """Say which stages disagree: everything acked, every Bronze row accounted for, Postgres as Silver."""
    wrong: list[str] = []
    if counts["acked by the gateway"] != counts["sent by tills"]:
        wrong.append("not every receipt that was sent was acked")
    if counts["Bronze"] < counts["acked by the gateway"]:
        wrong.append("Bronze holds fewer receipts than were acked")
    if counts["Bronze rows unaccounted for"]:
        wrong.append("Bronze is not Silver + superseded + quarantined")
    if not counts["Silver"] == counts["Postgres"] == counts["Postgres, confirmed by Silver"]:
        wrong.append("Postgres does not hold what Silver holds")
    return wrong


def rows(lake: Mapping[str, Any], table: str) -> int:
    """Return the rows of a lake table, 0 when it does not exist yet."""
    measured = lake.get(table)
    return measured["rows"] if measured else 0
