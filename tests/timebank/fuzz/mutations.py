"""Bytes near valid ones: hostile, but close enough to get far into a parser."""

from collections.abc import Callable
from typing import TypeVar

from hypothesis import strategies as st

from timebank.errors import Reason, TimebankError

T = TypeVar("T")
MESSAGE_CHARACTERS_MAX = 10_000
PIECES = (
    *(b"", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xc0\x80", b"\x80" * 11),
    *(b"\n", b"\r", b"\r\n", b'"', b"'", b",", b"=", b"[", b"]", b"{", b"}", b"\\", b":", b"."),
    *(b"-1", b"0", b"9" * 30, b"0x" + b"f" * 40, b"1e400", b"nan", b"-inf", b"null", b"true"),
    *("٣²".encode(), "\u2028".encode(), "，".encode("gb18030"), "\N{EM DASH} ".encode()),
)


@st.composite
def damaged_bytes(draw: st.DrawFn, sample: bytes) -> bytes:
    """A valid sample with up to four pieces cut, replaced, doubled or moved."""
    data = sample
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(len(data), start + 24)))
        piece = draw(
            st.one_of(st.sampled_from(PIECES), st.binary(max_size=6), st.just(data[start:end] * 2))
        )
        data = data[:start] + piece + data[end:]
    return data


@st.composite
def damaged_text(draw: st.DrawFn, sample: str) -> str:
    """A valid text, damaged; half of a surrogate pair stands for what is no UTF-8."""
    return draw(damaged_bytes(sample.encode())).decode(errors="surrogateescape")


def accepted(call: Callable[[], T], *reasons: Reason) -> T | None:
    """What a parser gives, or None when it refuses with one of the reasons; all else escapes."""
    try:
        return call()
    except TimebankError as error:
        refusal = error
    assert refusal.reason in (reasons or (Reason.VALIDATION_FAILED,)), refusal
    assert len(refusal.message) < MESSAGE_CHARACTERS_MAX
    return None
