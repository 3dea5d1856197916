import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from receipts.text import normalise, normalise_email, normalise_phone


@given(st.text())
def test_normalising_twice_changes_nothing_more(text):
    assert normalise(normalise(text)) == normalise(text)


def test_normalising_twice_changes_nothing_more_for_any_character():
    for code in range(sys.maxunicode + 1):
        once = normalise(f"a{chr(code)}b")
        assert normalise(once) == once, hex(code)


@given(st.text())
def test_normalised_text_is_lower_case_words_parted_by_single_spaces(text):
    plain = normalise(text)
    assert plain == " ".join(plain.split())
    assert plain == plain.casefold()


@given(st.text(), st.text())
def test_case_does_not_matter_in_ascii(left, right):
    text = (left + right).encode("ascii", "ignore").decode()
    assert normalise(text.upper()) == normalise(text.lower())


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("Crème  Brûlée!", "creme brulee"),
        ("Gruyère AOP", "gruyere aop"),
        ("Møller's bœuf", "mollers boeuf"),
        ("Łódź", "lodz"),
        ("Straße", "strasse"),
        ("Land O’Lakes", "land olakes"),
        ("O´Brien", "obrien"),
        ("Kleenex™ Facial", "kleenex facial"),
        ("MLK 2% GAL", "mlk 2% gal"),
        ("M&M's", "m&ms"),
        ("CHIX: ROTISSERIE (HOT)", "chix rotisserie hot"),
        ("№ 5", "no 5"),
        ("ＦＵＬＬ width", "full width"),
        ("Иван", "иван"),
        ("snake_case", "snake case"),
        ("...", ""),
    ],
)
def test_accents_case_and_punctuation_go(written, plain):
    assert normalise(written) == plain


def test_composed_and_decomposed_accents_are_one():
    assert normalise("cafe\u0301") == normalise("caf\u00e9") == "cafe"


def test_an_email_is_compared_trimmed_and_in_lower_case():
    assert normalise_email("  Jane.Doe@Example.ORG ") == "jane.doe@example.org"


@pytest.mark.parametrize("written", ["(412) 555-0100", "+1 412 555 0100", "1-412-555-0100", "412.555.0100"])
def test_a_phone_number_is_compared_by_its_digits(written):
    assert normalise_phone(written) == "4125550100"


@given(st.text())
def test_a_phone_number_normalises_to_digits_once_and_for_all(text):
    digits = normalise_phone(text)
    assert digits == "" or (digits.isascii() and digits.isdigit())
