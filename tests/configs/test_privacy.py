"""Where the officers are whose days the law counts."""

import pytest

from configs.settings import SettingsError, load_settings


def test_a_day_is_one_of_the_place_that_is_set():
    assert load_settings({}).privacy.time_zone == "America/New_York"
    assert load_settings({"RECEIPTS_PRIVACY__TIME_ZONE": "Europe/Warsaw"}).privacy.time_zone == "Europe/Warsaw"


@pytest.mark.parametrize("zone", ["Middle/Earth", "", "../etc/passwd"])
def test_a_place_without_a_clock_is_refused(zone):
    with pytest.raises(SettingsError, match="PRIVACY__TIME_ZONE"):
        load_settings({"RECEIPTS_PRIVACY__TIME_ZONE": zone})
