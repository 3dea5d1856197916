"""People by name, e-mail address and telephone number, as the serving role over the real database."""

from __future__ import annotations

import pytest

from serve_apps.search_people import search_customers, search_customers_by_contact
from serve_apps.serving import opened, serving_context
from tests.fixtures.retail import make_customer, make_store, store_rows

EAST, WEST = 101, 201
PEOPLE = {  # by number: first name, surname, home store
    1: ("Maria", "Kowalski", EAST),
    2: ("William", "Smith", EAST),
    3: ("Mary Ann", "O'Brien", EAST),
    4: ("José", "García-López", EAST),
    5: ("Maria", "Kowalski", WEST),
    6: ("Zbigniew", "Wojciechowski", WEST),
    7: ("Stanley", "de la Cruz", EAST),
    8: ("Catherine", "Schmidt", EAST),
    9: ("Li", "Ng", EAST),
    10: ("Вера", "Иванова", EAST),
    11: ("Kate", "Smythe", EAST),
}


def _id(number: int) -> str:
    return f"C{number:07d}"


@pytest.fixture
async def context(settings, sign_ins):
    """A replica's context over a database with PEOPLE."""
    store_rows(
        settings,
        stores=[make_store(store_id=EAST, region_id=1), make_store(store_id=WEST, region_id=2)],
        customers=[
            make_customer(
                customer_id=_id(number),
                first_name=first,
                last_name=last,
                home_store_id=store,
                email=f"Person{number}@Example.com",
                phone=f"(412) 555-01{number:02d}",
            )
            for number, (first, last, store) in PEOPLE.items()
        ],
    )
    context = serving_context(settings, application="people")
    async with opened(context):
        yield context


@pytest.fixture
def find(context, sign_ins):
    """Look for a name; returns the numbers of PEOPLE, the likeliest first."""

    async def ask(name: str, who: str = "rep.east") -> list[int]:
        found = await search_customers(context, sign_ins.principal(who), name)
        assert len(set(found.ids)) == len(found.ids) == len(found.scores)
        assert all(0 <= score <= 1 for score in found.scores)
        return [int(str(one)[1:]) for one in found.ids]

    return ask


async def test_somebody_is_found_first_however_the_name_is_typed(find):
    typed = {
        1: [
            "Maria Kowalski", "KOWALSKI, MARIA", "mria kowalsky", "Kowalski", "kowal ski", "mariakowalski",
            "M. Kowalski", "Maria K", "Mrs Kowalski", "marya kovalski", "Maria Quinn Kowalski",
        ],
        2: ["Bill Smith", "Willie Smith", "smith willaim", "Mr. W. Smith"],
        3: ["maryann obrien", "Mary O Brien", "Mary Ann O’Brian", "mary ann brien", "Molly O'Brien"],
        4: ["jose garcia", "Jose Lopez", "Pepe Garcia Lopez", "garcialopez jose"],
        7: ["Stan Delacruz", "stanley cruz", "stanley dela cruz", "Staś de la Cruz"],
        8: ["Kathryn Schmidt", "Cathy Schmitt", "Kate Schmidt"],
        9: ["Li Ng", "ng li"],
        10: ["Вера Иванова", "Вера Иваннова"],
        11: ["Kate Smythe", "Katie Smyth"],
    }  # fmt: skip
    found = {name: (await find(name))[:1] for names in typed.values() for name in names}
    assert found == {name: [number] for number, names in typed.items() for name in names}


async def test_hostile_and_odd_names_find_nobody_and_fail_nothing(find):
    odd = [
        "", " ", "!!!", "Qqq Xyzzy", "x" * 100, "a b c d e f g h", "'; DROP TABLE retail.customers; --", "%_%",
        "\u0000", "\\", "🍗🍗", "\u202exyz", "(((((", "ﷺ" * 100, "= =smt", "\t\n", "~" * 5, "y" * 10_000,
    ]  # fmt: skip
    assert {name: await find(name) for name in odd} == {name: [] for name in odd}


async def test_particles_initials_and_single_letters_alone_are_answered(find):
    for name in ("de la", "J", "é", "a b", "s s s s"):
        assert len(await find(name)) <= 8


async def test_nobody_of_another_region_is_found_not_even_alone(find):
    assert await find("Zbigniew Wojciechowski") == []
    assert await find("Wojciechowski") == []
    assert await find("Zbigniew Wojciechowski", "rep.west") == [6]
    assert await find("Maria Kowalski", "rep.west") == [5]
    assert sorted(await find("Maria Kowalski", "rep.all")) == [1, 5]


async def test_the_name_itself_goes_before_what_sounds_alike(find):
    assert (await find("Kate Smythe"))[0] == 11
    assert (await find("Catherine Schmidt"))[0] == 8


@pytest.fixture
def contact(context, sign_ins):
    """Look for an address or a number; returns the numbers of PEOPLE."""

    async def ask(who: str = "rep.east", **given: str) -> list[int]:
        found = await search_customers_by_contact(context, sign_ins.principal(who), **given)
        return [int(str(one)[1:]) for one in found.ids]

    return ask


async def test_a_customer_is_found_by_address_or_number_however_it_is_written(contact):
    ways: list[dict[str, str]] = [
        {"email": "person2@example.com"}, {"email": " PERSON2@EXAMPLE.COM "}, {"phone": "412-555-0102"},
        {"phone": "+1 (412) 555.0102"}, {"phone": "14125550102", "email": "person2@example.com"},
    ]  # fmt: skip
    assert [await contact(**given) for given in ways] == [[2]] * len(ways)


async def test_no_address_half_an_address_or_anothers_number_finds_nobody(contact):
    ways: list[dict[str, str]] = [
        {}, {"email": ""}, {"phone": ""}, {"email": "person2"}, {"phone": "5550102"}, {"email": "%@example.com"},
        {"email": "person2@example.com", "phone": "412-555-0103"}, {"email": "\0"}, {"phone": "none"},
        {"email": "", "phone": "412-555-0102"},
    ]  # fmt: skip
    assert [await contact(**given) for given in ways] == [[]] * len(ways)


async def test_an_address_finds_nobody_of_another_region(contact):
    assert await contact(email="person6@example.com") == []
    assert await contact(phone="412-555-0106") == []
    assert await contact("rep.west", email="person6@example.com") == [6]
