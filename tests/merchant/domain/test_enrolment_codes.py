"""Enrolment codes: read by people, good once, and proved by a key."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merchant.domain.enrolment_codes import (
    ALPHABET,
    CODE_LENGTH,
    CODE_LIFE_US,
    EnrolmentCode,
    digest_of,
    enrolment_text,
    is_well_formed,
    judge,
    key_id_of,
    make_code,
    normalise,
    rotation_text,
)
from merchant.domain.payment_codes import RANDOM_BYTES, WORD_BYTES, CodeVerdict
from timebank.errors import Reason, TimebankError

KEY = bytes(range(32))
LEDGER = "ledgers/weihai"
TERMINAL = "ledgers/weihai/merchants/barber/terminals/till-1"
CODE = "K7QWX2M9"
KEY_ID = "0123456789abcdef"
NOW_US = 1_767_225_600_000_000
GOOD = EnrolmentCode(b"digest", TERMINAL, issued_us=NOW_US)


def refusal(call: Callable[..., object], *arguments: object) -> TimebankError:
    """How a call refuses its arguments as malformed."""
    with pytest.raises(TimebankError) as caught:
        call(*arguments)
    assert caught.value.reason is Reason.VALIDATION_FAILED
    return caught.value


def test_the_alphabet_has_thirty_characters_that_nobody_mistakes() -> None:
    assert len(ALPHABET) == len(set(ALPHABET)) == 30
    assert not set("0O1ILU") & set(ALPHABET)


@given(st.integers(min_value=0, max_value=30**8 - 1))
def test_every_code_can_be_drawn(number: int) -> None:
    code = make_code(number.to_bytes(WORD_BYTES, "big").ljust(RANDOM_BYTES))
    assert len(code) == CODE_LENGTH
    assert is_well_formed(code)
    value = 0
    for character in code:
        value = 30 * value + ALPHABET.index(character)
    assert value == number


def test_random_bytes_that_would_favour_some_codes_are_passed_over() -> None:
    accepted = 2**64 // 30**8 * 30**8
    passed_over = accepted.to_bytes(8, "big") + (31).to_bytes(8, "big")
    assert make_code(passed_over.ljust(RANDOM_BYTES)) == "22222233"


@pytest.mark.parametrize(
    "typed",
    ["K7QWX2M9", "k7qwx2m9", " K7QW-X2M9\n", "k7qw x2m9", "Ｋ７ＱＷ　ｘ２ｍ９", "K7QW–X2M9"],
)
def test_what_a_merchant_types_is_one_code(typed: str) -> None:
    assert normalise(typed) == CODE


@pytest.mark.parametrize(
    "typed",
    [
        *("", "K7QWX2M", "K7QWX2M99", "K7QWX2M0", "K7QWX2MO", "K7QWX2ML", "K7QWX2MU"),
        *("K7QWX2M\u017f", "K7QWX2M\u00df", "\u212a7QWX2M9", "K7QWX2M\u0669", "K7QW\x00X2M9"),
        *("K7QW\u200bX2M9", "\ud800" * 8, "K7QW'X2M9"),
    ],
)
def test_hostile_text_is_no_code(typed: str) -> None:
    code = normalise(typed)
    assert not is_well_formed(code)
    for error in (
        refusal(digest_of, KEY, LEDGER, code),
        refusal(enrolment_text, TERMINAL, code, KEY),
    ):
        assert error.metadata["field"] == "enrolment_code"
        assert not code or code not in error.message


def test_an_endless_text_is_refused() -> None:
    with pytest.raises(TimebankError) as caught:
        normalise("K" * 65)
    assert caught.value.reason is Reason.VALIDATION_FAILED


def test_a_digest_tells_keys_ledgers_and_codes_apart() -> None:
    digests = {
        digest_of(KEY, LEDGER, CODE),
        digest_of(KEY[::-1], LEDGER, CODE),
        digest_of(KEY, "ledgers/hailin", CODE),
        digest_of(KEY, LEDGER, "22222222"),
    }
    assert len(digests) == 4


@pytest.mark.parametrize(
    ("age_us", "verdict"),
    [
        (0, CodeVerdict.GOOD),
        (CODE_LIFE_US, CodeVerdict.GOOD),
        (CODE_LIFE_US + 1, CodeVerdict.EXPIRED),
    ],
)
def test_a_code_is_good_for_fifteen_minutes(age_us: int, verdict: CodeVerdict) -> None:
    assert CODE_LIFE_US == 900_000_000
    assert judge(GOOD, NOW_US + age_us) is verdict


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        (None, CodeVerdict.UNKNOWN),
        (GOOD._replace(used_us=NOW_US), CodeVerdict.USED),
        (GOOD._replace(replaced_us=NOW_US), CodeVerdict.REPLACED),
        (GOOD._replace(used_us=NOW_US, replaced_us=NOW_US), CodeVerdict.USED),
    ],
)
def test_a_code_is_good_once_and_until_the_next(
    code: EnrolmentCode | None, verdict: CodeVerdict
) -> None:
    assert judge(code, NOW_US) is verdict
    later = NOW_US + 100 * CODE_LIFE_US
    assert judge(code, later) is verdict


def test_an_enrolment_signs_four_lines() -> None:
    assert enrolment_text(TERMINAL, CODE, bytes(32)).decode().split("\n") == [
        "TB1-ENROL",
        TERMINAL,
        "9e156e9847235d3b0c3cd530912863f2d68878eccd389be6676bcad0cbcd62ff",
        "A" * 43,
    ]


def test_a_rotation_signs_four_lines() -> None:
    text = rotation_text(TERMINAL, KEY_ID, b"\xff" * 32).decode()
    assert text.split("\n") == ["TB1-ROTATE", TERMINAL, KEY_ID, "_" * 42 + "8"]


def test_the_id_of_a_key_is_the_start_of_its_hash() -> None:
    assert key_id_of(bytes(32)) == "66687aadf862bd77"


@pytest.mark.parametrize(
    "terminal", ["", "a\nb", "a\rb", "a\x00", "a\x7f", "a\x85", "a\u2028b", "a\u202eb", "x" * 257]
)
def test_a_terminal_name_cannot_add_a_line(terminal: str) -> None:
    for error in (
        refusal(enrolment_text, terminal, CODE, KEY),
        refusal(rotation_text, terminal, KEY_ID, KEY),
    ):
        assert error.metadata["field"] == "terminal"


@pytest.mark.parametrize(
    "key_id", ["", "0123456789ABCDEF", "0123456789abcde", KEY_ID + "\n", "é" * 16]
)
def test_a_key_id_is_sixteen_hexadecimal_digits(key_id: str) -> None:
    with pytest.raises(TimebankError, match="16 lower-case") as caught:
        rotation_text(TERMINAL, key_id, KEY)
    assert caught.value.reason is Reason.VALIDATION_FAILED


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_key_has_32_bytes(length: int) -> None:
    for error in (
        refusal(enrolment_text, TERMINAL, CODE, bytes(length)),
        refusal(rotation_text, TERMINAL, KEY_ID, bytes(length)),
        refusal(key_id_of, bytes(length)),
    ):
        assert error.metadata["field"] == "public_key"
