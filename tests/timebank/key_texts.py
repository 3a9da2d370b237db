"""The log key of the worked example as text, and the check that a refusal never shows it."""

from collections.abc import Callable

import pytest

from timebank.errors import Reason, TimebankError
from timebank.tlog.encoding import encode_base64

ORIGIN = "timebank.example/ledger"
FILE = "timebank.example_ledger.key"
LOG_VKEY = "timebank.example/ledger+a0f5c1f0+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c"
SEED = b"\x01" * 32
SEED_TEXT = encode_base64(b"\x01" + SEED)
PRIVATE = f"PRIVATE+KEY+{ORIGIN}+a0f5c1f0+{SEED_TEXT}"


def reason_of(call: Callable[[], object], words: str) -> Reason:
    """The reason of the refusal, after a look at its message: the words, one line, no secret."""
    with pytest.raises(TimebankError) as caught:
        call()
    message = caught.value.message
    assert words in message
    assert "\n" not in message
    assert SEED_TEXT[:8] not in message
    return caught.value.reason
