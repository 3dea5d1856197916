"""What attackers send, into every parameter of every route: refused or found to be nothing, noted, never repeated."""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import quote

from serve_apps.openapi import whole_document
from tests.fixtures.retail import make_customer, make_receipt, make_store, store_rows
from tests.fixtures.whole_api import whole_api
from tests.serve_apps.test_access_matrix import events

MARK = "zqxmark"  # stands in every text sent, and may stand in no log line
NAMED = "a parameter named"
TEXTS = (
    f"{MARK}' OR '1'='1",
    f"{MARK}'; DROP TABLE retail.receipts; --",
    f"{MARK}' UNION SELECT email, phone FROM retail.customer_contacts --",
    f"{MARK}'||(SELECT pg_sleep(60))||'",
    f'{MARK}"; SELECT pg_sleep(60); --',
    f"{MARK}$$; SELECT pg_sleep(60); $$",
    f"{MARK} %s %(scope)s {{}} \\",
    f"{MARK}/**/OR/**/1=1#",
    f"{MARK}\x00tail",
    f"{MARK}\r\nSet-Cookie: a=b",
    f"{MARK}\u202egnp.exe",
    f"{MARK}\ud7ff\uffff\U0010ffff",
    f"../../../../etc/passwd{MARK}",
    f"..\\..\\{MARK}",
    f"{MARK}<script>alert(1)</script>",
    f"${{jndi:ldap://{MARK}/a}}",
    f"{MARK}{{{{7*7}}}}",
    MARK * 9_000,
    "\U0001f600" * 2_000 + MARK,
    "",
    " ",
    "null",
    "NaN",
    "-1",
    "9" * 400,
    "1e309",
    "0x1F",
    "\u0661\u0662\u0663",
)
VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 10**400, 1.5, 1e300, [], {}, [[]], ["a", ["b"]], {"$gt": ""}, {"__proto__": {"a": 1}},
    "\ud800",
)  # fmt: skip
RAW = (  # percent-encoded bytes of a query or path that are no text
    "%00", "%ff%fe", "%c0%ae%c0%ae/", "%ed%a0%80", "%2e%2e%2f%2e%2e%2f", "%25%30%30", "%0d%0aX: y",
)  # fmt: skip
BODIES: tuple[tuple[str, bytes], ...] = (
    ("application/json", b"[" * 20_000 + b"]" * 20_000),
    ("application/json", b'{"a":' * 5_000 + b"1" + b"}" * 5_000),
    ("application/json", b"\xff\xfe{}"),
    ("application/json", b'{"text": "\xed\xa0\x80"}'),
    ("application/json", b"NaN"),
    ("application/json", b'{"limit": Infinity}'),
    ("application/json", b""),
    ("application/json", b"null"),
    ("application/json", b"{" + b" " * 70_000 + b"}"),
    ("application/xml", b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>'),
    ("text/plain", b'{"text": "a"}'),
    ("multipart/form-data; boundary=x", b"--x\r\n\r\n--x--"),
    ("application/x-www-form-urlencoded", b"text=a&text=b"),
    ("\xff", b"{}"),
)
GOOD = {  # what fills the other parameters while one is attacked
    "receipt_id": "2611170036700300000103", "customer_id": "C0000001", "quarantine_id": "1", "order_id": "1",
    "delivery_id": "00000000-0000-0000-0000-000000000001", "flag_id": "1", "pattern_id": "0" * 32,
    "store_id": "367", "business_date": "2026-11-17", "register_id": "3", "sequence_number": "1",
    "export_id": "0198c0de-0000-7000-8000-000000000000", "request_id": "1",
}  # fmt: skip
GOOD_BODIES: dict[str, dict[str, Any]] = {
    "POST /receipt/batch": {"receipt_ids": ["2611170036700300000103"]},
    "POST /receipt/deliver/": {"receipt_id": "2611170036700300000103", "email": "ann@example.com"},
    "POST /customers/{customer_id}/contacts/reveal": {"reason": "call_back"},
    "POST /search/fuzzy/": {"store": "East Liberty"},
    "POST /search/": {"text": "milk from East Liberty"},
    "POST /fraud/flags": {"subject": "customer", "subject_id": "C0000001", "reason": "other", "note": "twice a day"},
    "POST /fraud/flags/{flag_id}/review": {"outcome": "cleared", "note": "a large family"},
    "POST /admin/quarantine/{quarantine_id}/orders": {"action": "dismiss"},
    "POST /export/receipts": {
        "date_from": "2026-11-17", "date_to": "2026-11-17", "store_ids": [367], "format": "csv", "reason": "legal",
    },
    "POST /compliance/requests": {"kind": "access", "law": "gdpr", "customer_id": "C0000001", "channel": "phone"},
    "POST /compliance/requests/{request_id}/steps": {"step": "confirm"},
}  # fmt: skip
# Who may ask what reps may not, by the path's first part.
ASKED_BY = {
    "admin": "admin", "audit": "privacy", "compliance": "privacy", "customers": "fraud", "export": "fraud",
    "fraud": "fraud",
}  # fmt: skip
ITS_OWN = "POST /fraud/flags/{flag_id}/review"  # 403: whoever raised a flag, as an attack before, does not review it
ACCEPTED = {200, 201, 202, 400, 404, 405, 409, 413, 415, 422}


class Attack(NamedTuple):
    """One request, and where in it the payload stands."""

    method: str
    path: str
    body: bytes | None
    content_type: str
    where: str


def attacks() -> Iterator[Attack]:
    """Yield every payload in every parameter that the document names."""
    document = whole_document()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            name = f"{method.upper()} {path}"
            yield from _in_path_and_query(name, operation)
            if "requestBody" in operation:
                yield from _in_body(name, _fields(operation, document))


def _in_path_and_query(name: str, operation: dict[str, Any]) -> Iterator[Attack]:
    method, path = name.split(" ")
    parameters = operation.get("parameters", [])
    body = json.dumps(GOOD_BODIES[name]).encode() if name in GOOD_BODIES else None
    good_path = path.format(**GOOD)
    query = {p["name"]: GOOD[p["name"]] for p in parameters if p["in"] == "query" and p.get("required")}
    payloads = [quote(text, safe="", errors="surrogatepass") for text in TEXTS] + list(RAW)
    for parameter in parameters:
        for payload in payloads:
            where = f"{name}: {parameter['in']} {parameter['name']} = {payload[:40]}"
            if parameter["in"] == "path":
                target = path.format(**(GOOD | {parameter["name"]: payload}))
                yield Attack(method, f"{target}?{_joined(query)}" if query else target, body, "application/json", where)
            else:
                target = f"{good_path}?{_joined(query | {parameter['name']: payload})}"
                yield Attack(method, target, body, "application/json", where)
        twice = f"{parameter['name']}=1&{parameter['name']}=2"
        yield Attack(method, f"{good_path}?{twice}", body, "application/json", f"{name}: {parameter['name']} twice")
    for payload in payloads:
        target = f"{good_path}?{payload}=1"
        yield Attack(method, target, body, "application/json", f"{name}: {NAMED} {payload[:40]}")


def _joined(query: dict[str, str]) -> str:
    return "&".join(f"{key}={value}" for key, value in query.items())


def _in_body(name: str, fields: list[str]) -> Iterator[Attack]:
    method, path = name.split(" ")
    target = path.format(**GOOD)
    for field in fields:
        for value in (*TEXTS, *VALUES, ["a"] * 3_000):
            body = copy.deepcopy(GOOD_BODIES[name]) | {field: value}
            where = f"{name}: body {field} = {str(value)[:40]!r}"
            yield Attack(method, target, json.dumps(body).encode(), "application/json", where)
            body[field] = [value]
            yield Attack(method, target, json.dumps(body).encode(), "application/json", f"{where} in an array")
    for content_type, raw in BODIES:
        yield Attack(method, target, raw, content_type, f"{name}: a body of {content_type!r} {raw[:20]!r}")


def _fields(operation: dict[str, Any], document: dict[str, Any]) -> list[str]:
    reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    return list(document["components"]["schemas"][reference.rsplit("/", 1)[1]]["properties"])


async def test_nothing_hostile_is_answered_with_more_than_a_refusal(settings, owner, sign_ins, caplog):
    store_rows(settings, stores=[make_store()], customers=[make_customer()], receipts=[make_receipt()])
    before = counts(owner)
    wrong, asked = [], {}
    caplog.set_level(logging.DEBUG)
    for client in ("httpx", "httpcore"):  # which send the attacks, and tell of it
        logging.getLogger(client).setLevel(logging.WARNING)
    headers = {role: sign_ins.headers(role) for role in ("fraud", "admin")}
    async with whole_api(settings) as api:
        for attack in attacks():
            who = "admin" if attack.path.startswith("/admin") else "fraud"
    headers = {role: sign_ins.headers(role) for role in ("rep.all", *ASKED_BY.values())}
    async with whole_api(settings) as api:
        for attack in attacks():
            who = ASKED_BY.get(attack.path.split("/")[1], "rep.all")
            content = {b"content-type": attack.content_type.encode("latin-1")} if attack.body is not None else {}
            signed = {key.encode(): value.encode() for key, value in headers[who].items()} | content
            answer = await api.ask(attack.method, attack.path, content=attack.body, headers=signed)
            asked[answer.headers["x-request-id"]] = answer.status_code
            wrong += [f"{attack.where}: {problem}" for problem in problems(answer, attack)]
    assert wrong == []
    assert len(asked) > 1_000
    assert {request: status for request, (*_, status) in events(owner).items()} == asked, "each is on record once"
    assert [line for line in caplog.messages if MARK in line] == []
    assert counts(owner) == before


def problems(answer: Any, attack: Attack) -> list[str]:
    """Say what is wrong with an answer to an attack."""
    if answer.status_code not in ACCEPTED and not (answer.status_code == 403 and attack.where.startswith(ITS_OWN)):
        return [f"answered {answer.status_code}"]
    if answer.status_code < 300:
        return []
    found = []
    if answer.headers["content-type"] != "application/problem+json" or answer.json()["status"] != answer.status_code:
        found.append("is no problem document")
    if MARK in answer.text and NAMED not in attack.where:  # a wrong parameter is named, in 60 printable characters
        found.append("repeats what was sent")
    return found


def counts(owner) -> list[int]:
    """Count what an injected statement could have changed."""
    tables = ("retail.receipts", "retail.customers", "retail.stores", "retail.customer_contacts", "access.principals")
    return [owner.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables]
