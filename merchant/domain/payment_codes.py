"""Payment codes 付款码: 18 digits that a member's device shows and a till takes, once, in a minute.

Owns: how a code is made, read and judged, how many a device gets and how many wrong ones a till may
try; and the check digit, the draw and the keyed digest, which card numbers and enrolment codes
share. Refuses: keeping a code; only its digest is stored. Rules: two digits of the scheme, fifteen
drawn ones, one Luhn digit. A caller learns only that a code is no good; the verdict is for the
audit log. Times are microseconds since 1970 UTC, 0 where a thing did not happen.
"""

from __future__ import annotations

import enum
import hashlib
import hmac
from typing import NamedTuple

from timebank.errors import Reason, TimebankError

SECOND_US = 1_000_000
CODE_LIFE_US = 60 * SECOND_US
SKEW_US = 5 * SECOND_US
"""How long after its life a code is still taken, for clocks and slow networks."""
CODE_LENGTH = 18
PREFIX_LENGTH = 2
DRAWN_DIGITS = 15
PREFIX_DEFAULT = "70"
"""None of the schemes below; a city that has one of its own sets it."""
PREFIXES_OF_OTHERS: dict[str, str] = {
    **{str(prefix): "WeChat Pay" for prefix in range(10, 16)},
    **{str(prefix): "Alipay" for prefix in range(25, 31)},
    "62": "UnionPay",
}
RANDOM_BYTES = 32
"""Random bytes that a code is drawn from: four words of 64 bits, each refused once in 25,000."""
WORD_BYTES = 8
KEY_BYTES_MIN = 32
TYPED_CHARACTERS_MAX = 64
ISSUES_MAX = 90
ISSUE_WINDOW_US = 3_600 * SECOND_US
WRONG_TRIES_MAX = 10
WRONG_TRY_WINDOW_US = 60 * SECOND_US

SEPARATORS = " \t\r\n\u00a0\u3000-\u2010\u2011\u2012\u2013\u2014\u2015\u2212\uff0d"
"""Spaces and hyphens, wide ones too; a scanner ends what it types with a line feed."""
_WIDE_DIGITS = "０１２３４５６７８９"
_DOUBLED = str.maketrans("0123456789", "0246813579")
"""A digit doubled, its digits summed."""
_TYPED = str.maketrans(_WIDE_DIGITS, "0123456789", SEPARATORS)


class CodeVerdict(enum.Enum):
    """What a code turned out to be; only GOOD pays, and the other four look alike from outside."""

    GOOD = "GOOD"
    UNKNOWN = "UNKNOWN"
    EXPIRED = "EXPIRED"
    USED = "USED"
    REPLACED = "REPLACED"


class PaymentCode(NamedTuple):
    """What is known of a code; `replaced_us` is when its device got a newer one."""

    digest: bytes
    member_id: str
    device: str
    issued_us: int
    used_us: int = 0
    replaced_us: int = 0


class WindowCount(NamedTuple):
    """How often a thing happened since its first time in a window; the default is never."""

    window_start_us: int = 0
    times: int = 0


def make_code(prefix: str, random: bytes) -> str:
    """Writes a code: the prefix, fifteen digits drawn from RANDOM_BYTES bytes, the check digit.

    Raises VALIDATION_FAILED for a prefix that is none or is somebody else's.
    """
    check_prefix(prefix)
    body = prefix + drawn_digits(random, DRAWN_DIGITS)
    return body + check_digit(body)


def check_prefix(prefix: str) -> None:
    """Checks the two digits of a scheme.

    Raises VALIDATION_FAILED for anything but two digits, and for those that a cashier's scanner
    would take to WeChat Pay (10 to 15), Alipay (25 to 30) or UnionPay (62).
    """
    if len(prefix) != PREFIX_LENGTH or not is_digits(prefix):
        raise TimebankError(
            Reason.VALIDATION_FAILED,
            f"prefix: expected two digits such as {PREFIX_DEFAULT}, got {prefix[:8]!r}",
            field="prefix",
        )
    if prefix in PREFIXES_OF_OTHERS:
        raise TimebankError(
            Reason.VALIDATION_FAILED,
            f"prefix: {prefix} belongs to {PREFIXES_OF_OTHERS[prefix]};"
            f" take another, such as {PREFIX_DEFAULT}",
            field="prefix",
        )


def is_well_formed(code: str, prefix: str) -> bool:
    """Says whether a normalised text is a code of this scheme, without asking whether it exists."""
    return len(code) == CODE_LENGTH and code.startswith(prefix) and has_check_digit(code)


def normalise(typed: str) -> str:
    """Drops spaces and hyphens from what a scanner or a cashier typed, and narrows wide digits.

    Everything else stays, so that what is no code does not become one. Raises VALIDATION_FAILED
    for more than TYPED_CHARACTERS_MAX characters.
    """
    if len(typed) > TYPED_CHARACTERS_MAX:
        raise TimebankError(
            Reason.VALIDATION_FAILED,
            f"code: expected at most {TYPED_CHARACTERS_MAX} characters, got {len(typed)};"
            " scan one code at a time",
            field="code",
        )
    return typed.translate(_TYPED)


def digest_of(key: bytes, ledger: str, code: str) -> bytes:
    """Gives the 32 bytes under which a ledger keeps a normalised code.

    Raises VALIDATION_FAILED for a text that is not 18 digits.
    """
    if len(code) != CODE_LENGTH or not is_digits(code):
        raise not_digits("code", CODE_LENGTH)
    return keyed_digest(key, "payment-code", ledger, code)


def judge(code: PaymentCode | None, now_us: int) -> CodeVerdict:
    """Says what a code is now, None being one that nobody knows; a used one is so for ever.

    Expired goes before replaced: a screen left on renews each minute, so that every old code of it
    is both.
    """
    if code is None:
        return CodeVerdict.UNKNOWN
    if code.used_us:
        return CodeVerdict.USED
    if not -SKEW_US <= now_us - code.issued_us <= CODE_LIFE_US + SKEW_US:
        return CodeVerdict.EXPIRED
    if code.replaced_us:
        return CodeVerdict.REPLACED
    return CodeVerdict.GOOD


def counts_as_wrong_try(verdict: CodeVerdict) -> bool:
    """Says whether a verdict speaks of guessing or of showing a code again.

    An expired or a replaced code was genuine, and its member only slow: it does not count.
    """
    return verdict in (CodeVerdict.UNKNOWN, CodeVerdict.USED)


def may_issue(issues: WindowCount, now_us: int) -> bool:
    """Says whether a device may have another code: ISSUES_MAX an hour from its first."""
    return _times_now(issues, now_us, ISSUE_WINDOW_US) < ISSUES_MAX


def after_issue(issues: WindowCount, now_us: int) -> WindowCount:
    """Counts a code that a device was given."""
    return _counted(issues, now_us, ISSUE_WINDOW_US)


def is_locked(tries: WindowCount, now_us: int) -> bool:
    """Says whether a terminal of a merchant tried too often; it is asked before a code is read."""
    return _times_now(tries, now_us, WRONG_TRY_WINDOW_US) >= WRONG_TRIES_MAX


def after_wrong_try(tries: WindowCount, now_us: int) -> WindowCount:
    """Counts a wrong try of a terminal and merchant.

    The one that locks begins the window again, so that a lock lasts a whole minute.
    """
    counted = _counted(tries, now_us, WRONG_TRY_WINDOW_US)
    locks = counted.times == WRONG_TRIES_MAX
    return counted._replace(window_start_us=now_us) if locks else counted


def locked_until_us(tries: WindowCount) -> int:
    """Gives the time from which a locked terminal may try again."""
    return tries.window_start_us + WRONG_TRY_WINDOW_US


def is_digits(text: str) -> bool:
    """Says whether a text is ASCII digits and not empty; other scripts have digits too."""
    return text.isascii() and text.isdigit()


def not_digits(field: str, length: int) -> TimebankError:
    """Makes the refusal of a number without repeating it: it may be one digit from a secret."""
    return TimebankError(
        Reason.VALIDATION_FAILED,
        f"{field}: expected {length} digits; scan it again",
        field=field,
    )


def check_digit(body: str) -> str:
    """Gives the Luhn digit that follows a number (ISO/IEC 7812-1 annex B).

    It finds every wrong digit and every swap of two neighbours but 0 and 9.
    """
    doubled, others = body[-1::-2].translate(_DOUBLED), body[-2::-2]
    return str(-sum(map(int, doubled + others)) % 10)


def has_check_digit(number: str) -> bool:
    """Says whether a text is digits of which the last is the Luhn digit of the others."""
    return is_digits(number) and check_digit(number[:-1]) == number[-1]


def drawn_digits(random: bytes, count: int) -> str:
    """Draws that many digits from RANDOM_BYTES bytes; see number_below."""
    return f"{number_below(random, 10**count):0{count}d}"


def number_below(random: bytes, limit: int) -> int:
    """Draws a number from 0 to limit - 1, each equally likely, from RANDOM_BYTES bytes.

    A word of 64 bits above the greatest multiple of the limit is passed over for the next one; at
    10**15 that all four are refused happens once in 10**17 draws. Then, as for another number of
    bytes, ValueError: the source of randomness is broken.
    """
    if len(random) != RANDOM_BYTES:
        raise ValueError(f"expected {RANDOM_BYTES} random bytes, got {len(random)}")
    words = 2 ** (8 * WORD_BYTES)
    for start in range(0, RANDOM_BYTES, WORD_BYTES):
        word = int.from_bytes(random[start : start + WORD_BYTES], "big")
        if word < words - words % limit:
            return word % limit
    raise ValueError("expected random bytes, got none that draw a number")


def keyed_digest(key: bytes, use: str, ledger: str, text: str) -> bytes:
    """Gives the HMAC-SHA-256 (RFC 2104) of a text, apart for each use and ledger.

    Each part stands behind its length, so that no two lists of parts are the same bytes. ValueError
    for a key below KEY_BYTES_MIN bytes.
    """
    if len(key) < KEY_BYTES_MIN:
        raise ValueError(f"expected a key of at least {KEY_BYTES_MIN} bytes, got {len(key)}")
    message = bytearray()
    for part in ("timebank.merchant", use, ledger, text):
        data = part.encode("utf-8")
        message += len(data).to_bytes(4, "big") + data
    return hmac.digest(key, bytes(message), hashlib.sha256)


def _times_now(counter: WindowCount, now_us: int, window_us: int) -> int:
    """Gives the times in a window, 0 once it is over; a clock that is a little behind is in it."""
    return counter.times if abs(now_us - counter.window_start_us) < window_us else 0


def _counted(counter: WindowCount, now_us: int, window_us: int) -> WindowCount:
    times = _times_now(counter, now_us, window_us)
    return counter._replace(times=times + 1) if times else WindowCount(now_us, 1)
