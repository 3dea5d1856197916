"""The second place of anchors: a small file each, never overwritten, out of reach of who rules lake and Postgres."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pyarrow.fs as pf
from deltalake.fs import DeltaStorageHandler

from configs.settings import Settings
from data_jobs.trail.anchoring import Anchor, last_number, list_anchors
from receipts.errors import ReceiptsError
from receipts.lake import Lake

_AT_ONCE = 500  # anchors read from the lake at a time
_SUFFIX = ".json"


class AnchorsContradict(ReceiptsError):
    """The lake and the second place tell of different anchors; `receipts audit verify` says where."""


@dataclass(frozen=True, slots=True)
class AnchorPlace:
    """A folder, or a URL such as s3://bucket/prefix with the options of its store."""

    root: str
    options: Mapping[str, str] = field(default_factory=dict, repr=False)  # holds the store's secrets

    def numbers(self) -> Iterator[int]:
        """Yield the numbers of the anchors that are there, in no order."""
        selector = pf.FileSelector("", allow_not_found=True, recursive=False)
        for found in pf.PyFileSystem(self._store()).get_file_info(selector):
            name = found.base_name
            if name.endswith(_SUFFIX) and name.removesuffix(_SUFFIX).isdigit():
                yield int(name.removesuffix(_SUFFIX))

    def holds(self, number: int) -> bool:
        """Say whether an anchor is there."""
        return self._store().get_file_info([_file(number)])[0].type == pf.FileType.File

    def read(self, number: int) -> Anchor:
        """Read an anchor. Raises ValueError when the file is none and FileNotFoundError when there is none."""
        with self._store().open_input_file(_file(number)) as file:
            told = json.loads(file.read())
        try:
            return Anchor(str(told["body"]), str(told["signature"]))
        except (KeyError, TypeError):
            raise ValueError(f"{_file(number)} is no anchor") from None

    def write(self, number: int, anchor: Anchor) -> None:
        """Put an anchor there for good; nothing happens when it is there. Raises AnchorsContradict over another one."""
        if not self.holds(number) and self._create(number, anchor):
            return
        if self.read(number) != anchor:
            raise AnchorsContradict(f"{self.root} holds another anchor {number} than the lake.")

    def _create(self, number: int, anchor: Anchor) -> bool:
        """Write a file that is not there; in a folder says so if it is by now."""
        told = {"body": anchor.body, "signature": anchor.signature}
        if "://" in self.root:  # polars' writer takes the options that Delta takes, and its lines are JSON
            pl.LazyFrame([told]).sink_ndjson(f"{self.root}/{_file(number)}", storage_options=dict(self.options))
            return True
        folder = Path(self.root)
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = folder / f".{_file(number)}.{os.getpid()}"
        unfinished.write_text(json.dumps(told))
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())
        try:
            (folder / _file(number)).hardlink_to(unfinished)  # whole or not at all, and never over another one
        except FileExistsError:
            return False
        finally:
            unfinished.unlink()
        return True

    def _store(self) -> DeltaStorageHandler:
        if "://" not in self.root:
            Path(self.root).mkdir(parents=True, exist_ok=True)
        return DeltaStorageHandler(self.root, dict(self.options))


def place_of(settings: Settings, root: str = "") -> AnchorPlace | None:
    """Return the second place that the settings name, or another one with the same options; none where none is."""
    named = root or settings.audit.anchor_place
    if not named:
        return None
    options = {key: value.get_secret_value() for key, value in settings.audit.anchor_place_options.items()}
    return AnchorPlace(named if "://" in named else str(Path(named).expanduser().absolute()), options)


def publish(lake: Lake, place: AnchorPlace, known: int = 0) -> int:
    """Put the anchors there that are not, after one that is known to be; returns the last number that is there.

    Raises AnchorsContradict when the place holds another anchor, or one that the lake does not.
    """
    newest = last_number(lake)
    if place.holds(newest + 1):
        raise AnchorsContradict(f"{place.root} holds the anchor {newest + 1}, and the lake ends at {newest}.")
    low, high = min(known, newest), newest  # of these files the first ones are there
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if place.holds(middle) else (low, middle - 1)
    after = max(low - 1, 0)  # the last one that is there is held against the lake's
    while after < newest:
        anchors = list_anchors(lake, after, after + _AT_ONCE)
        for number, anchor in enumerate(anchors, after + 1):
            place.write(number, anchor)
        after += _AT_ONCE
    return newest


def _file(number: int) -> str:
    return f"{number:012d}{_SUFFIX}"
