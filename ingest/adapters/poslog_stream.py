"""The transactions of a POSLog file one after the other, whatever its size."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from ingest.adapters.found import BrokenFile

NAMESPACE = "http://www.nrf-arts.org/IXRetail/namespace/"
MAX_TRANSACTION_BYTES = 16 * 1024 * 1024  # far beyond any receipt: a file without an end must not fill the memory
_ACCEPTED = (NAMESPACE, NAMESPACE.rstrip("/"), "")
_CHUNK_BYTES = 64 * 1024
_DEEPEST = 64  # elements within a transaction; the standard needs about ten


@dataclass(frozen=True, slots=True)
class Placed:
    """A transaction, the line where it begins, and how much of the file was read when it ended."""

    node: Element
    line: int
    done_bytes: int


def read_transactions(path: Path) -> Iterator[Placed]:
    """Yield the Transaction elements of a file with plain names; what vendors added in namespaces of their own is gone.

    Memory holds one transaction and one chunk. Raises BrokenFile for XML that is malformed, has a DTD or entities
    (so no "billion laughs"), is in another namespace, or has a transaction beyond MAX_TRANSACTION_BYTES.
    """
    gathered = _Transactions(lambda: parser.parser.CurrentLineNumber)
    parser = DefusedXMLParser(target=gathered, forbid_dtd=True)
    done = pending = 0
    with path.open("rb") as file:
        while True:
            chunk = file.read(_CHUNK_BYTES)
            done += len(chunk)
            pending = 0 if gathered.moved() else pending + len(chunk)
            broken = _fed(parser, chunk)
            for line, node in gathered.taken():
                yield Placed(node, line, done)
            if broken:
                raise BrokenFile(broken)
            if pending > MAX_TRANSACTION_BYTES:
                line = parser.parser.CurrentLineNumber
                raise BrokenFile(f"Line {line}: a transaction has more than {MAX_TRANSACTION_BYTES} bytes.")
            if not chunk:
                break
    if not gathered.poslog:
        raise BrokenFile("The file holds no POSLog element.")


def _fed(parser: DefusedXMLParser, chunk: bytes) -> str:
    """Parse a chunk, or the end of the file; return why it cannot be, without repeating what it holds."""
    try:
        if chunk:
            parser.feed(chunk)
        else:
            parser.close()
    except ParseError as error:
        line, column = error.position
        return f"Line {line}, column {column + 1}: {str(error).partition(':')[0]}."
    except (DefusedXmlException, BrokenFile) as error:
        what = str(error) if isinstance(error, BrokenFile) else "a document type or entity, which is never accepted."
        return f"Line {parser.parser.CurrentLineNumber}: {what}"
    except (LookupError, ValueError):  # from expat, for an encoding that it or Python does not know
        return "Line 1: the XML declaration names an encoding that cannot be read."
    return ""


class _Transactions:
    """What the parser tells: builds transactions and forgets everything around them."""

    def __init__(self, line_now: Callable[[], int]) -> None:
        self._line_now = line_now
        self.poslog = False
        self._open: list[Element] = []
        self._text: list[str] = []
        self._foreign = 0  # how deep in an element of another namespace
        self._line = 0
        self._done: list[tuple[int, Element]] = []
        self._steps = self._seen = 0  # transactions ended and elements begun outside of them

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """Begin an element."""
        if self._foreign:
            self._foreign += 1
            return
        namespace, _, name = tag.rpartition("}")
        namespace = namespace[1:]
        if not self._open:
            self._steps += 1
            if name not in ("POSLog", "Transaction"):
                return  # an envelope, or a header beside the transactions
            if namespace not in _ACCEPTED:
                raise BrokenFile(f"the POSLog is in another namespace; expected {NAMESPACE} or none.")
            self.poslog = True
            if name == "POSLog":
                return
            self._line = self._line_now()
        elif namespace not in _ACCEPTED:
            self._foreign = 1
            return
        if len(self._open) == _DEEPEST:
            raise BrokenFile(f"elements of a transaction are nested deeper than {_DEEPEST}.")
        node = Element(name, {key: value for key, value in attributes.items() if key[0] != "{"})
        if self._open:
            self._open[-1].append(node)
        self._open.append(node)
        self._text.clear()

    def data(self, text: str) -> None:
        """Take text."""
        if self._open and not self._foreign:
            self._text.append(text)

    def end(self, _tag: str) -> None:
        """End an element."""
        if self._foreign:
            self._foreign -= 1
        elif self._open:
            node = self._open.pop()
            node.text = "".join(self._text).strip()
            self._text.clear()
            if not self._open:
                self._done.append((self._line, node))
                self._steps += 1

    def taken(self) -> list[tuple[int, Element]]:
        """Return the transactions that ended since the last call."""
        done, self._done = self._done, []
        return done

    def moved(self) -> bool:
        """Say whether a transaction ended, or an element began outside of one, since the last call."""
        seen, self._seen = self._seen, self._steps
        return seen != self._seen
