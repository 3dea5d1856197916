"""Limits can be changed and not switched off."""

import pytest

from configs.settings import SettingsError, load_settings


def test_a_limit_is_set_by_its_variable_and_programs_by_their_names():
    limits = load_settings(
        {
            "RECEIPTS_LIMITS__PERSON__COUNT": "10",
            "RECEIPTS_LIMITS__PERSON__SECONDS": "60",
            "RECEIPTS_LIMITS__PERSON__BURST": "30",
            "RECEIPTS_LIMITS__CUSTOMERS__OPENED": "50",
            "RECEIPTS_LIMITS__CUSTOMERS__LISTED": "500",
            "RECEIPTS_LIMITS__SERVICES": "crm,mobile-app",
        }
    ).limits
    assert (limits.person.count, limits.person.seconds, limits.person.burst) == (10, 60, 30)
    assert (limits.customers.opened, limits.customers.listed) == (50, 500)
    assert limits.service_ids == {"crm", "mobile-app"}
    assert load_settings({"RECEIPTS_LIMITS__SERVICES": ""}).limits.service_ids == frozenset()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"RECEIPTS_LIMITS__CREDIT": "0"}, "RECEIPTS_LIMITS__CREDIT"),
        ({"RECEIPTS_LIMITS__CUSTOMERS": "0"}, "RECEIPTS_LIMITS__CUSTOMERS"),
        ({"RECEIPTS_LIMITS__SERVICES": "crm, mobile app"}, "RECEIPTS_LIMITS__SERVICES"),
        ({"RECEIPTS_LIMITS__OFF": "true"}, "RECEIPTS_LIMITS__OFF"),
        (
            {
                f"RECEIPTS_LIMITS__PERSON__{key}": value
                for key, value in (("COUNT", "1"), ("SECONDS", "3600"), ("BURST", "99"))
            },
            "within a day",
        ),
    ],
)
def test_what_is_no_limit_is_refused_by_its_name(change, says):
    with pytest.raises(SettingsError, match=says):
        load_settings(change)
