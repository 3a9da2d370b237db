"""What a till signs: no field adds a line, no old or repeated signature passes."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merchant.domain.terminal_signatures import (
    CODE_CHARACTERS_MAX,
    MERCHANT_REF_CHARACTERS_MAX,
    NONCE_LIFE_US,
    NONCES_MAX,
    SKEW_US,
    TIMESTAMP_S_MAX,
    NonceVerdict,
    NonceWindow,
    TillCall,
    TimeVerdict,
    canonical_text,
    check_line,
    check_time,
)
from timebank.errors import Reason, TimebankError
from timebank.units import INT64_MAX

NOW_S = 1_767_225_600
NOW_US = NOW_S * 1_000_000
CALL = TillCall(
    method="RedeemPoints",
    request_id="4df14000-8000-4000-8000-00000000000a",
    merchant_ref="理发-1",
    amount=35,
    code="701234567890123457",
    timestamp_s=NOW_S,
    nonce="Zm9yIHRoZSB0aWxs",
)
CALLS = st.builds(
    TillCall,
    method=st.from_regex(r"[A-Z][A-Za-z]{1,63}", fullmatch=True),
    request_id=st.uuids().filter(lambda found: found.int != 0).map(str),
    merchant_ref=st.text(
        st.characters(exclude_categories=["Cc", "Cf", "Cs", "Zl", "Zp"]), max_size=40
    ),
    amount=st.integers(min_value=0, max_value=INT64_MAX),
    code=st.from_regex(r"([0-9]{18})?", fullmatch=True),
    timestamp_s=st.integers(min_value=0, max_value=TIMESTAMP_S_MAX),
    nonce=st.from_regex(r"[!-~]{16,64}", fullmatch=True),
)


def test_a_call_signs_eight_lines() -> None:
    assert canonical_text(CALL).decode().split("\n") == [
        "TB1",
        "RedeemPoints",
        "4df14000-8000-4000-8000-00000000000a",
        "理发-1",
        "35",
        "6cf3c1b4c57dc5758bf2ec60af77f2f4f1c8a539431dc42af02c58547a12fa0d",
        "1767225600",
        "Zm9yIHRoZSB0aWxs",
    ]


def test_a_call_without_code_reference_and_amount_keeps_its_lines() -> None:
    lines = canonical_text(CALL._replace(code="", merchant_ref="", amount=0)).split(b"\n")
    assert lines[3:6] == [b"", b"0", b""]
    assert len(lines) == 8


@given(CALLS, CALLS)
def test_two_calls_never_sign_the_same_bytes(first: TillCall, second: TillCall) -> None:
    assert (canonical_text(first) == canonical_text(second)) is (first == second)
    assert canonical_text(first).count(b"\n") == 7


@pytest.mark.parametrize(
    ("field", "name", "value"),
    [
        ("method", "method", ""),
        ("method", "method", "redeemPoints"),
        ("method", "method", "Redeem Points"),
        ("method", "method", "RedeemPoints\n"),
        ("method", "method", "R" * 65),
        ("method", "method", "Rеdeem"),
        ("request_id", "request_id", ""),
        ("request_id", "request_id", CALL.request_id + "\n"),
        ("request_id", "request_id", "00000000-0000-0000-0000-000000000000"),
        ("merchant_ref", "merchant_ref", "x\n99999"),
        ("merchant_ref", "merchant_ref", "x\r"),
        ("merchant_ref", "merchant_ref", "x\x00"),
        ("merchant_ref", "merchant_ref", "x\x7f"),
        ("merchant_ref", "merchant_ref", "x\x85"),
        ("merchant_ref", "merchant_ref", "x\u2028"),
        ("merchant_ref", "merchant_ref", "x\u2029"),
        ("merchant_ref", "merchant_ref", "x\u202e"),
        ("merchant_ref", "merchant_ref", "x\u200b"),
        ("merchant_ref", "merchant_ref", "\ufeffx"),
        ("merchant_ref", "merchant_ref", "x\ud800"),
        ("merchant_ref", "merchant_ref", "x" * (MERCHANT_REF_CHARACTERS_MAX + 1)),
        ("amount", "amount", -1),
        ("amount", "amount", INT64_MAX + 1),
        ("amount", "amount", 10**400),
        ("code", "code", "7012 3456"),
        ("code", "code", "7\n"),
        ("code", "code", "７"),
        ("code", "code", "7" * (CODE_CHARACTERS_MAX + 1)),
        ("timestamp_s", "timestamp", -1),
        ("timestamp_s", "timestamp", TIMESTAMP_S_MAX + 1),
        ("timestamp_s", "timestamp", NOW_S * 1000),
        ("nonce", "nonce", ""),
        ("nonce", "nonce", "x" * 15),
        ("nonce", "nonce", "x" * 65),
        ("nonce", "nonce", "x" * 16 + "\n"),
        ("nonce", "nonce", "x" * 15 + " "),
        ("nonce", "nonce", "x" * 15 + "\x7f"),
        ("nonce", "nonce", "x" * 15 + "é"),
    ],
)
def test_a_field_that_could_add_a_line_or_is_malformed_is_refused(
    field: str, name: str, value: object
) -> None:
    hostile = CALL._replace(**{field: value})  # type: ignore[arg-type]  # the table mixes types
    with pytest.raises(TimebankError) as caught:
        canonical_text(hostile)
    assert caught.value.reason is Reason.VALIDATION_FAILED
    assert caught.value.metadata["field"] == name
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 300


def test_the_first_malformed_line_is_the_one_that_is_named() -> None:
    wrong = TillCall("", "", "\n", -1, " ", -1, "")
    names = []
    for field, good in CALL._asdict().items():
        with pytest.raises(TimebankError) as caught:
            canonical_text(wrong)
        names.append(caught.value.metadata["field"])
        wrong = wrong._replace(**{field: good})
    assert names == [
        *("method", "request_id", "merchant_ref", "amount", "code", "timestamp", "nonce")
    ]
    assert canonical_text(wrong) == canonical_text(CALL)


def test_a_code_is_not_repeated_in_an_error() -> None:
    with pytest.raises(TimebankError) as caught:
        canonical_text(CALL._replace(code="7012-3456"))
    assert "7012" not in caught.value.message


def test_the_longest_fields_are_taken() -> None:
    longest = CALL._replace(
        method="R" * 64,
        merchant_ref="𠮷" * MERCHANT_REF_CHARACTERS_MAX,
        amount=INT64_MAX,
        code="7" * CODE_CHARACTERS_MAX,
        timestamp_s=TIMESTAMP_S_MAX,
        nonce="~" * 64,
    )
    assert canonical_text(longest).count(b"\n") == 7


@given(st.text(max_size=50))
def test_a_checked_line_is_one_line(text: str) -> None:
    with contextlib.suppress(TimebankError):
        check_line("field", text, 40)
        assert len(text) <= 40
        assert len(text.splitlines()) <= 1
        assert text.encode("utf-8").count(b"\n") == 0


@pytest.mark.parametrize(
    ("late_us", "verdict"),
    [
        (-SKEW_US - 1, TimeVerdict.TOO_NEW),
        (-SKEW_US, TimeVerdict.GOOD),
        (0, TimeVerdict.GOOD),
        (SKEW_US, TimeVerdict.GOOD),
        (SKEW_US + 1, TimeVerdict.TOO_OLD),
        (10**30, TimeVerdict.TOO_OLD),
    ],
)
def test_a_clock_may_be_five_minutes_off(late_us: int, verdict: TimeVerdict) -> None:
    assert SKEW_US == 300_000_000
    assert check_time(NOW_S, NOW_US + late_us) is verdict


SIGNED, SIGNED_ANEW = b"s" * 64, b"t" * 64


def test_a_nonce_is_taken_once() -> None:
    window = NonceWindow()
    assert window.take("a" * 16, SIGNED, NOW_US) is NonceVerdict.FRESH
    assert window.take("a" * 16, SIGNED_ANEW, NOW_US + 1) is NonceVerdict.REPEATED
    assert window.take("a" * 16, SIGNED, NOW_US + 1) is NonceVerdict.SAME
    assert window.take("A" * 16, SIGNED, NOW_US + 1) is NonceVerdict.FRESH


def test_a_nonce_is_remembered_for_ten_minutes_and_then_forgotten() -> None:
    window = NonceWindow()
    window.take("a" * 16, SIGNED, NOW_US)
    assert NONCE_LIFE_US == 600_000_000
    late_us = NOW_US + NONCE_LIFE_US
    assert window.take("a" * 16, SIGNED_ANEW, late_us) is NonceVerdict.REPEATED
    assert window.take("a" * 16, SIGNED_ANEW, late_us + 1) is NonceVerdict.FRESH
    assert len(window) == 1


@given(
    first_us=st.integers(min_value=-SKEW_US, max_value=SKEW_US),
    second_us=st.integers(min_value=-SKEW_US, max_value=SKEW_US),
)
def test_no_signature_outlives_the_memory_of_its_nonce(first_us: int, second_us: int) -> None:
    earlier_us, later_us = sorted((NOW_US + first_us, NOW_US + second_us))
    assert check_time(NOW_S, earlier_us) is check_time(NOW_S, later_us) is TimeVerdict.GOOD
    window = NonceWindow()
    window.take(CALL.nonce, SIGNED, earlier_us)
    assert window.take(CALL.nonce, SIGNED_ANEW, later_us) is NonceVerdict.REPEATED


def filled(count: int) -> NonceWindow:
    """A window that has seen so many nonces."""
    window = NonceWindow()
    for index in range(count):
        window.take(f"nonce-{index:010d}", SIGNED, NOW_US)
    return window


def test_a_full_window_refuses_new_nonces_rather_than_forget_old_ones() -> None:
    full = filled(NONCES_MAX)
    assert full.take("a" * 16, SIGNED, NOW_US) is NonceVerdict.TOO_MANY
    assert full.take("nonce-0000000000", SIGNED_ANEW, NOW_US) is NonceVerdict.REPEATED
    assert full.take("a" * 16, SIGNED, NOW_US + NONCE_LIFE_US + 1) is NonceVerdict.FRESH
    assert len(full) == 1


def test_the_last_place_of_a_window_is_used() -> None:
    almost = filled(NONCES_MAX - 1)
    assert almost.take("a" * 16, SIGNED, NOW_US) is NonceVerdict.FRESH
    assert len(almost) == NONCES_MAX
