"""What was bought: what is left of a sentence once everything else is understood and small talk is dropped."""

from __future__ import annotations

import re
from dataclasses import dataclass

from receipts.products import expand, singular
from serve_apps.understanding.near_words import NearWords
from serve_apps.understanding.numerals import WORDS, number
from serve_apps.understanding.people import brand_spans
from serve_apps.understanding.product_evidence import STORY, Candidate, goods_among, is_denied
from serve_apps.understanding.query import Kind, Mention
from serve_apps.understanding.slate import Slate
from serve_apps.understanding.word_lists import retail_words, words

# Things with "and" inside them, which is no list of two.
_TOGETHER = re.compile(
    r"\b(?:mac(?:aroni)?|half|salt|sweet|ham|pork|bread|oil|cookies|peanut butter|rice|beans|spaghetti|fish|biscuits|surf|sour cream|chicken|franks|"
    r"head|arm|black|red|m|a|b|hot)\s*(?:and|&|n|'n'|n')\s*(?:cheese|half|vinegar|sour|beans|butter|cream|jelly|rice|meatballs|chips|gravy|turf|onion|"
    r"shoulders|hammer|decker|m's|ms|m|w|noodles|dumplings|waffles|spicy|eggs|white)\b"
    r"|\b(?:can|bottle|letter) openers?\b|\bvitamin [a-k]\d*\b|\blottery tickets?\b"
    r"|\bcontact lens(?:es)?(?: solution| case)?\b|\bscratching posts?\b|\bremote control(?:led)?(?: \w+)?\b"
    r"|\bnew (?:york|england|orleans|zealand)\b"
)
_BREAK = re.compile(
    r"[,;:!?()\[\]\"\ue000\n\t|+*=<>{}]|\s-+\s|\.(?:\s|$)|/(?=\s)|\s/|\s&\s|\b(?:and|plus|or|also|along with|as well as|with|w/|but|then|but not)\b"
)
_WORD = re.compile(r"[^\s]+")
_DRAWN_OUT = re.compile(r"([a-z])\1\1")  # sooo, heyyy
_JUST_NUMBER = re.compile(r"^[#x]?\d+(?:[.,/]\d+)*x?$|^[^\w%]+$")
_MEASURE = re.compile(r"^\d+(?:\.\d+)?-?(?:oz|lbs?|ml|l|g|kg|ct|pk|pack|count|gal|qt|pt|in|ft)$")
# A visit to a part of the shop, which is no thing: "bakery order, cupcakes".
_DEPARTMENT = re.compile(
    r"\b(?:bakery|deli|produce|meat|seafood|pharmacy|floral|grocery|groceries|food|big|weekly|huge|large|small)\s+"
    r"(?:order|counter|dept\.?|department|section|aisle|run|trip|shop(?:ping)?|haul|pick\s?up|purchase|return)s?\b"
)
_MUCH = re.compile(
    r"\b(?:half|quarter|third|\d/\d)\s+(?:of\s+)?(?:an?\s+)?(?:pounds?|lbs?|dozen|gallons?|sheet|case|pint)\b(?:\s+of\b)?|\b(?:couple|few)\s+of\b"
    r"|\b(?:warm|best|kind)(?:est)?\s+(?:regards|wishes)\b|\b\d+\s?%\s+(?:off|coupon|discount|sale)\b|\bno\s+(?:sugar|salt|msg|preservatives?)\s+added\b"
)
# Said of goods as well as of anything: "gift bag" and "kids bike", but "a bag of apples" and "two kids".
_TAILS = frozenset(
    "card cards bag bags set sets box boxes bar bars kit kits case cases jar jars pack".split()  # noqa: SIM905  a line
)
_HEADS = frozenset(
    "phone kids kid's mens men's womens women's ladies lady's mother's father's double extra".split()  # noqa: SIM905  a line
)
_BEFORE_VERBS = frozenset("was were is are am be been being i he she they we you it to started keeps kept".split())  # noqa: SIM905  a line
_CARD_FOLLOWS = re.compile(r"\s*(?:#|no\b|number|ending|ends|end\b|last|with|that|x*\d)")
_MOST_TERMS = 8
_MOST_ALONE = 4  # words
_SURE, _LEFT_OVER = 0.9, 0.6  # confidence in what shops sell, and in a word that only nothing else claimed
_MOST_PIECES = 99
_COUNT_BEFORE = re.compile(
    rf"(?<![\w$.,/#-])(?P<n>\d{{1,2}}|{WORDS})\s+(?:x\s+)?(?:(?:bags?|boxes|box|bottles?|cans?|packs?|packages?|cartons?|jars?|loaves|loaf|bunches|cases?|things?)\s+(?:of\s+)?)?$"
)


@dataclass(frozen=True, slots=True)
class Products:
    """What was bought, in order, as lower-case phrases, with how many of each; and what was not."""

    terms: tuple[str, ...] = ()
    quantities: tuple[int | None, ...] = ()
    without: tuple[str, ...] = ()
    mentions: tuple[Mention, ...] = ()


def find_products(slate: Slate, vocabulary: frozenset[str] | None, spelling: NearWords) -> Products:
    """Return the products of a sentence.

    `vocabulary` are the singular words of the catalogue, `spelling` what they may be misspelt as: a phrase without any
    of them is small talk and is dropped. None keeps every phrase that is not filler.
    """
    for pattern in (_DEPARTMENT, _MUCH):
        for m in pattern.finditer(slate.left):
            slate = slate.cover(*m.span())
    left = slate.left
    kept_together = [m.span() for m in _TOGETHER.finditer(left)] + list(brand_spans(left))
    candidates = [
        Candidate(first, last, _known(left[first:last], retail_words(), spelling), (start, end))
        for start, end in _segments(left, kept_together)
        for first, last in _phrases(left, start, end, kept_together)
    ]
    found: dict[str, tuple[int | None, Mention]] = {}
    without: dict[str, Mention] = {}
    for one in goods_among(left, candidates):
        term = " ".join(_words(left[one.first : one.last]))
        if not term or not (vocabulary is None or _known(term, vocabulary, spelling)):
            continue
        span, said = (one.first, one.last), slate.said(one.first, one.last)
        confidence = _SURE if one.is_sold else _LEFT_OVER
        if is_denied(left, one):
            without.setdefault(term, Mention(Kind.WITHOUT, said, term, span, confidence))
        else:
            mention = Mention(Kind.PRODUCT, said, term, span, confidence)
            found.setdefault(term, (_quantity(left[: one.first]), mention))
    kept = dict(list(found.items())[:_MOST_TERMS])
    mentions = (*(mention for _, mention in kept.values()), *without.values())
    return Products(tuple(kept), tuple(count for count, _ in kept.values()), tuple(without)[:_MOST_TERMS], mentions)


def name_alone(slate: Slate, vocabulary: frozenset[str]) -> Products:
    """Return a sentence of a few words, each of them the catalogue's, as one product: bay leaves, all purpose.

    For where nothing else was understood: in a longer sentence such words are conversation.
    """
    found = list(_WORD.finditer(slate.left))
    term = " ".join(_words(slate.left))
    known = [singular(word) in vocabulary and word not in STORY for word in term.split()]
    if not 2 <= len(found) <= _MOST_ALONE or len(known) < len(found) or not all(known):
        return Products()
    span = (found[0].start(), found[-1].end())
    return Products((term,), (None,), mentions=(Mention(Kind.PRODUCT, slate.said(*span), term, span, _LEFT_OVER),))


def _quantity(before: str) -> int | None:
    """Return how many: "two rotisserie chickens", "3 bags of ice"."""
    m = _COUNT_BEFORE.search(before)
    count = int(number(m["n"])) if m else 0
    return count if 0 < count <= _MOST_PIECES else None


def _segments(left: str, together: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Cut at punctuation, at what is covered and at "and", but not inside "mac and cheese"."""
    at, cuts = 0, []
    for m in _BREAK.finditer(left):
        if any(start < m.start() and m.end() < end for start, end in together):
            continue
        cuts.append((at, m.start()))
        at = m.end()
    return [*cuts, (at, len(left))]


def _phrases(left: str, start: int, end: int, together: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return runs of words that say something, inside one segment."""
    runs: list[tuple[int, int]] = []
    open_run = False
    found = list(_WORD.finditer(left, start, end))
    for i, m in enumerate(found):
        inside = any(a < m.end() and m.start() < b for a, b in together)
        word = m[0].strip("'.-_~$#@^")
        tail = open_run and word in _TAILS and not _CARD_FOLLOWS.match(left, m.end())
        head = i + 1 < len(found) and _is_head(word, found[i + 1][0], found[i - 1][0] if i else "")
        if not (inside or tail or head) and _says_nothing(m[0]):
            open_run = False
        elif open_run:
            runs[-1] = (runs[-1][0], m.end())
        else:
            runs.append((m.start(), m.end()))
            open_run = True
    return runs


def _is_head(word: str, following: str, before: str) -> bool:
    """Say whether a word of conversation describes the goods after it: hanging baskets, but not "was hanging"."""
    if word in _HEADS:
        return not _says_nothing(following) or following in _TAILS
    doing = word.endswith("ing") and word in words("small_talk") and before not in _BEFORE_VERBS
    return doing and singular(following.strip("'.-_~$#@^")) in retail_words()


def _says_nothing(word: str) -> bool:
    bare = word.strip("'.-_~$#@^")
    return (
        not bare
        or bare in words("filler_words")
        or bool(_DRAWN_OUT.search(bare))
        or bare.removesuffix("'s") in words("filler_words")
        or (bare.removesuffix("'s") in words("small_talk") and singular(bare) not in retail_words())
        or bool(_JUST_NUMBER.match(bare))
        or bool(_MEASURE.match(bare))
        or len(bare) == 1
    )


def _words(phrase: str) -> list[str]:
    return [bare for word in phrase.split() if (bare := word.strip("'.-_~$#@^"))]


def _known(term: str, vocabulary: frozenset[str], spelling: NearWords) -> bool:
    """Say whether a word of the phrase is the catalogue's, or was meant to be: rotiserie."""
    found = [singular(word) for word in re.findall(r"[a-z0-9%&]+", expand(term))]
    return any(word in vocabulary or spelling.near(word) for word in found)
