"""A portal session outlives its access token: renewed once for all requests, and over when the issuer says so."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import httpx
import psycopg
import pytest

from gradio_ui.asgi import build_app
from tests.fixtures.ports import free_ports
from tests.gradio_ui.conftest import served
from tests.gradio_ui.test_asgi import NAVIGATION, sign_in

ROTATIONS = "SELECT count(*) FILTER (WHERE used_at IS NOT NULL), count(*) FROM auth.refresh_tokens"
ENDS = "SELECT ended_by FROM auth.sessions"


@pytest.fixture
def settings(settings):
    """A platform whose access tokens are due for the next one at once, and that takes any repetition for a theft."""
    auth = settings.auth.model_copy(update={"access_token_s": 60, "refresh_grace_s": 0})
    return settings.model_copy(update={"auth": auth})


@pytest.fixture
def browser(doors):
    with httpx.Client(base_url=doors.portal.public_url, timeout=20) as client:
        yield client


def test_each_request_with_a_token_that_is_due_renews_it(browser, owner: psycopg.Connection):
    sign_in(browser, "rep.east")
    before, _ = owner.execute(ROTATIONS).fetchone()
    assert [browser.get("/rep/", headers=NAVIGATION).status_code for _ in range(3)] == [200] * 3
    after, given = owner.execute(ROTATIONS).fetchone()
    assert after >= before + 3
    assert given == after + 1
    assert owner.execute(ENDS).fetchall() == [(None,)]


def test_requests_that_come_together_do_not_take_each_other_for_thieves(browser, owner: psycopg.Connection):
    sign_in(browser, "rep.east")
    cookies = dict(browser.cookies)
    with ThreadPoolExecutor(8) as threads:
        url = str(browser.base_url.join("/rep/config"))
        answers = threads.map(lambda _: httpx.get(url, cookies=cookies, timeout=20).status_code, range(16))
    assert set(answers) == {200}
    assert owner.execute(ENDS).fetchall() == [(None,)]


def test_nor_do_two_processes_of_the_portal(doors, browser, owner: psycopg.Connection):
    sign_in(browser, "rep.east")
    cookies = dict(browser.cookies)
    (port,) = free_ports(1)
    with served(partial(build_app, doors), port), ThreadPoolExecutor(8) as threads:
        urls = [f"http://127.0.0.1:{one}/rep/config" for one in (doors.portal.port, port)] * 8
        answers = threads.map(lambda url: httpx.get(url, cookies=cookies, timeout=20).status_code, urls)
        assert set(answers) == {200}
    assert owner.execute(ENDS).fetchall() == [(None,)]


def test_a_session_that_the_issuer_ended_is_over(browser, owner: psycopg.Connection):
    sign_in(browser, "rep.east")
    owner.execute("UPDATE auth.sessions SET ended_at = now(), ended_by = 'revocation'")
    assert browser.get("/rep/config").status_code == 401
    assert owner.execute("SELECT count(*) FROM portal.sessions").fetchone() == (0,)


def test_signing_out_ends_the_session_at_the_issuer(browser, owner: psycopg.Connection):
    sign_in(browser, "rep.east")
    assert browser.post("/sign-out").status_code == 303
    assert owner.execute(ENDS).fetchall() == [("sign_out",)]
