"""PINs: which ones are refused, when they lock, and when one is asked for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merchant.domain.pins import (
    TRIES_MAX,
    PaymentMethod,
    PinState,
    PinTiers,
    PinVerdict,
    Tier,
    after_reset,
    check_new_pin,
    check_pin,
    check_tiers,
    day_points_max,
    exceeds_day_points,
    judge_try,
    pin_is_required,
    tier_of,
    tries_left,
)
from timebank.errors import Reason, TimebankError

TIERS = PinTiers()
NEW = PinState("$argon2id$")
METHODS_BY_AMOUNT = [PaymentMethod.CODE, PaymentMethod.SIGNED_CODE, PaymentMethod.MERCHANT_QR]


@pytest.mark.parametrize("pin", ["482916", "019283", "900817", "100002", "112234"])
def test_six_digits_without_a_pattern_are_taken(pin: str) -> None:
    check_pin(pin)
    if len(set(pin)) >= 3:
        check_new_pin(pin)


@pytest.mark.parametrize(
    "pin",
    [
        "",
        "48291",
        "4829160",
        "48291a",
        " 48291",
        "48291\n",
        "４８２９１６",
        "٤٨٢٩١٦",
        "48291²",
        "-48291",
    ],
)
def test_anything_but_six_digits_is_refused(pin: str) -> None:
    for check in (check_pin, check_new_pin):
        with pytest.raises(TimebankError, match="6 digits") as caught:
            check(pin)
        assert caught.value.reason is Reason.VALIDATION_FAILED


@pytest.mark.parametrize(
    ("pin", "why"),
    [
        *((str(digit) * 6, "different digits") for digit in range(10)),
        ("121212", "different digits"),
        ("100001", "different digits"),
        *(("0123456789012345"[start : start + 6], "in order") for start in range(10)),
        *(("9876543210987654"[start : start + 6], "in order") for start in range(10)),
        ("123123", "twice"),
        ("520520", "twice"),
        ("520131", "first that"),
        ("789456", "first that"),
    ],
)
def test_a_pin_that_is_guessed_first_is_refused_with_what_to_do(pin: str, why: str) -> None:
    check_pin(pin)
    with pytest.raises(TimebankError, match=why) as caught:
        check_new_pin(pin)
    assert caught.value.reason is Reason.VALIDATION_FAILED
    assert "choose six digits" in caught.value.message


def test_less_than_half_a_percent_of_pins_is_refused() -> None:
    def is_refused(pin: str) -> bool:
        try:
            check_new_pin(pin)
        except TimebankError:
            return True
        return False

    refused = sum(is_refused(f"{number:06d}") for number in range(0, 1_000_000, 17))
    assert 0 < refused < 1_000_000 // 17 // 200


def test_the_fifth_wrong_try_locks_and_the_right_pin_does_not_open() -> None:
    state, verdicts = NEW, []
    for left in range(TRIES_MAX, 0, -1):
        assert tries_left(state) == left
        verdict, state = judge_try(state, matches=False)
        verdicts.append(verdict)
    assert verdicts == [*[PinVerdict.WRONG] * 4, PinVerdict.LOCKED]
    assert tries_left(state) == 0
    assert judge_try(state, matches=True) == (PinVerdict.LOCKED, state)
    assert judge_try(state, matches=False) == (PinVerdict.LOCKED, state)


def test_a_right_try_forgets_the_wrong_ones() -> None:
    four_wrong = NEW._replace(failed=4)
    assert judge_try(four_wrong, matches=True) == (PinVerdict.RIGHT, NEW)


def test_a_reset_unlocks_with_another_hash() -> None:
    assert after_reset("$argon2id$new") == PinState("$argon2id$new", failed=0, locked=False)


@given(st.lists(st.booleans(), max_size=40))
def test_a_pin_is_locked_once_five_wrong_tries_follow_each_other(tries: list[bool]) -> None:
    state, in_a_row, locked = NEW, 0, False
    for matches in tries:
        verdict, state = judge_try(state, matches)
        in_a_row = 0 if matches else in_a_row + 1
        locked = locked or in_a_row == TRIES_MAX
        assert (verdict is PinVerdict.LOCKED) is locked
        assert state.locked is locked


@pytest.mark.parametrize(
    ("method", "pin_given", "tier", "points"),
    [
        (PaymentMethod.SIGNED_CODE, True, Tier.A, 20_000),
        (PaymentMethod.SIGNED_CODE, False, Tier.C, 1_000),
        (PaymentMethod.CODE, True, Tier.B, 5_000),
        (PaymentMethod.CODE, False, Tier.C, 1_000),
        (PaymentMethod.MERCHANT_QR, True, Tier.D, 500),
        (PaymentMethod.MERCHANT_QR, False, Tier.D, 500),
        (PaymentMethod.CARD, True, Tier.D, 500),
        (PaymentMethod.CARD, False, Tier.D, 500),
        (PaymentMethod.ASSISTED, False, Tier.D, 500),
    ],
)
def test_the_tiers_are_those_of_the_central_bank(
    method: PaymentMethod, pin_given: bool, tier: Tier, points: int
) -> None:
    assert tier_of(method, pin_given=pin_given) is tier
    assert day_points_max(method, TIERS, pin_given=pin_given) == points
    assert not exceeds_day_points(points, 0, method, TIERS, pin_given=pin_given)
    assert not exceeds_day_points(1, points - 1, method, TIERS, pin_given=pin_given)
    assert exceeds_day_points(1, points, method, TIERS, pin_given=pin_given)


@pytest.mark.parametrize("method", METHODS_BY_AMOUNT)
def test_one_payment_of_up_to_200_points_needs_no_pin(method: PaymentMethod) -> None:
    assert not pin_is_required(0, 0, method, TIERS)
    assert not pin_is_required(200, 0, method, TIERS)
    assert pin_is_required(201, 0, method, TIERS)


@pytest.mark.parametrize(
    ("method", "day_points"),
    [
        (PaymentMethod.CODE, 1_000),
        (PaymentMethod.SIGNED_CODE, 1_000),
        (PaymentMethod.MERCHANT_QR, 500),
    ],
)
def test_small_payments_need_a_pin_above_the_day(method: PaymentMethod, day_points: int) -> None:
    assert not pin_is_required(100, day_points - 100, method, TIERS)
    assert pin_is_required(100, day_points - 99, method, TIERS)


def test_a_card_always_needs_a_pin_and_two_officers_never() -> None:
    assert pin_is_required(0, 0, PaymentMethod.CARD, TIERS)
    assert not pin_is_required(10**9, 10**9, PaymentMethod.ASSISTED, TIERS)


def test_no_points_without_a_pin_asks_for_every_payment() -> None:
    strict = TIERS._replace(payment_points_without_pin=0)
    assert pin_is_required(1, 0, PaymentMethod.CODE, strict)


@pytest.mark.parametrize(("amount", "spent"), [(-1, 0), (0, -1)])
def test_negative_points_are_refused(amount: int, spent: int) -> None:
    with pytest.raises(TimebankError) as caught:
        pin_is_required(amount, spent, PaymentMethod.CODE, TIERS)
    assert caught.value.reason is Reason.VALIDATION_FAILED


def test_equal_and_empty_tiers_are_taken() -> None:
    check_tiers(TIERS)
    check_tiers(PinTiers(0, 0, 0, 0, 0))
    check_tiers(PinTiers(5, 5, 5, 5, 5))


@pytest.mark.parametrize(
    "tiers",
    [
        TIERS._replace(day_points_d=-1),
        TIERS._replace(day_points_d=1_001),
        TIERS._replace(day_points_c=5_001),
        TIERS._replace(day_points_b=20_001),
        TIERS._replace(payment_points_without_pin=-1),
        TIERS._replace(payment_points_without_pin=1_001),
    ],
)
def test_tiers_that_contradict_each_other_are_refused(tiers: PinTiers) -> None:
    with pytest.raises(TimebankError, match="expected") as caught:
        check_tiers(tiers)
    assert caught.value.reason is Reason.VALIDATION_FAILED
