"""Refinement that goes on until it is told to stop: rounds, sync, embeddings and upkeep in one process."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Event

import psycopg

from configs.settings import Settings
from data_jobs.audit_trail import project_trail
from data_jobs.catalogue import in_order
from data_jobs.continuous_embedding import Embedding
from data_jobs.declaration import Table
from data_jobs.embeddings import TABLE as EMBEDDINGS
from data_jobs.embeddings import embed_products
from data_jobs.events.telling import telling
from data_jobs.ray_work import run_slices
from data_jobs.refinement import Refinery, refine_round
from data_jobs.sync import SERVED, Connection, sync
from data_jobs.tables import gold_customer_profiles, silver_customers, silver_products
from data_jobs.traces import Traces, tracing_jobs
from data_jobs.trail.keeping import keep_trail
from data_jobs.upkeep.database import forget_names, make_audit_partitions
from data_jobs.upkeep.jobs import nightly_jobs, tidy
from data_jobs.upkeep.nightly import keep_nights
from data_jobs.writer_lock import check_claim, sole_writer
from receipts.database import DatabaseRole, connect
from receipts.lake import Lake, lake_of
from receipts.logs import described

_LOG = logging.getLogger(__name__)
_REFINED = tuple(table for table in SERVED if table is not EMBEDDINGS)
# What a representative waits for is refined in every round. The rest takes over half of a round's processor time and is
# as good some seconds later; what its merges copy is then copied once for four rounds.
_AT_ONCE = (*in_order(silver_customers.TABLE), *in_order(gold_customer_profiles.TABLE))
_ROUNDS_PER_REST = 4
_BACKLOG_ROWS = 100_000  # in a batch: then there is more, and the rest is looked at in the next round too
_ROUNDS_PER_COMPACTION = 60  # five minutes of the default interval


def run_continuously(settings: Settings, stop: Event) -> None:
    """Refine and sync, a round every `pipeline.interval_s`, until `stop` is set; a round that runs is finished first.

    The process has joined a Ray cluster. Without Postgres nothing can be synced, so the lake rests too and all goes
    on when Postgres is back. Raises AlreadyRunning when another process refines this lake. Anything unexpected ends
    the process: a new one goes on where the last commit was.
    """
    with tracing_jobs(settings) as traces, ThreadPoolExecutor(1, "embeddings") as background, telling(settings):
        while not stop.is_set():
            try:
                with sole_writer(settings) as claim, connect(settings, DatabaseRole.PIPELINE) as connection:
                    _rounds(settings, (claim, connection), stop, background, traces)
            except psycopg.OperationalError as error:
                _LOG.warning("Postgres is not there, refinement waits for it: %s", described(error))
                stop.wait(settings.pipeline.interval_s)


def _rounds(
    settings: Settings,
    connections: tuple[Connection, Connection],
    stop: Event,
    background: ThreadPoolExecutor,
    traces: Traces,
) -> None:
    lake, (claim, connection) = lake_of(settings), connections
    refinery = Refinery(lake, run_slices, settings.pipeline.parallelism, traces=traces)
    embedding = Embedding(partial(_embed, settings, stop, traces), background, settings.pipeline.embed_interval_s)
    nights = keep_nights(lake, nightly_jobs(settings, claim, embedding.run_once))
    tidying = tidy(lake, _ROUNDS_PER_COMPACTION)
    trail = keep_trail(settings, connection)
    make_audit_partitions(claim)  # at once and not at night only: events are recorded from the first request on
    rests = 0  # rounds until the rest is due
    while not stop.is_set():
        check_claim(claim)
        began = time.monotonic()
        tables = [table for table in refinery.tables if rests == 0 or table in _AT_ONCE]
        rests = (rests or _ROUNDS_PER_REST) - 1
        for batch in refine_round(refinery, stop.is_set, tables=tables):
            _LOG.info("%s", batch)
            if batch.rows_in >= _BACKLOG_ROWS:
                rests = 0
            if batch.table == silver_products.TABLE.name:
                embedding.want()
            # At once: who waits for a receipt or a profile does not wait for the sums that come after it in the round.
            _sync(lake, connection, [table for table in _REFINED if table.name == batch.table], traces)
        _sync(lake, connection, _REFINED, traces)  # what upkeep has moved on, or was left when this process began
        project_trail(connection)
        next(trail)
        forget_names(connection)
        embedding.turn()
        if not embedding.is_running:  # it commits to the lake too, and upkeep would get in its way
            next(nights)
            next(tidying)
        # Also when there was something to do: rounds of many small batches would take the cores from those who look
        # receipts up. A backlog makes a round longer than the interval, and nothing is waited for.
        stop.wait(max(0.0, settings.pipeline.interval_s - (time.monotonic() - began)))


def _sync(lake: Lake, connection: Connection, tables: Iterable[Table], traces: Traces) -> None:
    for done in sync(lake, connection, tables, traces=traces):
        _LOG.info("%s", done)


def _embed(settings: Settings, stop: Event, traces: Traces, least: int) -> int:
    """Embed beside the rounds if so many texts are missing, sync every commit, and return how many vectors are new.

    This thread alone writes embeddings, in lake and Postgres.

    A vector takes milliseconds to find its place in the index: thousands of them must not hold receipts up.
    """
    lake, pipeline, vectors = lake_of(settings), settings.pipeline, 0
    with connect(settings, DatabaseRole.PIPELINE) as connection:
        _sync(lake, connection, [EMBEDDINGS], traces)
        for batch in embed_products(lake, pipeline.parallelism, stop.is_set, pipeline.niceness, least):
            _LOG.info("%s", batch)
            _sync(lake, connection, [EMBEDDINGS], traces)
            vectors += batch.rows_out
    return vectors
