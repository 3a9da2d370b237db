"""Tables of CSV out of bytes that anybody may have sent."""

import pytest

from merchant.domain.tables import LINE_BYTES_MAX, Table, read_table
from timebank.errors import Reason, TimebankError

NAMES = {"ref": "ref", "note": "note"}


def table_of(data: bytes) -> Table:
    """A table of two columns."""
    return read_table(data, NAMES, required=("ref", "note"))


def rows_of(data: bytes) -> list[list[str]]:
    """The cells of the sound records."""
    table = table_of(data)
    cells_of = table.cells_of(("ref", "note"))
    return [cells_of(cells) for _, cells, problem in table.records() if not problem]


TABLES = [
    b"ref,note\na,b\nc,d\n",
    b"ref,note\r\na,b\r\nc,d",
    b"ref,note\ra,b\rc,d\r",
    b"\xef\xbb\xbfref,note\na,b\nc,d\n",
    b"note,other,ref\nb,,a\nd,x,c\n",
    b"REF , Note\n a ,b\nc, d \n",
    b'"ref","note"\n"a","b"\nc,d\n',
    b"\n,\nref,note\n\na,b\n , \n,,,\nc,d\n\n".replace(b" , ", b",,"),
    b"ref,note\na,b,more,cells\nc,d,\n",
]


@pytest.mark.parametrize("data", TABLES)
def test_a_table_is_read_however_it_was_written(data: bytes) -> None:
    assert rows_of(data) == [["a", "b"], ["c", "d"]]


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_text_is_read_in_either_encoding(encoding: str) -> None:
    text = "ref,note\n理发,家政\n理发,电影票\n"
    assert rows_of(text.encode(encoding)) == [["理发", "家政"], ["理发", "电影票"]]


def test_a_broken_line_costs_no_other_one() -> None:
    text = "ref,note\n理发,家政\nx\xff,y\n电影,票\n"
    data = text.replace("\xff", "?").encode().replace(b"x?", b"x\xff")
    assert rows_of(data) == [["理发", "家政"], ["电影", "票"]]
    numbers = [number for number, _, problem in table_of(data).records() if problem]
    assert numbers == [3]


def test_a_cell_that_a_record_lacks_is_empty() -> None:
    assert rows_of(b"ref,note\na\n") == [["a", ""]]


PROBLEMS = [
    (b'ref,note\n"a,b\nc,d\n', [(2, "check the quotes")]),
    (b"ref,note\n" + b"a" * 201 + b",b\nc,d\n", [(2, "in cell 1")]),
    (b'ref,note\n"' + b"a" * 201 + b'",b\nc,d\n', [(2, "in cell 1")]),
    (b"ref,note\n" + b"a" * (LINE_BYTES_MAX + 1) + b",b\nc,d\n", [(2, "UTF-8 or GB18030")]),
    (b"ref,note\n" + "长".encode() * 7_000 + b"\nc,d\n", [(2, "UTF-8 or GB18030")]),
]


@pytest.mark.parametrize(("data", "expected"), PROBLEMS)
def test_a_record_that_cannot_be_read_says_why(
    data: bytes, expected: list[tuple[int, str]]
) -> None:
    problems = [(number, text) for number, _, text in table_of(data).records() if text]
    assert [number for number, _ in problems] == [number for number, _ in expected]
    for (_, text), (_, part) in zip(problems, expected, strict=True):
        assert part in text
    assert rows_of(data)[-1] == ["c", "d"]


def test_a_long_cell_of_a_column_that_is_not_read_does_no_harm() -> None:
    assert rows_of(b"ref,note,other\na,b," + b"x" * 500 + b"\n") == [["a", "b"]]


def test_a_record_in_quotes_may_span_lines() -> None:
    table = table_of(b'ref,note\n"a\nb",c\nd,e\n')
    assert list(table.records()) == [(2, ["a\nb", "c"], ""), (3, ["d", "e"], "")]


@pytest.mark.parametrize("data", [b"", b"\n\n", b"ref\na\n", b"ref,note,ref\n", b"ref,note\n\0"])
def test_what_is_no_table_is_refused(data: bytes) -> None:
    with pytest.raises(TimebankError) as refused:
        rows_of(data)
    assert refused.value.reason is Reason.VALIDATION_FAILED
