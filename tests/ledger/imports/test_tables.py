"""Files as people have them: encodings, delimiters, and what is no table at all."""

from pathlib import Path

import pytest

from ledger.imports.tables import FIELD_CHARACTERS_MAX, LINE_BYTES_MAX, Row, inspect, rows
from timebank.errors import Reason, TimebankError

TEXT = "姓名,时长\n王伟,60\n"


def read(path: Path, encoding: str | None = None) -> list[Row]:
    return list(rows(path, inspect(path, encoding=encoding)))


def written(folder: Path, data: bytes) -> Path:
    path = folder / "table.csv"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("encoding", "found"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8-sig"),
        ("gb18030", "gb18030"),
        ("gbk", "gb18030"),
        ("utf-16", "utf-16"),
    ],
)
def test_an_encoding_is_found_by_the_bytes(tmp_path: Path, encoding: str, found: str) -> None:
    path = written(tmp_path, TEXT.encode(encoding))
    assert inspect(path).encoding == found
    assert [row.cells for row in read(path)] == [["姓名", "时长"], ["王伟", "60"]]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_delimiter_is_found_by_the_first_line(tmp_path: Path, delimiter: str) -> None:
    path = written(tmp_path, f'a{delimiter}"b, ; c"{delimiter}d\n'.encode())
    assert read(path)[0].cells == ["a", "b, ; c", "d"]


def test_a_line_break_within_quotes_belongs_to_the_cell(tmp_path: Path) -> None:
    found = read(written(tmp_path, b'a,b\n1,"x\r\ny"\n2,z\n'))
    assert [row.cells for row in found] == [["a", "b"], ["1", "x\r\ny"], ["2", "z"]]
    assert [(row.number, row.line) for row in found] == [(1, 1), (2, 3), (3, 4)]


def test_blank_rows_are_left_out_but_counted(tmp_path: Path) -> None:
    found = read(written(tmp_path, b"a,b\n\n1,2\n"))
    assert [row.number for row in found] == [1, 3]


def test_damaged_utf8_stays_utf8_and_breaks_only_its_row(tmp_path: Path) -> None:
    data = TEXT.encode() + b"\xff\xfe,1\n" + "李娜,30\n".encode()
    found = read(written(tmp_path, data))
    assert [bool(row.problem) for row in found] == [False, False, True, False]
    assert found[3].cells == ["李娜", "30"]


def test_a_nul_byte_breaks_its_row(tmp_path: Path) -> None:
    found = read(written(tmp_path, b"a,b\n1,\x002\n3,4\n"))
    assert [bool(row.problem) for row in found] == [False, True, False]


def test_a_quote_that_never_closes_is_a_broken_row(tmp_path: Path) -> None:
    found = read(written(tmp_path, b'a,b\n1,2\n3,"4\n5,6\n'))
    assert [bool(row.problem) for row in found] == [False, False, True]


def test_a_cell_beyond_the_limit_is_a_broken_row(tmp_path: Path) -> None:
    data = b"a,b\n1," + b"x" * (FIELD_CHARACTERS_MAX + 1) + b"\n3,4\n"
    assert [bool(row.problem) for row in read(written(tmp_path, data))] == [False, True, False]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty"),
        (b"  \n \n", "is empty"),
        (b"PK\x03\x04rest", "spreadsheet"),
        (b"\xd0\xcf\x11\xe0rest", "spreadsheet"),
        (b"%PDF-1.7", "PDF"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"\x00\x01\x02\x00" * 100, "no text"),
        (b"a" * (LINE_BYTES_MAX * 2), "1 MiB"),
    ],
)
def test_what_is_no_table_is_refused_in_one_line(tmp_path: Path, data: bytes, said: str) -> None:
    with pytest.raises(TimebankError, match=said) as refused:
        inspect(written(tmp_path, data))
    assert refused.value.reason is Reason.VALIDATION_FAILED
    assert "\n" not in refused.value.message


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(TimebankError) as refused:
            inspect(path)
        assert refused.value.reason is Reason.VALIDATION_FAILED


def test_an_unknown_encoding_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TimebankError, match="utf-8 or gb18030"):
        inspect(written(tmp_path, b"a,b\n"), encoding="klingon")


def test_a_given_encoding_wins_over_the_guess(tmp_path: Path) -> None:
    path = written(tmp_path, "año,b\n".encode("latin-1"))
    assert read(path, "latin-1")[0].cells == ["año", "b"]
