"""Receipts by mail over HTTP: scheduled within the own regions, taken back in time, told of without an address."""

import dataclasses
from datetime import datetime, timedelta
from uuid import UUID

import psycopg
import pytest

from configs.limits import LimitSettings, Rate
from receipts.database import DatabaseRole, connect
from serve_apps import deliver
from tests.fixtures.retail import make_customer, make_receipt, make_store, store_rows
from tests.fixtures.serving import running

EAST = make_receipt()
NOBODYS = make_receipt(sequence_number=2, customer_id=None)
SILENT = make_receipt(sequence_number=3, customer_id="C0000003")
WRONG = make_receipt(sequence_number=4, customer_id="C0000004")
WEST = make_receipt(store_id=400, customer_id="C0000002")
ASKED = {"receipt_id": EAST.receipt_id}


@pytest.fixture
def platform(settings, sign_ins):
    store_rows(
        settings,
        stores=[make_store(), make_store(store_id=400, region_id=2)],
        customers=[
            make_customer(),
            make_customer(customer_id="C0000002", email="west@example.com", home_store_id=400),
            make_customer(customer_id="C0000003", email=""),
            make_customer(customer_id="C0000004", email="maria at example.com"),
        ],
        receipts=[EAST, NOBODYS, SILENT, WRONG, WEST],
    )
    often = Rate(count=1_000, seconds=1, burst=1_000)
    return settings.model_copy(update={"limits": LimitSettings(person=often, sensitive=often)})


@pytest.fixture
async def api(platform, sign_ins):
    async with running(deliver.build_app(platform), "/receipt/deliver") as client:
        client.headers.update(sign_ins.headers("rep.east"))
        yield client


async def test_a_delivery_to_the_address_on_file_is_scheduled_and_told_masked(api, owner):
    answer = await api.post("/receipt/deliver/", json=ASKED)
    told = answer.json()
    assert answer.status_code == 202
    assert told.keys() == {
        "delivery_id", "receipt_id", "email_masked", "gift", "status", "requested_at", "requested_by", "send_at",
        "sent_at", "detail", "attempts",
    }  # fmt: skip
    assert (told["status"], told["requested_by"], told["email_masked"]) == ("scheduled", "rep.east", "m***@example.com")
    assert (told["gift"], told["sent_at"], told["detail"], told["attempts"]) == (False, None, None, 0)
    times = [datetime.fromisoformat(told[name]) for name in ("requested_at", "send_at")]
    assert times[1] - times[0] == timedelta(seconds=6)
    assert owner.execute("SELECT address FROM mail.addresses").fetchall() == [("maria.kowalski@example.com",)]
    assert (await api.get(f"/receipt/deliver/{told['delivery_id']}")).json() == told


async def test_a_given_address_goes_to_the_mailer_and_nowhere_else(api, platform, owner, caplog):
    caplog.set_level("DEBUG")
    answer = await api.post("/receipt/deliver/", json=ASKED | {"email": " Bob.Ray@mail.example.org ", "gift": True})
    assert (answer.status_code, answer.json()["email_masked"]) == (202, "B***@mail.example.org")
    assert answer.json()["gift"] is True
    assert "Bob.Ray" not in answer.text
    assert owner.execute("SELECT address FROM mail.addresses").fetchall() == [("Bob.Ray@mail.example.org",)]
    owner.execute("SELECT audit.project()")
    (event,) = owner.execute("SELECT receipt_ids, customer_ids, constraints FROM audit.events").fetchall()
    assert event[:2] == ([EAST.receipt_id], ["C0000001"])
    assert '"to": "given_address"' in event[2]
    told = "\n".join(str(row) for row in owner.execute("SELECT payload FROM audit.spool").fetchall())
    assert "Bob" not in told + "\n".join(one.getMessage() for one in caplog.records if "httpx" not in one.name)
    with connect(platform, DatabaseRole.API) as role:
        for table in ("mail.addresses", "mail.digest_key"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege), role.transaction():
                role.execute(f"SELECT * FROM {table}")


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"receipt_id": NOBODYS.receipt_id}, "email"),
        ({"receipt_id": SILENT.receipt_id}, "email"),
        ({"receipt_id": WRONG.receipt_id}, "email"),
        ({"email": "ann"}, "email"),
        ({"email": "ann@localhost"}, "email"),
        ({"email": "ann@example..com"}, "email"),
        ({"email": ".ann@example.com"}, "email"),
        ({"email": f"{'a' * 65}@example.com"}, "email"),
        ({"email": "ann@exämple.com"}, "email"),
        ({"email": "ann@example.com\r\nBcc: all@example.com"}, "email"),
        ({"email": "ann@example.com,bob@example.com"}, "email"),
        ({"email": '"a b"@example.com'}, "email"),
        ({"email": f"ann@{'a.' * 130}com"}, "email"),
        ({"email": ""}, "email"),
        ({"gift": "yes"}, "gift"),
        ({"receipt_id": "2611170036700300000104"}, "receipt_id"),
        ({"cc": "bob@example.com"}, "cc"),
    ],
)
async def test_what_cannot_be_mailed_is_refused_and_not_repeated(api, owner, asked, field):
    answer = await api.post("/receipt/deliver/", json=ASKED | asked)
    assert (answer.status_code, answer.json()["field"]) == (422, field)
    assert "ann" not in answer.text
    assert owner.execute("SELECT count(*) FROM mail.deliveries").fetchone() == (0,)


@pytest.mark.parametrize("email", ["o'neil+shop@mail.example.co.uk", "a@xn--bcher-kva.example", "A_b-c.d@x-y.example"])
async def test_addresses_as_people_have_them_are_taken(api, email):
    assert (await api.post("/receipt/deliver/", json=ASKED | {"email": email})).status_code == 202


async def test_a_receipt_of_other_regions_is_not_there_to_mail_nor_are_its_deliveries(api, platform, sign_ins, owner):
    asked = {"receipt_id": WEST.receipt_id}
    assert (await api.post("/receipt/deliver/", json=asked)).status_code == 404
    assert (await api.post("/receipt/deliver/", json=asked | {"email": "a@example.com"})).status_code == 404
    west = sign_ins.headers("rep.west")
    made = (await api.post("/receipt/deliver/", json=asked, headers=west)).json()
    for method, path in (
        ("GET", f"/receipt/deliver/{made['delivery_id']}"),
        ("POST", f"/receipt/deliver/{made['delivery_id']}/undo"),
        ("GET", f"/receipt/deliver/?receipt_id={WEST.receipt_id}"),
    ):
        assert (await api.request(method, path)).status_code == 404
        assert (await api.request(method, path, headers=west)).status_code == 200


async def test_the_serving_role_can_take_back_and_change_nothing_else(api, platform, sign_ins, owner):
    for name, receipt in (("rep.east", EAST), ("rep.west", WEST)):
        body = {"receipt_id": receipt.receipt_id}
        assert (await api.post("/receipt/deliver/", json=body, headers=sign_ins.headers(name))).status_code == 202
    scope = sign_ins.principal("rep.east").scope_id

    def try_out(statement: str) -> None:
        with connect(platform, DatabaseRole.API) as role:
            role.execute("SELECT set_config('app.scope', %s, true)", (scope,))
            role.execute(statement)

    for statement in (
        "UPDATE mail.deliveries SET status = 'sent'",
        "UPDATE mail.deliveries SET due_at = now()",
        "DELETE FROM mail.deliveries",
        "INSERT INTO mail.deliveries SELECT * FROM mail.deliveries",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            try_out(statement)
    try_out("UPDATE mail.deliveries SET status = 'cancelled'")
    kept = owner.execute("SELECT receipt_id FROM mail.deliveries WHERE status = 'scheduled'").fetchall()
    assert kept == [(WEST.receipt_id,)]


async def test_a_delivery_is_taken_back_once_and_again_and_its_address_is_gone(api, owner):
    made = (await api.post("/receipt/deliver/", json=ASKED)).json()
    for _ in range(2):
        answer = await api.post(f"/receipt/deliver/{made['delivery_id']}/undo")
        assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    assert owner.execute("SELECT count(*) FROM mail.addresses").fetchone() == (0,)


@pytest.mark.parametrize("status", ["sending", "sent", "failed"])
async def test_it_is_too_late_once_somebody_sends_it(api, owner, status):
    made = (await api.post("/receipt/deliver/", json=ASKED)).json()
    owner.execute("UPDATE mail.deliveries SET status = %s", [status])
    answer = await api.post(f"/receipt/deliver/{made['delivery_id']}/undo")
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:receipts:problem:conflict")
    assert owner.execute("SELECT status FROM mail.deliveries").fetchone() == (status,)


async def test_the_same_key_of_the_same_person_is_one_delivery(api, sign_ins, owner):
    key = {"Idempotency-Key": "press 1 of tab-7"}
    first = await api.post("/receipt/deliver/", json=ASKED, headers=key)
    again = await api.post("/receipt/deliver/", json=ASKED, headers=key)
    assert (again.status_code, again.json()) == (202, first.json())
    other = await api.post("/receipt/deliver/", json=ASKED, headers=key | sign_ins.headers("rep.all"))
    assert other.json()["delivery_id"] != first.json()["delivery_id"]
    assert owner.execute("SELECT count(*) FROM mail.deliveries").fetchone() == (2,)
    owner.execute("UPDATE mail.deliveries SET status = 'sent', sent_at = now()")  # its address is gone
    again = await api.post("/receipt/deliver/", json=ASKED, headers=key)
    assert (again.status_code, again.json()["status"]) == (202, "sent")


@pytest.mark.parametrize(
    "other", [{"gift": True}, {"email": "bob@example.com"}, {"receipt_id": NOBODYS.receipt_id, "email": "a@b.example"}]
)
async def test_a_key_is_good_for_one_request(api, owner, other):
    key = {"Idempotency-Key": "k1"}
    await api.post("/receipt/deliver/", json=ASKED, headers=key)
    answer = await api.post("/receipt/deliver/", json=ASKED | other, headers=key)
    assert (answer.status_code, answer.json()["field"]) == (422, "Idempotency-Key")
    assert owner.execute("SELECT count(*) FROM mail.deliveries").fetchone() == (1,)


async def test_a_given_address_is_compared_by_its_digest_whatever_its_case(api):
    key = {"Idempotency-Key": "k1"}
    answers = [
        await api.post("/receipt/deliver/", json=ASKED | {"email": email}, headers=key)
        for email in ("ann@example.com", "Ann@Example.com", "bob@example.com")
    ]
    assert [answer.status_code for answer in answers] == [202, 202, 422]


@pytest.mark.parametrize("key", ["", "x" * 101, "tab\there", "é"])
async def test_a_key_is_a_hundred_printable_characters_at_most(api, key):
    answer = await api.post("/receipt/deliver/", json=ASKED, headers={b"Idempotency-Key": key.encode()})
    assert (answer.status_code, answer.json()["field"]) == (422, "Idempotency-Key")


async def test_the_deliveries_of_a_receipt_are_listed_the_newest_first_and_twenty_at_most(api):
    assert (await api.get(f"/receipt/deliver/?receipt_id={EAST.receipt_id}")).json() == {"deliveries": []}
    made = [(await api.post("/receipt/deliver/", json=ASKED)).json() for _ in range(21)]
    listed = (await api.get(f"/receipt/deliver/?receipt_id={EAST.receipt_id}")).json()["deliveries"]
    assert listed == made[:0:-1]


async def test_a_delivery_that_waits_for_too_long_says_so(api, owner):
    made = (await api.post("/receipt/deliver/", json=ASKED)).json()
    owner.execute("UPDATE mail.deliveries SET due_at = now() - interval '1 minute'")
    told = (await api.get(f"/receipt/deliver/{made['delivery_id']}")).json()
    assert told["detail"] == "It is due and waits for the mailer, or for the mail server."


async def test_only_asking_counts_against_the_limit_of_deliveries(settings, platform, sign_ins):
    limits = LimitSettings(sensitive=Rate(count=60, seconds=3_600, burst=2))
    app = deliver.build_app(platform.model_copy(update={"limits": limits}))
    async with running(app, "/receipt/deliver") as api:
        api.headers.update(sign_ins.headers("rep.east"))
        made = [await api.post("/receipt/deliver/", json=ASKED) for _ in range(3)]
        assert [answer.status_code for answer in made] == [202, 202, 429]
        path = f"/receipt/deliver/{made[0].json()['delivery_id']}"
        for _ in range(5):
            assert (await api.get(path)).status_code == 200
        assert (await api.post(f"{path}/undo")).status_code == 200


async def test_where_mail_is_not_set_up_nothing_is_scheduled_and_the_setting_is_named(platform, sign_ins, owner):
    app = deliver.build_app(platform)  # whose keys are those of the embedded platform
    elsewhere = platform.model_copy(update={"environment": "production"})
    app.state.context = dataclasses.replace(app.state.context, settings=elsewhere)
    async with running(app, "/receipt/deliver") as api:
        answer = await api.post("/receipt/deliver/", json=ASKED, headers=sign_ins.headers("rep.east"))
    told = "Mail is not set up here: RECEIPTS_MAIL__HOST is empty."
    assert (answer.status_code, answer.json()["detail"]) == (503, told)
    assert owner.execute("SELECT count(*) FROM mail.deliveries").fetchone() == (0,)


async def test_two_at_once_with_one_key_make_one_delivery(platform, sign_ins, owner):
    """The second waits for the first one's transaction and finds what it made."""
    scope = sign_ins.principal("rep.east").scope_id
    asked = (EAST.receipt_id, "ann@example.com", "a***@example.com", False, "rep.east", "k1", 6.0)
    statement = "SELECT outcome, delivery_id FROM mail.schedule(%s, %s, %s, %s, %s, %s, %s)"
    made: list[tuple[str, UUID]] = []
    with connect(platform, DatabaseRole.API) as first, connect(platform, DatabaseRole.API) as second:
        for one in (first, second):
            one.execute("SELECT set_config('app.scope', %s, true)", (scope,))
        made.append(first.execute(statement, asked).fetchone())
        second.pgconn.send_query_params(
            b"SELECT outcome, delivery_id FROM mail.schedule($1, $2, $3, $4::bool, $5, $6, $7::float8)",
            [str(one).encode() for one in asked],
        )
        first.commit()
        result = second.pgconn.get_result()
        while result is None:
            result = second.pgconn.get_result()
        made.append((result.get_value(0, 0).decode(), UUID(result.get_value(0, 1).decode())))
        while second.pgconn.get_result() is not None:
            pass
        second.commit()
    assert [outcome for outcome, _ in made] == ["scheduled", "known"]
    assert made[0][1] == made[1][1]
    assert owner.execute("SELECT count(*) FROM mail.deliveries").fetchone() == (1,)
