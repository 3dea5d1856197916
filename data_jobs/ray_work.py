"""Ray as the refinement uses it: joining a cluster, and running slices as the tasks of one small Dataset."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import ray
from ray.data import DataContext

from data_jobs.plans import Outcome, Plan
from data_jobs.priority import ONE_THREAD
from data_jobs.slices import refine_block, refine_slice

_WORKER_ENVIRONMENT = {**ONE_THREAD, "RAY_DATA_USE_DATASOURCE_V2": "0"}
_CPUS_PER_TASK = 0.5  # half, so that refinement still runs beside replicas that claim the cores of a small node


@dataclass(frozen=True, slots=True)
class PrivateNode:
    """What a node of one's own may use, where no cluster is to be joined."""

    num_cpus: int
    object_store_bytes: int
    temp_dir: str


@contextmanager
def joined(place: str | PrivateNode) -> Generator[None]:
    """Join the cluster at an address, or start a private node; leave it, or stop it, in the end.

    A process that has joined a cluster already stays in it.
    """
    if ray.is_initialized():
        yield
        return
    private = place if isinstance(place, PrivateNode) else None
    ray.init(
        address="local" if isinstance(place, PrivateNode) else place,
        num_cpus=private.num_cpus if private else None,
        object_store_memory=private.object_store_bytes if private else None,
        _temp_dir=private.temp_dir if private else None,
        include_dashboard=False if private else None,
        runtime_env={"env_vars": _WORKER_ENVIRONMENT},
        log_to_driver=False,
        logging_level=logging.WARNING,
    )
    try:
        yield
    finally:
        ray.shutdown()


def quiet_context() -> DataContext:
    """Set Ray Data for many small executions: no bars, no announcements, no statistics actor at work."""
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    return context


def run_slices(plan: Plan) -> Outcome:
    """Run the slices of a batch side by side; the rows stay in files, only what was written comes back.

    One slice, at most some megabytes, is done here: a Dataset for it alone takes as long as the work itself.
    """
    if plan.slices == 1:
        return refine_slice(plan, 0)
    quiet_context()
    numbers = ray.data.from_items(list(range(plan.slices)), override_num_blocks=plan.slices)
    work = partial(refine_block, plan=plan)
    done = numbers.map_batches(work, batch_format="pyarrow", batch_size=None, num_cpus=_CPUS_PER_TASK)
    outcome = Outcome()
    for row in done.iter_rows():
        outcome += Outcome.from_json(row["result"])
    return outcome
