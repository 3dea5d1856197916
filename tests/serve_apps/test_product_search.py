"""Products by name and meaning in one ranking, on real vectors in a real Postgres."""

from __future__ import annotations

import random

import psycopg
import pytest

from cluster.evaluations.catalogues import own_catalogue
from receipts.embedding import Embedder, product_digest
from receipts.products import search_text
from receipts.sentence_model import SentenceModel, model_folder

AISLES = (
    "SPECIALTY CHEESE",
    "FRUIT",
    "WINE",
    "CANNED FRUIT",
    "CANDY",
    "TEA",
    "CONDIMENTS",
    "FLOWERS & PLANTS",
    "MEDICINE",
)
ARTICLES = [article for article in own_catalogue() if article.category in AISLES]
NAMES = {article.sku: article.name for article in ARTICLES}


@pytest.fixture(scope="session")
def vectors() -> dict[str, str]:
    """Each article's vector, computed once."""
    rows = [(a.description, a.department, a.category) for a in ARTICLES]
    return {a.sku: written(v) for a, v in zip(ARTICLES, Embedder(threads=2).embed_products(rows), strict=True)}


@pytest.fixture(scope="session")
def model() -> SentenceModel:
    return SentenceModel(model_folder())


def written(vector) -> str:
    return f"[{','.join(f'{x:.5f}' for x in vector)}]"


@pytest.fixture
def search(owner: psycopg.Connection, vectors, model):
    """Ask for products; returns (sku, similarity, is_literal)."""
    with (
        owner.cursor() as cursor,
        cursor.copy(
            "COPY retail.products (sku, description, department, category, search_text, text_digest) FROM STDIN"
        ) as copy,
    ):
        for a in ARTICLES:
            row = (a.description, a.department, a.category)
            copy.write_row((a.sku, *row, search_text(*row), product_digest(*row)))
    told = {product_digest(a.description, a.department, a.category): vectors[a.sku] for a in ARTICLES}
    with owner.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO retail.product_embeddings VALUES (%s, %s, %s)",
            [(digest, vector, Embedder.model_name) for digest, vector in told.items()],
        )
    owner.execute("ANALYZE retail.products, retail.product_embeddings")

    def ask(phrase, most=50, skus=None, *, by_meaning=True):
        vector = written(model.encode([phrase])[0]) if by_meaning else None
        return owner.execute(
            "SELECT * FROM search.search_products(%s, %s::public.halfvec, %s, %s)", (phrase, vector, most, skus)
        ).fetchall()

    return ask


def names(rows) -> list[str]:
    return [NAMES[sku] for sku, _, _ in rows]


@pytest.mark.parametrize("phrase", ["fancy cheese", "stone fruit", "cranberry sauce", "red wine", "zzzz", ""])
@pytest.mark.parametrize("most", [1, 10, 200])
def test_rows_come_best_first_each_once_and_no_more_than_asked(search, phrase, most):
    rows = search(phrase, most)
    assert len(rows) <= most
    assert len({sku for sku, _, _ in rows}) == len(rows)
    similarities = [similarity for _, similarity, _ in rows]
    assert similarities == sorted(similarities, reverse=True)
    assert all(0 <= similarity <= 1 for similarity in similarities)
    assert rows == search(phrase, 200)[:most]


def test_fancy_cheese_is_ten_fine_cheeses_of_five_kinds(search):
    found = names(search("fancy cheese", 10))
    kinds = ("goat", "blue|stilton|roquefort|gorgonzola", "brie", "gouda", "manchego", "gruyere", "havarti", "emmental",
             "comte", "fontina", "asiago", "feta", "cheddar", "camembert", "raclette", "swiss", "taleggio")  # fmt: skip
    of_aisle = {a.name for a in ARTICLES if a.category == "SPECIALTY CHEESE"}
    assert [name for name in found if name not in of_aisle] == []
    met = {kind for kind in kinds for name in found if any(word in name.lower() for word in kind.split("|"))}
    assert len(met) >= 5, found


def test_a_concept_that_few_names_hold_is_ranked_by_meaning(search):
    first = names(search("stone fruit", 6))
    assert all(any(word in name for word in ("Peach", "Nectarine", "Plum", "Cherries", "Mango")) for name in first), (
        first
    )


def test_names_win_where_they_are_what_was_asked_for(search):
    rows = search("hot sauce", 12)
    assert all(literal and similarity >= 0.8 for _, similarity, literal in rows[:8])
    assert all("Hot Sauce" in NAMES[sku] for sku, _, _ in rows[:8])


def test_the_words_as_they_were_said_come_before_words_of_the_same_stem(search, owner):
    owner.execute(
        "INSERT INTO retail.products (sku, description, department, category, search_text, text_digest) VALUES "
        "('1', 'Lightly Roasted Nuts', '', '', 'lightly roasted nuts | | ', '1'), "
        "('2', 'Light Roast Beans', '', '', 'light roast beans | | ', '2')"
    )
    assert [sku for sku, _, _ in search("light roast")[:2]] == ["2", "1"]


def test_a_misspelt_word_among_three_does_not_hide_a_name(search):
    assert "Cranberry Sauce Whole Berry" in names(search("cranbbrry sauce whole berry", 1))[0]


def test_without_a_vector_words_alone_are_looked_for(search):
    rows = search("hot sauce", by_meaning=False)
    assert rows
    assert all(literal for _, _, literal in rows)
    assert search("stone fruit", by_meaning=False) == []


def test_nonsense_means_nothing(search):
    assert search("please help me with my account") == []


def test_a_filter_leaves_exactly_what_an_exact_scan_would(search, owner, model):
    """Whatever set is left: everything of it that is near enough, in the order of all."""
    chance = random.Random(5)
    everything = [a.sku for a in ARTICLES]
    for phrase in ("fancy cheese", "red wine", "something for a headache", "chocolate", "cut flowers"):
        for size in (3, 40, 400):
            chosen = chance.sample(everything, size)
            rows = search(phrase, 500, chosen)
            assert {sku for sku, _, _ in rows} <= set(chosen)
            likeness = dict(
                owner.execute(
                    "SELECT p.sku, 1 - (e.embedding OPERATOR(public.<=>) %s::public.halfvec) FROM retail.products p "
                    "JOIN retail.product_embeddings e USING (text_digest) WHERE p.sku = ANY (%s)",
                    (written(model.encode([phrase])[0]), chosen),
                ).fetchall()
            )
            near = {sku for sku, similarity in likeness.items() if similarity > 0.5}
            assert near <= {sku for sku, _, _ in rows} or len(rows) >= 100


def test_vectors_that_no_product_has_any_more_hide_none_that_one_has(search, owner):
    before = search("fancy cheese", 100)
    owner.execute(
        "INSERT INTO retail.product_embeddings SELECT md5(e.text_digest || n), e.embedding, e.model "
        "FROM retail.product_embeddings e, generate_series(1, 12) n"
    )  # twelve for each, and every one as near
    owner.execute("ANALYZE retail.product_embeddings")
    assert search("fancy cheese", 100) == before


def test_more_products_than_the_index_gives_are_compared_one_by_one(search, owner, model):
    vector = written(model.encode(["cheese"])[0])
    rows = owner.execute("SELECT sku FROM search.nearest_products(%s, %s, NULL)", (vector, 5_000)).fetchall()
    assert len(rows) == len(ARTICLES)


def test_a_product_without_a_vector_is_found_by_its_name(search, owner):
    owner.execute("DELETE FROM retail.product_embeddings")
    rows = search("hot sauce")
    assert rows
    assert all(literal for _, _, literal in rows)


def test_nobody_but_search_itself_may_ask(search, settings):
    for role in ("receipts_api", "receipts_ingest"):
        with psycopg.connect(settings.database.dsn.get_secret_value(), autocommit=True) as connection:
            connection.execute(f"SET ROLE {role}")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("SELECT * FROM search.search_products('milk', NULL, 1)")
