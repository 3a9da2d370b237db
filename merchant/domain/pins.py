"""PINs 支付密码, and when one is asked for.

Owns: what a PIN may be, how often it may be wrong, and the tiers of points above which it is
needed. Refuses: hashing (Argon2id is the caller's) and repeating a PIN in an error. Rules: five
wrong tries lock it until it is reset by somebody else. The tiers are those of the central bank for
barcodes (条码支付业务规范(试行), 银发[2017]296号, in force from 1 April 2018), in points:

    A  dynamic code, two factors, one of them an electronic signature   as agreed
    B  dynamic code, two factors                                        5,000 yuan a day
    C  dynamic code, fewer factors                                      1,000 yuan a day
    D  static code, whatever the factors                                  500 yuan a day

The defaults take a point for a yuan.
"""

from __future__ import annotations

import enum
import itertools
from typing import NamedTuple

from timebank.errors import Reason, TimebankError

PIN_LENGTH = 6
TRIES_MAX = 5
DIFFERENT_DIGITS_MIN = 3
WELL_KNOWN = frozenset(
    {"112233", "123321", "131452", "147258", "159753", "258369", "520131", "789456"}
)
"""What people take when runs and repetitions are refused: lines on the keypad, 我爱你一生."""


class PinState(NamedTuple):
    """A member's PIN: its Argon2id text, the wrong tries since the last right one, the lock."""

    hash_text: str
    failed: int = 0
    locked: bool = False


class PinVerdict(enum.Enum):
    """What a try came to."""

    RIGHT = "RIGHT"
    WRONG = "WRONG"
    LOCKED = "LOCKED"


class PaymentMethod(enum.Enum):
    """How a member shows who pays."""

    CODE = "CODE"
    """A payment code on the member's device."""
    SIGNED_CODE = "SIGNED_CODE"
    """A payment code whose use the device's key signs."""
    MERCHANT_QR = "MERCHANT_QR"
    """The merchant's printed code, which the member scans and confirms."""
    CARD = "CARD"
    """A printed card."""
    ASSISTED = "ASSISTED"
    """Two officers for a member who is there; the second stands in for a PIN."""


class Tier(enum.Enum):
    """The central bank's classes of ability to prevent risk 风险防范能力."""

    A = "A"
    B = "B"
    C = "C"
    D = "D"


class PinTiers(NamedTuple):
    """Points of a day that each tier allows, and of one payment without a PIN."""

    day_points_a: int = 20_000
    """A is by agreement: this is the programme's with every member."""
    day_points_b: int = 5_000
    day_points_c: int = 1_000
    day_points_d: int = 500
    payment_points_without_pin: int = 200


_TIERS = {
    PaymentMethod.CODE: (Tier.C, Tier.B),
    PaymentMethod.SIGNED_CODE: (Tier.C, Tier.A),
    PaymentMethod.MERCHANT_QR: (Tier.D, Tier.D),
    PaymentMethod.CARD: (Tier.D, Tier.D),
    PaymentMethod.ASSISTED: (Tier.D, Tier.D),
}
"""Tiers of a method without a PIN and with one."""


def check_pin(pin: str) -> None:
    """Checks that a text can be a PIN, before it is compared with one.

    Raises VALIDATION_FAILED for anything but six ASCII digits; that is no try.
    """
    if len(pin) != PIN_LENGTH or not (pin.isascii() and pin.isdigit()):
        raise _refused(f"expected {PIN_LENGTH} digits from 0 to 9, typed on their own")


def check_new_pin(pin: str) -> None:
    """Checks a PIN that a member chooses.

    Raises VALIDATION_FAILED for anything but six ASCII digits and for those that are guessed first:
    fewer than three different digits, a run up or down (also past 9), a half twice, a well-known
    one.
    """
    check_pin(pin)
    if len(set(pin)) < DIFFERENT_DIGITS_MIN:
        raise _refused(f"expected at least {DIFFERENT_DIGITS_MIN} different digits, got fewer")
    steps = {(int(after) - int(before)) % 10 for before, after in itertools.pairwise(pin)}
    if steps in ({1}, {9}):
        raise _refused("digits in order, such as 123456 or 654321, are guessed first")
    if pin[:3] == pin[3:]:
        raise _refused("the same three digits twice are guessed first")
    if pin in WELL_KNOWN:
        raise _refused("this one is among the first that are guessed")


def judge_try(state: PinState, matches: bool) -> tuple[PinVerdict, PinState]:
    """Says what a try came to, and the state after it; `matches` is the hash's answer.

    The fifth wrong try answers LOCKED, as does every try from then on, right or wrong. It is
    applied to the state as it is under the row's lock, and only if that still has the hash which
    was compared: then tries at the same moment cannot be more than five either.
    """
    if state.locked:
        return PinVerdict.LOCKED, state
    if matches:
        return PinVerdict.RIGHT, state._replace(failed=0)
    failed = state.failed + 1
    locked = failed >= TRIES_MAX
    verdict = PinVerdict.LOCKED if locked else PinVerdict.WRONG
    return verdict, state._replace(failed=failed, locked=locked)


def tries_left(state: PinState) -> int:
    """Gives how many wrong tries may follow, the last of which locks; 0 when locked."""
    return 0 if state.locked else TRIES_MAX - state.failed


def after_reset(hash_text: str) -> PinState:
    """Gives the state of a PIN that was set anew: no tries, no lock."""
    return PinState(hash_text)


def tier_of(method: PaymentMethod, *, pin_given: bool) -> Tier:
    """Gives the tier of a payment."""
    without_pin, with_pin = _TIERS[method]
    return with_pin if pin_given else without_pin


def day_points_max(method: PaymentMethod, tiers: PinTiers, *, pin_given: bool) -> int:
    """Gives the points that a member may spend in a day up to and with such a payment."""
    points = {
        Tier.A: tiers.day_points_a,
        Tier.B: tiers.day_points_b,
        Tier.C: tiers.day_points_c,
        Tier.D: tiers.day_points_d,
    }
    return points[tier_of(method, pin_given=pin_given)]


def exceeds_day_points(
    amount_points: int,
    spent_today_points: int,
    method: PaymentMethod,
    tiers: PinTiers,
    *,
    pin_given: bool,
) -> bool:
    """Says whether a payment is above the day of its tier; without a PIN a PIN may help."""
    limit = day_points_max(method, tiers, pin_given=pin_given)
    return spent_today_points + amount_points > limit


def pin_is_required(
    amount_points: int, spent_today_points: int, method: PaymentMethod, tiers: PinTiers
) -> bool:
    """Says whether a payment needs a PIN: a card always, an assisted one never, others above the
    points of one payment or of the day.

    `spent_today_points` are all of the member's of the day so far, whatever the method, less what
    was reversed. A payment of exactly the limit needs none. Where a PIN does not raise the day's
    limit (tier D), see exceeds_day_points. Raises VALIDATION_FAILED below 0 points.
    """
    if amount_points < 0 or spent_today_points < 0:
        raise TimebankError(
            Reason.VALIDATION_FAILED,
            f"expected points from 0, got {amount_points} after {spent_today_points} today",
            field="amount",
        )
    if method in (PaymentMethod.CARD, PaymentMethod.ASSISTED):
        return method is PaymentMethod.CARD
    if amount_points > tiers.payment_points_without_pin:
        return True
    return exceeds_day_points(amount_points, spent_today_points, method, tiers, pin_given=False)


def check_tiers(tiers: PinTiers) -> None:
    """Checks tiers that somebody configured.

    Raises VALIDATION_FAILED unless 0 <= D <= C <= B <= A, and a payment without a PIN is from 0 to
    the day of C.
    """
    days = (0, tiers.day_points_d, tiers.day_points_c, tiers.day_points_b, tiers.day_points_a)
    if list(days) != sorted(days):
        raise TimebankError(
            Reason.VALIDATION_FAILED,
            "tiers: expected 0 <= day_points_d <= day_points_c <= day_points_b <= day_points_a,"
            f" got {', '.join(map(str, days[1:]))}",
            field="tiers",
        )
    if not 0 <= tiers.payment_points_without_pin <= tiers.day_points_c:
        raise TimebankError(
            Reason.VALIDATION_FAILED,
            f"tiers: expected payment_points_without_pin from 0 to {tiers.day_points_c},"
            f" got {tiers.payment_points_without_pin}",
            field="tiers",
        )


def _refused(why: str) -> TimebankError:
    return TimebankError(
        Reason.VALIDATION_FAILED,
        f"pin: {why}; choose six digits that others do not guess, no birthday",
        field="pin",
    )
