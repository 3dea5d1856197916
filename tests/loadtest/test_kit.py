import random
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.kit import Kit, Person, check_size, deal_regions, people_needed, read_kit
from loadtest.targets import Target, Targets
from receipts.errors import InvalidInput, ReceiptsError


def target(number=1, region_id=1, customer_id="C0000001"):
    return Target(
        receipt_id=f"{number:022d}",
        region_id=region_id,
        customer_id=customer_id,
        purchased_on=date(2026, 11, 17),
        total_cents=4_723,
        store_name="East Liberty",
        item="FLUID MILK WHITE ONLY",
    )


def kit_of(people, expires_at=datetime(2099, 1, 1, tzinfo=UTC)):
    made = [Person(client_id=f"load.rep-{n}", secret=f"secret {n}", region_ids=frozenset({1})) for n in range(people)]
    program = Person(client_id="load.program", secret="secret", region_ids=None)
    return Kit(expires_at=expires_at, people=tuple(made), program=program, sample=Targets(targets=(target(),)))


@given(st.integers(0, 60), st.integers(1, 9))
def test_workers_share_the_people_and_nobody_is_played_twice(people, workers):
    kit = kit_of(people)
    shares = [kit.share(worker, workers) for worker in range(workers)]
    assert sorted(p.client_id for share in shares for p in share) == sorted(p.client_id for p in kit.people)


@given(st.integers(1, 2_000), st.integers(1, 64))
def test_every_worker_has_a_person_for_each_rep_it_may_be_dealt(reps, workers):
    smallest = people_needed(reps, workers) // workers
    most_users = -(-(reps + 1) // workers)  # the integration is a user too, and Locust deals users evenly
    assert smallest >= most_users


def test_too_few_people_are_refused_before_the_run():
    check_size(kit_of(8), reps=7, workers=2)
    with pytest.raises(InvalidInput, match="8 reps with 2 workers need 10 people, the kit has 8"):
        check_size(kit_of(8), reps=8, workers=2)


def test_people_have_regions_as_the_receipts_lie_and_one_in_ten_sees_all():
    source = random.Random(1)
    sample = Targets(targets=tuple(target(n, region_id=source.choice((1, 1, 1, 2))) for n in range(1, 1_001)))
    regions = deal_regions(sample, 1_000)
    assert regions.count(None) == 100
    assert regions.count(1) == pytest.approx(675, rel=0.15)
    assert regions.count(2) == pytest.approx(225, rel=0.15)
    assert deal_regions(sample, 10) == regions[:10]


def test_a_kit_survives_the_way_through_a_file_and_tells_no_secret_in_a_log(tmp_path):
    kit = kit_of(2)
    (tmp_path / "kit.json").write_text(kit.model_dump_json())
    assert read_kit(tmp_path / "kit.json") == kit
    assert "secret 1" not in repr(kit)


def test_a_file_that_is_no_kit_or_has_expired_is_refused_in_one_sentence(tmp_path):
    (tmp_path / "other.json").write_text('{"secret": 1}')
    for path in (tmp_path / "other.json", tmp_path / "missing.json"):
        with pytest.raises(ReceiptsError, match="holds no kit; make one with `receipts load prepare"):
            read_kit(path)
    (tmp_path / "old.json").write_text(kit_of(1, datetime.now(UTC) - timedelta(minutes=1)).model_dump_json())
    with pytest.raises(ReceiptsError, match=r"expired at .* prepare anew"):
        read_kit(tmp_path / "old.json")
