"""Where an old data set was moved to in time, remembered so that importing it again changes nothing."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

from receipts.errors import ReceiptsError

_FILE = "imports.json"
_KEY = "complete-journey"


class AnchorUnreadable(ReceiptsError):
    """The file that remembers where imported data was moved to cannot be read."""


def weeks_until(last_day: date, today: date) -> int:
    """Return by how many whole weeks `last_day` moves to lie as late as it can before `today`."""
    return ((today - last_day).days - 1) // 7


def remembered_weeks(state_dir: Path, last_day: date, today: date) -> int:
    """Return the shift of the first import into this state directory, deciding and writing it down if it is the first.

    Delete the entry in `imports.json` to move the data up to today again: its receipts are then other receipts.
    Raises AnchorUnreadable when the file is no JSON object of ours.
    """
    path = state_dir / _FILE
    known = _read(path)
    remembered = known.get(_KEY, {}).get("shift_weeks")
    if isinstance(remembered, int):
        return remembered
    weeks = weeks_until(last_day, today)
    moved = date.fromordinal(last_day.toordinal() + 7 * weeks)
    state_dir.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")  # renamed when whole: a killed import leaves no half a file
    unfinished.write_text(json.dumps({**known, _KEY: {"shift_weeks": weeks, "last_day": moved.isoformat()}}, indent=2))
    unfinished.replace(path)
    return weeks


def _read(path: Path) -> dict[str, dict[str, object]]:
    if not path.is_file():
        return {}
    try:
        known = json.loads(path.read_text())
    except ValueError:
        known = None
    if not (isinstance(known, dict) and all(isinstance(entry, dict) for entry in known.values())):
        raise AnchorUnreadable(f"{path} is not a JSON object of imports; delete it to import the data as of today.")
    return known
