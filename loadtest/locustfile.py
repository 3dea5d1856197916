"""The file Locust loads: reps at a service desk, signed in one by one, who look receipts up.

Headless on one machine: `receipts load`. With the web page, or on several machines:
`locust -f loadtest/locustfile.py --master --targets FILE --sign-in-secret FILE --host http://...` and on each
worker `locust -f loadtest/locustfile.py --worker --master-host ... --targets FILE --sign-in-secret FILE`.
"""

from __future__ import annotations

import itertools
import json
import random
import time
from pathlib import Path
from typing import Any

from locust import FastHttpUser, events, tag, task
from locust.argument_parser import LocustArgumentParser
from locust.exception import StopUser

from loadtest.choosing import Zipf, describe, misread, phrase, think_s
from loadtest.targets import Target, read_targets

# Who signs in, in turn, and which regions each may see (None: all): three scopes, as in a real service centre. Each
# stands for many people, so their limit is that of a program (`limits.services`).
REPS: tuple[tuple[str, frozenset[int] | None], ...] = (
    ("load.all", None),
    ("load.east", frozenset({1})),
    ("load.west", frozenset({2})),
)
_RENEW_BEFORE_S = 60  # a token is renewed a minute before it ends
_numbers = itertools.count()


@events.init_command_line_parser.add_listener
def add_arguments(parser: LocustArgumentParser) -> None:
    """Tell Locust which options are ours."""
    parser.add_argument("--targets", required=True, help="the file that `receipts load --prepare` wrote")
    parser.add_argument("--sign-in-secret", required=True, help="JSON file that holds development_client_secret")
    parser.add_argument("--think", type=float, default=1.0, help="scale of the pauses; 0 for none")


class Rep(FastHttpUser):
    """One person at a service desk."""

    connection_timeout = 5.0
    network_timeout = 30.0  # beyond it an answer is a failure anyway

    def on_start(self) -> None:
        """Sign in and take the part of the sample that this rep may see."""
        number = next(_numbers)
        options = self.environment.parsed_options
        self.source = random.Random(number)  # noqa: S311  choices, not secrets
        self.principal_id, region_ids = REPS[number % len(REPS)]
        visible = read_targets(Path(options.targets)).within(region_ids)
        if not visible:
            raise StopUser
        self.popular: Zipf[Target] = Zipf(visible)
        known = tuple({t.customer_id for t in visible if t.customer_id})
        self.customers = Zipf(sorted(known)) if known else None
        self.secret: str = json.loads(Path(options.sign_in_secret).read_text())["development_client_secret"]
        self.sign_in()

    def wait_time(self) -> float:
        """Return how long this rep thinks before the next click, in seconds."""
        return think_s(self.source, self.environment.parsed_options.think)

    def sign_in(self) -> None:
        """Fetch an access token by client credentials."""
        form = {"grant_type": "client_credentials", "client_id": self.principal_id, "client_secret": self.secret}
        answer = self.client.post("/auth/token", data=form, name="POST /auth/token")
        if answer.status_code != 200:  # Locust has counted it as a failure
            raise StopUser
        token: dict[str, Any] = answer.json()
        self.headers = {"Authorization": f"Bearer {token['access_token']}"}
        self.renew_at = time.monotonic() + float(token["expires_in"]) - _RENEW_BEFORE_S

    def ask(
        self, method: str, path: str, route: str, body: object = None, expect: tuple[int, ...] = (200,)
    ) -> dict[str, Any] | None:
        """Send one request and return the decoded answer, or None when it is not what was expected."""
        if time.monotonic() > self.renew_at:
            self.sign_in()
        with self.client.request(
            method, path, name=route, headers=self.headers, json=body, catch_response=True
        ) as answer:
            if answer.status_code not in expect:
                answer.failure(f"expected {' or '.join(map(str, expect))}, got {answer.status_code}")
                return None
            answer.success()
            return answer.json()

    @tag("lookup")
    @task(10)
    def look_up(self) -> None:
        """Scan the barcode of a receipt."""
        target = self.popular.choose(self.source)
        self.ask("GET", f"/receipt/{target.receipt_id}", "GET /receipt/{receipt_id}")

    @tag("lookup")
    @task(1)
    def mistype(self) -> None:
        """Type an id with one wrong digit: it must be refused, not looked up."""
        target = self.popular.choose(self.source)
        wrong = misread(target.receipt_id, self.source)
        self.ask("GET", f"/receipt/{wrong}", "GET /receipt/{receipt_id} misread", expect=(400, 422))

    @tag("history")
    @task(4)
    def browse_history(self) -> None:
        """Open a customer's last receipts and then one of them."""
        if self.customers is None:
            return
        customer_id = self.customers.choose(self.source)
        page = self.ask("GET", f"/customers/{customer_id}/receipts?limit=20", "GET /customers/{customer_id}/receipts")
        if page and page["receipts"]:
            chosen = self.source.choice(page["receipts"])["receipt_id"]
            self.ask("GET", f"/receipt/{chosen}", "GET /receipt/{receipt_id}")

    @tag("context")
    @task(3)
    def see_context(self) -> None:
        """See who is on the telephone."""
        if self.customers is not None:
            customer_id = self.customers.choose(self.source)
            self.ask("GET", f"/cs/context/{customer_id}", "GET /cs/context/{customer_id}", expect=(200, 404))

    @tag("fuzzy")
    @task(3)
    def search_fuzzily(self) -> None:
        """Fill in what the customer remembers and open the best hit."""
        self._open_best(self.ask("POST", "/search/fuzzy", "POST /search/fuzzy", describe(self._any(), self.source)))

    @tag("sentence")
    @task(2)
    def search_by_sentence(self) -> None:
        """Type what the customer says and open the best hit."""
        body = {"text": phrase(self._any(), self.source)}
        self._open_best(self.ask("POST", "/search/", "POST /search/", body))

    def _any(self) -> Target:
        return self.popular.choose(self.source)

    def _open_best(self, found: dict[str, Any] | None) -> None:
        if found and found["hits"]:
            best = found["hits"][0]["receipt"]["receipt_id"]
            self.ask("GET", f"/receipt/{best}", "GET /receipt/{receipt_id}")
