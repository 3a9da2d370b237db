"""What a test of a parser needs: the check that it refuses, and texts near a valid one."""

import re
from collections.abc import Callable

import pytest
from hypothesis import strategies as st

from timebank.errors import Reason, TimebankError


def assert_refuses(call: Callable[[], object], words: str = "") -> None:
    """The call raises VALIDATION_FAILED, and its message has the words."""
    with pytest.raises(TimebankError, match=re.escape(words) or None) as caught:
        call()
    assert caught.value.reason is Reason.VALIDATION_FAILED
    assert "\n" not in caught.value.message


def only_refusals(call: Callable[[], object]) -> None:
    """The call may succeed or raise VALIDATION_FAILED; anything else escapes and fails the test."""
    try:
        call()
    except TimebankError as error:
        if error.reason is not Reason.VALIDATION_FAILED:
            raise


@st.composite
def damaged(draw: st.DrawFn, text: str) -> str:
    """A valid text with a piece replaced: hostile, but close enough to get far into the parser."""
    start = draw(st.integers(0, len(text)))
    end = draw(st.integers(start, min(len(text), start + 40)))
    pieces = st.one_of(
        st.text(max_size=8),
        st.sampled_from(["\n", "\n\n", "+", " ", "=", "\N{EM DASH} ", "\x00", "\ud800", "\u2028"]),
        st.sampled_from(["0", "-1", "9" * 30, "1e3", "٣", "AAAA", "x000/"]),
    )
    return text[:start] + draw(pieces) + text[end:]
