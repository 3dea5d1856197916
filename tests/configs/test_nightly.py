"""Times of the night, however they are written."""

from datetime import time
from pathlib import Path

import pytest

from configs.settings import SettingsError, load_settings


@pytest.mark.parametrize(
    ("written", "read"), [("02:30", time(2, 30)), ("12:30", time(12, 30)), ("off", None), ('"23:59"', time(23, 59))]
)
def test_a_time_in_yaml_is_what_a_person_reads(tmp_path: Path, written: str, read: time | None):
    file = tmp_path / "own.yaml"
    file.write_text(f"nightly:\n  vacuum: {written}\n")
    assert load_settings({"RECEIPTS_CONFIG_FILE": str(file)}).nightly.vacuum == read


@pytest.mark.parametrize(("written", "read"), [("02:30", time(2, 30)), ("off", None)])
def test_a_time_is_read_from_the_environment(written: str, read: time | None):
    assert load_settings({"RECEIPTS_NIGHTLY__COMPACTION": written}).nightly.compaction == read


def test_a_wrong_time_is_named():
    with pytest.raises(SettingsError, match="RECEIPTS_NIGHTLY__COMPACTION is wrong: Input should be in a valid time"):
        load_settings({"RECEIPTS_NIGHTLY__COMPACTION": "at night"})
