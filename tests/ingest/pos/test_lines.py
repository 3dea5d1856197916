"""Lines as they come from a file or a pipe, and what is said of those that cannot be sent."""

import io
import os

import pytest

from ingest.pos.lines import line_groups
from ingest.pos.payloads import MAX_RECORD_BYTES
from receipts.errors import InvalidInput


def test_a_line_in_a_pipe_is_there_before_the_next_one_is_written() -> None:
    reader, writer = os.pipe()
    with io.FileIO(reader) as file:
        groups = line_groups(file)
        os.write(writer, b"one\n")
        assert next(groups) == ["one"]
        os.write(writer, b"tw\xc3")
        os.write(writer, b"\xb6\r\n\n \nthree\nfo")
        assert next(groups) == ["twö", "three"]
        os.write(writer, b"ur")
        os.close(writer)
        assert list(groups) == [["four"]]


def test_a_file_is_read_to_its_end_whatever_the_length_of_its_lines() -> None:
    lines = ["x" * (n * 7919 % 200_000) + str(n) for n in range(60)]
    groups = list(line_groups(io.BytesIO("\n".join(lines).encode())))
    assert [line for group in groups for line in group] == lines


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        (b"caf\xe9\n", "FILE: line 3 is not UTF-8, from its byte 4 on"),
        (b"x" * (MAX_RECORD_BYTES + 1) + b"\n4", "FILE: line 3 is larger than 10420224 bytes"),
    ],
)
def test_a_line_that_cannot_be_sent_is_named_after_those_before_it_came(bad: bytes, problem: str) -> None:
    groups = line_groups(io.BytesIO(b"1\n2\n" + bad))
    assert next(groups) == ["1", "2"]
    with pytest.raises(InvalidInput, match=problem):
        next(groups)
