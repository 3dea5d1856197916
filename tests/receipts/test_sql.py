import pytest

from receipts.sql import SqlFileError, parse_sql


def test_a_block_is_one_statement_on_one_line_that_names_its_file():
    blocks = parse_sql("-- name: find_one\n-- Finds one; 100 % sure, don't ask.\nSELECT 1,\n  2 -- two\n;\n", "lookup")
    assert blocks == {"find_one": "/* lookup.find_one */ SELECT 1, 2 "}


def test_several_blocks_stand_in_one_file():
    blocks = parse_sql("-- About the file.\n-- name: a\nSELECT 1;\n\n-- name: b\nSELECT 2;\n", "x")
    assert list(blocks) == ["a", "b"]


def test_quoted_text_keeps_its_spaces_dashes_and_semicolons():
    text = "-- name: a\nSELECT 'it''s  -- no comment;', $$two;  'lines$$  , $t$;$t$;"
    assert parse_sql(text, "x")["a"] == "/* x.a */ SELECT 'it''s  -- no comment;', $$two;  'lines$$ , $t$;$t$"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "has no '-- name:' block"),
        ("SELECT 1;", "has no '-- name:' block"),
        ("-- name: a\nSELECT 1;\n-- name: a\nSELECT 2;", "two blocks named a"),
        ("-- name: a\nSELECT 1\n-- name: b\nSELECT 2;", "block a does not end with a semicolon"),
        ("-- name: a\n", "block a does not end with a semicolon"),
        ("-- name: a\nSELECT 1;\n-- nmae: b\nSELECT 2;", "block a holds more than one statement"),
    ],
)
def test_a_file_that_breaks_the_rules_is_refused_naming_file_and_block(text, problem):
    with pytest.raises(SqlFileError, match=f"x.sql.*{problem}"):
        parse_sql(text, "x")


def test_a_misspelt_name_says_which_blocks_there_are():
    blocks = parse_sql("-- name: find_one\nSELECT 1;\n-- name: find_two\nSELECT 2;", "x")
    with pytest.raises(SqlFileError, match="no SQL block 'find_on'; there are: find_one, find_two"):
        blocks["find_on"]
