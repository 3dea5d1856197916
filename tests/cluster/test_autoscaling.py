"""Replicas are added by how busy they are, not by a count of requests that reads zero under load."""

import time
from types import SimpleNamespace

import pytest
from ray.serve.config import AutoscalingConfig

from cluster.autoscaling import Load, replicas_wanted


def wanted(replicas: int, busy: list[float], late_s: list[float], ongoing: float = 0.0) -> float:
    """Ask with what Serve's controller hands a policy; the context is Serve's own type and not ours to make."""
    names = [f"replica-{number}" for number in range(replicas)]
    context = SimpleNamespace(
        current_num_replicas=replicas,
        aggregated_metrics={
            "busy": dict(zip(names, busy, strict=False)),
            "late_s": dict(zip(names, late_s, strict=False)),
        },
        total_num_requests=ongoing,
        config=AutoscalingConfig(min_replicas=1, max_replicas=12, target_ongoing_requests=16),
    )
    count, _ = replicas_wanted(context)
    return count


@pytest.mark.parametrize(
    ("replicas", "busy", "late_s", "ongoing", "count"),
    [
        (1, [0.0], [0.0], 0, 0.0),
        (1, [0.9], [0.0], 0, 1.5),
        (4, [0.6] * 4, [0.0] * 4, 0, 4.0),
        (4, [0.15] * 4, [0.0] * 4, 0, 1.0),
        (2, [0.4, 0.4], [0.04, 0.04], 0, 4.0),
        (2, [0.4, 0.4], [9.0, 9.0], 0, 4.0),  # not more than double at once
        (2, [0.1, 0.1], [0.2, 0.2], 0, pytest.approx(1 / 3)),  # others keep the cores busy
        (2, [0.1, 0.1], [0.0, 0.0], 64, 4.0),
        (3, [], [], 0, 0.0),  # nothing told yet: Serve's own lower bound holds
    ],
)
def test_as_many_are_wanted_as_are_busy_for_the_share_that_is_fine(replicas, busy, late_s, ongoing, count):
    assert wanted(replicas, busy, late_s, ongoing) == pytest.approx(count)


async def test_a_process_tells_its_share_of_a_core():
    load = Load()
    end = time.process_time() + 0.2
    while time.process_time() < end:
        pass
    first = await load.stats()
    assert first["busy"] > 0.0
    assert first["late_s"] >= 0.0
