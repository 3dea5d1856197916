"""Files that are too large, broken or hostile."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from ingest.adapters.found import BrokenFile
from ingest.adapters.poslog_stream import MAX_TRANSACTION_BYTES, read_transactions
from tests.ingest.adapters.poslog_writer import HEAD, TAIL

ONE = "<Transaction><SequenceNumber>{0}</SequenceNumber></Transaction>\n"
LAUGHS = """<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]><POSLog><Transaction>&c;</Transaction></POSLog>"""
OUTSIDE = '<!DOCTYPE POSLog SYSTEM "file:///etc/passwd"><POSLog/>'


def read(path: Path, content: str | bytes) -> tuple[list[str], str]:
    """Return the sequence numbers that were found and why the file breaks off."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    found: list[str] = []
    try:
        found.extend(placed.node.findtext("SequenceNumber") or "" for placed in read_transactions(path))
    except BrokenFile as error:
        return found, str(error)
    return found, ""


def test_a_truncated_file_is_read_up_to_there(tmp_path):
    text = HEAD + ONE.format(1) + ONE.format(2) + "<Transaction><Sequ"
    found, why = read(tmp_path / "log.xml", text)
    assert found == ["1", "2"]
    assert why == "Line 4, column 14: unclosed token."


def test_malformed_xml_is_read_up_to_there(tmp_path):
    found, why = read(tmp_path / "log.xml", HEAD + ONE.format(1) + "</Transaction>" + ONE.format(2) + TAIL)
    assert found == ["1"]
    assert why == "Line 3, column 3: mismatched tag."


@pytest.mark.parametrize("attack", [LAUGHS, OUTSIDE])
def test_document_types_and_entities_are_refused(attack, tmp_path):
    found, why = read(tmp_path / "log.xml", attack)
    assert (found, why) == ([], "Line 1: a document type or entity, which is never accepted.")


def test_a_foreign_namespace_is_named_by_what_is_expected(tmp_path):
    _, why = read(tmp_path / "log.xml", '<POSLog xmlns="urn:other"><Transaction/></POSLog>')
    assert why == (
        "Line 1: the POSLog is in another namespace; expected http://www.nrf-arts.org/IXRetail/namespace/ or none."
    )


def test_other_xml_holds_no_poslog(tmp_path):
    assert read(tmp_path / "log.xml", "<html><body/></html>")[1] == "The file holds no POSLog element."
    assert read(tmp_path / "log.xml", f"{HEAD}{TAIL}") == ([], "")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "iso-8859-1", "windows-1252"])
def test_declared_encodings_are_read(encoding, tmp_path):
    declared = encoding.removesuffix("-sig")
    text = f'<?xml version="1.0" encoding="{declared}"?><POSLog>{ONE.format("é")}</POSLog>'
    assert read(tmp_path / "log.xml", text.encode(encoding)) == (["é"], "")


def test_a_wrong_encoding_breaks_the_file_where_it_shows(tmp_path):
    text = HEAD + "\n" + ONE.format(1) + ONE.format("é")
    found, why = read(tmp_path / "log.xml", text.encode("iso-8859-1"))
    assert found == ["1"]
    assert why.endswith("not well-formed (invalid token).")
    _, why = read(tmp_path / "log.xml", '<?xml version="1.0" encoding="klingon"?><POSLog/>')
    assert why == "Line 1: the XML declaration names an encoding that cannot be read."


def test_memory_does_not_grow_with_the_file(tmp_path):
    path = tmp_path / "log.xml"
    filler = "<Note>" + "x" * 2_000 + "</Note>"
    with path.open("w") as file:
        file.write(HEAD)
        file.writelines(ONE.format(number).replace("</Tr", f"{filler}</Tr") for number in range(10_000))
        file.write(TAIL)
    assert path.stat().st_size > 20_000_000
    tracemalloc.start()
    count = sum(1 for _ in read_transactions(path))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 10_000
    assert peak < 2_000_000


@pytest.mark.parametrize("endless", ["<Transaction><Note>", "<Transaction>" + "<Note>" * 50, "<Header Note='"])
def test_what_never_ends_is_given_up_before_it_fills_the_memory(endless, tmp_path):
    path = tmp_path / "log.xml"
    with path.open("w") as file:
        file.write(HEAD + ONE.format(1) + endless)
        for _ in range(2 * MAX_TRANSACTION_BYTES // 1_000_000):
            file.write("x" * 1_000_000)
    found: list[object] = []
    with pytest.raises(BrokenFile, match="a transaction has more than 16777216 bytes"):
        found.extend(read_transactions(path))
    assert len(found) == 1


def test_elements_without_bottom_are_given_up(tmp_path):
    found, why = read(tmp_path / "log.xml", HEAD + ONE.format(1) + "<Transaction>" + "<Note>" * 100_000)
    assert found == ["1"]
    assert why == "Line 3: elements of a transaction are nested deeper than 64."
