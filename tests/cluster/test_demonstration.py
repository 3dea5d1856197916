"""The demonstration tells what is on its way, and does not hide a disagreement."""

from __future__ import annotations

import pytest

from cluster.demonstration import disagreements, pending

AGREED = {
    "sent by tills": 10, "acked by the gateway": 10, "Bronze": 12, "Silver": 10,
    "Silver, superseded by a correction": 1, "Silver, quarantined": 1, "Bronze rows unaccounted for": 0,
    "Postgres": 10, "Postgres, confirmed by Silver": 10,
}  # fmt: skip
ARRIVED = {
    "postgres": {"receipts": 10, "receipts_refined": 10, "product_texts": 5, "product_embeddings": 5},
    "ingest": {"outbox": 0},
    "lake": {"silver.receipts": {"rows": 10, "version": 1}},
    "refinement": {"silver.receipts": {"behind": 0}, "gold.product_embeddings": {"behind": 0}},
    "sync": {"silver.receipts": {"behind": 0}},
}


def test_stages_that_agree_are_not_complained_of():
    assert disagreements(AGREED) == []


@pytest.mark.parametrize(
    ("stage", "count", "said"),
    [
        ("acked by the gateway", 9, "acked"),
        ("Bronze", 9, "Bronze"),
        ("Bronze rows unaccounted for", 1, "Bronze"),
        ("Postgres", 9, "Postgres"),
        ("Postgres, confirmed by Silver", 9, "Postgres"),
    ],
)
def test_a_stage_that_lost_a_receipt_is_named(stage, count, said):
    assert said in " ".join(disagreements({**AGREED, stage: count}))


def test_nothing_is_pending_once_everything_arrived():
    assert pending(ARRIVED) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"postgres": None}, "Postgres"),
        ({"ingest": {"outbox": 3}}, "3 records"),
        ({"refinement": {"silver.receipts": {"behind": 1}, "gold.product_embeddings": {"behind": 0}}}, "refining"),
        ({"refinement": {"gold.product_embeddings": {"behind": 2}}}, "embedding products: 5 of 5"),
        ({"sync": {"silver.products": {"behind": 1}}}, "syncing silver.products"),
        ({"postgres": {**ARRIVED["postgres"], "receipts_refined": 4}}, "6 receipts"),
        ({"lake": {}}, "refining silver.receipts"),
    ],
)
def test_what_is_on_its_way_is_named_by_stage(change, said):
    assert said in " ".join(pending({**ARRIVED, **change}))
