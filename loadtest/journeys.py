"""What a rep does in one call, click by click, and what an integration asks for."""

from __future__ import annotations

import random
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from loadtest.choosing import Zipf, absent, describe, misread, phrase
from loadtest.targets import Target, Targets
from receipts.identity import natural_key

LOOKUP = "GET /receipt/{receipt_id}"
BATCH = "POST /receipt/batch"
_BATCH_SIZE = 100  # receipts in one request: what a CRM shows of a few customers


class Step(NamedTuple):
    """One request: what is asked, under which name it is counted, and what a right answer is."""

    method: str
    path: str
    route: str
    body: object = None
    expect: tuple[int, ...] = (200,)
    holds: str = ""  # a text that the answer must contain


Answer = Mapping[str, Any] | None  # None: not what was expected, and counted as a failure
Steps = Generator[Step, Answer, None]


class Sight(NamedTuple):
    """The part of the sample that one person may see, and what lies elsewhere."""

    popular: Zipf[Target]
    members: Zipf[Target] | None  # receipts of known customers
    elsewhere: Zipf[Target] | None

    @classmethod
    def of(cls, sample: Targets, region_ids: frozenset[int] | None) -> Sight | None:
        """Return what somebody of these regions sees; None when there is nothing of them in the sample."""
        visible = sample.within(region_ids)
        if not visible:
            return None
        members = tuple(t for t in visible if t.customer_id)
        elsewhere = tuple(t for t in sample.targets if region_ids is not None and t.region_id not in region_ids)
        return cls(Zipf(visible), Zipf(members) if members else None, Zipf(elsewhere) if elsewhere else None)


@dataclass(frozen=True, slots=True)
class Desk:
    """A rep: what there is to ask for, and the chances a call takes."""

    sight: Sight
    source: random.Random

    def happens(self, share: float) -> bool:
        """Say whether something happens that happens in so large a share (0..1) of calls."""
        return self.source.random() < share


def receipt_at_hand(desk: Desk) -> Steps:
    """Scan or type the receipt the customer holds, then see who that is and what else was bought."""
    target = desk.sight.popular.choose(desk.source)
    if desk.happens(0.08):
        wrong = misread(target.receipt_id, desk.source)
        yield Step("GET", f"/receipt/{wrong}", f"{LOOKUP} misread", expect=(400, 422))
    if desk.happens(0.10):
        yield _by_natural_key(target)
    else:
        yield _open(target.receipt_id)
    if target.customer_id and desk.happens(0.5):
        yield _context(target.customer_id)
        if desk.happens(0.5):
            yield from _browse(desk, target.customer_id)


def not_there(desk: Desk) -> Steps:
    """Type the number of a receipt that does not exist, then ask what is remembered of it."""
    target = desk.sight.popular.choose(desk.source)
    yield Step("GET", f"/receipt/{absent(target.receipt_id, desk.source)}", f"{LOOKUP} absent", expect=(404,))
    yield from remembered(desk)


def of_another_region(desk: Desk) -> Steps:
    """Type the number of another region's receipt: it must look as if there were none."""
    if desk.sight.elsewhere is None:
        yield from receipt_at_hand(desk)
        return
    target = desk.sight.elsewhere.choose(desk.source)
    yield Step("GET", f"/receipt/{target.receipt_id}", f"{LOOKUP} of another region", expect=(404,))


def known_customer(desk: Desk) -> Steps:
    """See who is on the telephone, browse what was bought, and open one or two of the receipts."""
    if desk.sight.members is None:
        yield from receipt_at_hand(desk)
        return
    customer_id = desk.sight.members.choose(desk.source).customer_id or ""
    yield _context(customer_id)
    yield from _browse(desk, customer_id)
    if desk.happens(0.3):
        yield from _browse(desk, customer_id)


def remembered(desk: Desk) -> Steps:
    """Fill in what the customer remembers and open the best hit."""
    target = desk.sight.popular.choose(desk.source)
    found = yield Step("POST", "/search/fuzzy", "POST /search/fuzzy", describe(target, desk.source))
    yield from _open_best(desk, found)


def told(desk: Desk) -> Steps:
    """Type what the customer says and open the best hit; say it differently when nothing was found."""
    target = desk.sight.popular.choose(desk.source)
    for _ in range(2):
        body = {"text": phrase(target, desk.source)}
        found = yield Step("POST", "/search/", "POST /search/", body)
        if found is None or found["hits"]:
            yield from _open_best(desk, found)
            return


class Kind(NamedTuple):
    """A kind of call: `tag` chooses it on the command line, `weight` is how many of a hundred calls are of it."""

    tag: str
    weight: int
    steps: Callable[[Desk], Steps]


# How often, of a hundred calls. Nobody has published the mix of a retailer's service desk: these are assumptions, each
# with its reason in docs/load-testing.md, to be changed here when your own desk's figures are known.
CALLS = (
    Kind("lookup", 45, receipt_at_hand),
    Kind("lookup", 5, not_there),
    Kind("lookup", 3, of_another_region),
    Kind("customer", 25, known_customer),
    Kind("fuzzy", 10, remembered),
    Kind("sentence", 12, told),
)


def fetch_batch(desk: Desk) -> Steps:
    """Fetch many receipts at once, one of them absent, as a CRM does."""
    wanted = {desk.sight.popular.choose(desk.source).receipt_id for _ in range(_BATCH_SIZE - 1)}
    missing = absent(min(wanted), desk.source)
    body = {"receipt_ids": [*sorted(wanted), missing]}
    yield Step("POST", "/receipt/batch", BATCH, body, holds=f'"not_found":["{missing}"]')


def look_up(desk: Desk) -> Step:
    """Return one lookup, the popular receipts often: what a program of constant rate asks for."""
    return _open(desk.sight.popular.choose(desk.source).receipt_id)


def _open(receipt_id: str) -> Step:
    return Step("GET", f"/receipt/{receipt_id}", LOOKUP, holds=receipt_id)


def _by_natural_key(target: Target) -> Step:
    """Type what the till printed, where the barcode is torn."""
    key = natural_key(target.receipt_id)
    query = (
        f"store_id={key.store_id}&business_date={key.business_date}"
        f"&register_id={key.register_id}&sequence_number={key.sequence_number}"
    )
    return Step("GET", f"/receipt/?{query}", "GET /receipt/", holds=target.receipt_id)


def _context(customer_id: str) -> Step:
    return Step("GET", f"/cs/context/{customer_id}", "GET /cs/context/{customer_id}", holds=customer_id)


def _browse(desk: Desk, customer_id: str) -> Steps:
    """Look at a customer's last receipts, sometimes at those before, and open one of them."""
    path, route = f"/customers/{customer_id}/receipts?limit=20", "GET /customers/{customer_id}/receipts"
    page = yield Step("GET", path, route, holds=customer_id)
    if page and page["next_cursor"] and desk.happens(0.15):
        page = yield Step("GET", f"{path}&cursor={page['next_cursor']}", route, holds=customer_id)
    if page and page["receipts"]:
        yield _open(desk.source.choice(page["receipts"])["receipt_id"])


def _open_best(desk: Desk, found: Answer) -> Steps:
    if not found or not found["hits"]:
        return
    best = found["hits"][0]["receipt"]
    yield _open(best["receipt_id"])
    if best["customer_id"] and desk.happens(0.4):
        # A search knows customers by their receipts: the customer's own record may be missing.
        yield _context(best["customer_id"])._replace(expect=(200, 404), holds="")
