"""How a customer shops, in a language model's words: a real endpoint that speaks OpenAI's protocol, written here."""

import json

import pytest

from configs.language_model import SummarySettings
from configs.settings import SettingsError, load_settings
from serve_apps import context
from tests.fixtures.language_model import Endpoint, said, served
from tests.fixtures.retail import make_customer, make_store, store_rows
from tests.fixtures.serving import running

PATH = "/cs/context/C0000001/summary"
PATTERN = "4 visits in the 30 days to 17 Nov 2026, usually at East Liberty."
PROFILE = {
    "customer_id": "C0000001", "lifetime_spend_cents": 123456, "visits": 4, "returns": 0, "average_basket_cents": 3864,
    "days_between_visits": 7.5, "first_visit_on": "2026-10-02", "last_visit_on": "2026-11-17",
    "last_visit_at": "2026-11-17T12:00:00Z", "favourite_store_id": 367, "visits_last_30_days": 4,
    "top_categories": [{"category": "DAIRY", "spend_cents": 900}], "spend_by_month": [], "recent_pattern": PATTERN,
}  # fmt: skip
GOOD = "Shops about every 7.5 days, for some $38 a visit, mostly dairy. The last visit was on November 17, 2026."


@pytest.fixture
def endpoint():
    return Endpoint(said(GOOD))


@pytest.fixture
async def api(settings, sign_ins, owner, endpoint):
    store_rows(settings, stores=[make_store()], customers=[make_customer()])
    owner.execute(
        "INSERT INTO retail.customer_profiles VALUES ('C0000001', '{1}', 123456, 4, NULL, %s)", (json.dumps(PROFILE),)
    )
    with served(endpoint) as url:
        summary = SummarySettings(url=url, model="small-model", api_key="key-of-the-endpoint", timeout_s=1.0)
        app = context.build_app(settings.model_copy(update={"summary": summary}))
        async with running(app, "/cs") as client:
            client.headers.update(sign_ins.headers("rep.east"))
            yield client


async def test_without_an_endpoint_the_profiles_own_sentence_is_shown(settings, sign_ins, owner):
    store_rows(settings, stores=[make_store()], customers=[make_customer()])
    async with running(context.build_app(settings), "/cs") as client:
        client.headers.update(sign_ins.headers("rep.east"))
        empty = await client.get(PATH)
        assert empty.json() == {"customer_id": "C0000001", "source": "pattern", "text": None}
        owner.execute(
            "INSERT INTO retail.customer_profiles VALUES ('C0000001', '{1}', 1, 1, NULL, %s)", (json.dumps(PROFILE),)
        )
        assert (await client.get(PATH)).json()["text"] == PATTERN


async def test_the_model_is_asked_in_its_protocol_and_its_words_are_shown(api, endpoint):
    assert (await api.get(PATH)).json() == {"customer_id": "C0000001", "source": "model", "text": GOOD}
    ((path, headers, body),) = endpoint.received
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == "Bearer key-of-the-endpoint"
    asked = json.loads(body)
    assert asked["model"] == "small-model"
    assert [message["role"] for message in asked["messages"]] == ["system", "user"]
    assert json.loads(asked["messages"][1]["content"])["average_basket"] == "$38.64"


async def test_nothing_that_says_who_the_customer_is_leaves_the_platform(api, endpoint):
    await api.get(PATH)
    sent = repr(endpoint.received).casefold()
    customer = make_customer()
    for secret in ("C0000001", customer.first_name, customer.last_name, customer.email, customer.phone, customer.city):
        assert secret
        assert secret.casefold() not in sent
    assert "rep.east" not in sent


async def test_the_same_facts_are_asked_about_once(api, endpoint):
    for _ in range(3):
        assert (await api.get(PATH)).json()["source"] == "model"
    assert len(endpoint.received) == 1


@pytest.mark.parametrize(
    "written",
    [
        "",
        " \n ",
        "x" * 601,
        "Came 12 times last month.",
        "Spent $99.99.",
        None,
        7,
    ],
)
async def test_what_is_not_fit_to_be_shown_is_not(api, endpoint, written):
    endpoint.answer = {"choices": [{"message": {"content": written}}]}
    assert (await api.get(PATH)).json() == {"customer_id": "C0000001", "source": "pattern", "text": PATTERN}


@pytest.mark.parametrize("answer", [b"<html>", {"error": "no such model"}, {"choices": []}, b"[" * 70_000, [1]])
async def test_an_endpoint_that_answers_wrongly_is_left_alone_for_a_while(api, endpoint, answer):
    endpoint.answer = answer
    for _ in range(2):
        assert (await api.get(PATH)).json()["source"] == "pattern"
    assert len(endpoint.received) == 1


@pytest.mark.parametrize("status", [302, 401, 429, 500])
async def test_an_endpoint_that_refuses_costs_nobody_an_answer(api, endpoint, status):
    endpoint.status = status
    answer = await api.get(PATH)
    assert (answer.status_code, answer.json()["source"]) == (200, "pattern")


async def test_an_endpoint_that_hangs_costs_nobody_more_than_its_time(api, endpoint):
    endpoint.waiting.clear()
    assert (await api.get(PATH)).json()["source"] == "pattern"
    assert (await api.get(PATH)).json()["source"] == "pattern"
    assert len(endpoint.received) == 1


async def test_markup_and_line_breaks_of_a_model_arrive_as_one_line_of_plain_text(api, endpoint):
    endpoint.answer = {"choices": [{"message": {"content": "Buys\n\tdairy,\x00 <b>mostly</b>.\u202e"}}]}
    assert (await api.get(PATH)).json()["text"] == "Buys dairy, <b>mostly</b>."


async def test_the_trail_says_where_the_words_came_from(api, owner):
    answer = await api.get(PATH)
    owner.execute("SELECT audit.project()")
    row = owner.execute(
        "SELECT customer_ids, constraints::jsonb FROM audit.events WHERE request_id = %s",
        (answer.headers["x-request-id"],),
    ).fetchone()
    assert row == (["C0000001"], {"source": "model"})


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("RECEIPTS_SUMMARY__URL", "ftp://host/v1", "https://host/v1"),
        ("RECEIPTS_SUMMARY__URL", "http://host/v1", "RECEIPTS_SUMMARY__MODEL is not set"),
        ("RECEIPTS_SUMMARY__TIMEOUT_S", "0", "RECEIPTS_SUMMARY__TIMEOUT_S is wrong"),
    ],
)
def test_settings_that_cannot_work_are_refused(key, value, told):
    with pytest.raises(SettingsError, match=told):
        load_settings({key: value})
