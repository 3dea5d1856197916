"""Every event of every page, asked for over HTTP by everybody: who may not is refused before any handler runs."""

from __future__ import annotations

import httpx
import pytest

from configs.settings import Settings
from gradio_ui.asgi import MOUNTS
from receipts.access import PERMISSIONS, Role
from tests.fixtures.serving import PRINCIPALS
from tests.gradio_ui.test_asgi import NAVIGATION, fire, sign_in

PEOPLE = {
    "rep.east": Role.CS_REP,
    "supervisor.east": Role.SUPERVISOR,
    "fraud": Role.FRAUD_TEAM,
    "privacy": Role.PRIVACY_OFFICER,
    "admin": Role.ADMIN,
}
# Which pages each role opens: written out, so that a change of the table of permissions is noticed here.
OPENS = {
    Role.CS_REP: {"/rep"},
    Role.SUPERVISOR: {"/rep", "/supervisor"},
    Role.FRAUD_TEAM: {"/rep", "/supervisor", "/fraud"},
    Role.PRIVACY_OFFICER: {"/privacy"},
    Role.ADMIN: {"/admin"},
}
_MOST_EVENTS = 20  # more than any page has


def test_the_table_of_pages_is_that_of_permissions():
    assert {role: {m for m, needed in MOUNTS.items() if needed in PERMISSIONS[role]} for role in OPENS} == OPENS
    assert set(PEOPLE) < set(PRINCIPALS)


@pytest.mark.parametrize("person", PEOPLE)
def test_a_person_opens_the_pages_of_the_role_and_no_event_of_another(doors: Settings, person: str):
    with httpx.Client(base_url=doors.portal.public_url, timeout=20) as browser:
        sign_in(browser, person)
        for mount in MOUNTS:
            expected = 200 if mount in OPENS[PEOPLE[person]] else 403
            assert browser.get(f"{mount}/", headers=NAVIGATION).status_code == expected, mount
            assert browser.get(f"{mount}/config").status_code == expected, mount
            for event in range(_MOST_EVENTS):  # those that the page does not have are answered with 500 or so
                status = fire(browser, event, {"text": "milk"}, mount).status_code
                assert (status == 403) == (expected == 403), (mount, event)


def test_nobody_without_a_session_gets_anything_from_any_event(doors: Settings):
    with httpx.Client(base_url=doors.portal.public_url, timeout=20) as browser:
        for mount in MOUNTS:
            for event in range(_MOST_EVENTS):
                assert fire(browser, event, {}, mount).status_code == 401


@pytest.mark.parametrize("person", PEOPLE)
def test_downloads_are_for_who_may_and_from_the_page_itself(doors: Settings, person: str):
    may = {
        "/export/5f0c3f0e-0000-4000-8000-000000000000": PEOPLE[person] in (Role.SUPERVISOR, Role.FRAUD_TEAM),
        "/audit.csv": PEOPLE[person] == Role.PRIVACY_OFFICER,
    }
    with httpx.Client(base_url=doors.portal.public_url, timeout=20) as browser:
        for path in may:
            assert browser.get(path).status_code == 303, "without a session"
        sign_in(browser, person)
        for path, allowed in may.items():
            answer = browser.get(path)
            assert (answer.status_code != 403) == allowed, path
            assert browser.get(path, headers={"sec-fetch-site": "cross-site"}).status_code == 403
