"""Velocity controls 限额: what one subject may redeem in a window, in points and in times.

Of several controls none may be exceeded. Windows are calendar ones in the programme's zone: a day,
an ISO week, a month, a lifetime, one transaction.
"""

from __future__ import annotations

from merchant.domain.business_days import from_us, zone_of
from merchant.domain.documents import Control, Controls, Counter, Offer
from merchant.domain.redemption_effects import PIECES
from merchant.domain.states import DocumentKind
from merchant.domain.transactions import Transaction
from timebank.errors import Reason, TimebankError

CONTROLS_ID = "velocity"
SCOPES = ("MEMBER", "DEVICE", "TERMINAL", "MERCHANT", "MERCHANT_MEMBER_PAIR")
WINDOWS = ("TRANSACTION", "DAY", "WEEK", "MONTH", "LIFETIME")
CONTROLS_MAX = 50
SPENT = "spent/"
"""Counters of this prefix sum a member's day, whatever the controls: a PIN may hang on it."""


def window_of(window: str, now_us: int, zone: str) -> str:
    """Names the window of a moment, e.g. `2026-11-30`, `2026-W49`, `2026-11`."""
    local = from_us(now_us).astimezone(zone_of(zone))
    if window == "DAY":
        return local.date().isoformat()
    if window == "WEEK":
        year, week, _ = local.isocalendar()
        return f"{year}-W{week:02d}"
    if window == "MONTH":
        return f"{local.year}-{local.month:02d}"
    return "all"


def check_controls(
    transaction: Transaction, subjects: dict[str, str], amount: int, zone: str
) -> tuple[str, ...]:
    """Checks every control against its subject and gives the counters that will count.

    `subjects` are ids by scope; one without a subject is not looked at. Raises
    VELOCITY_LIMIT_EXCEEDED.
    """
    controls = transaction.find(Controls, CONTROLS_ID)
    counters = []
    if subjects["MEMBER"]:
        day = window_of("DAY", transaction.now_us, zone)
        counters.append(f"{SPENT}{subjects['MEMBER']}/{day}")
    known = controls.controls if controls is not None else ()
    transaction.want(
        *(
            (
                DocumentKind.COUNTER,
                f"{one.control_id}/{subjects[one.scope]}/"
                f"{window_of(one.window, transaction.now_us, zone)}",
            )
            for one in known
            if subjects.get(one.scope) and one.window != "TRANSACTION"
        )
    )
    for control in known:
        subject = subjects.get(control.scope, "")
        if not subject:
            continue
        amount_before = times_before = 0
        if control.window != "TRANSACTION":
            window = window_of(control.window, transaction.now_us, zone)
            counter_id = f"{control.control_id}/{subject}/{window}"
            counter = transaction.find(Counter, counter_id) or Counter(counter_id)
            amount_before, times_before = counter.amount, counter.times
            counters.append(counter_id)
        _check(control, amount_before + amount, times_before + 1)
    return tuple(counters)


def _check(control: Control, amount: int, times: int) -> None:
    over_amount = control.amount_max and amount > control.amount_max
    over_times = control.count_max and times > control.count_max
    if over_amount or over_times:
        limit = (
            f"{control.amount_max} points" if over_amount else f"{control.count_max} redemptions"
        )
        raise TimebankError(
            Reason.VELOCITY_LIMIT_EXCEEDED,
            f"at most {limit} for each {control.scope} and {control.window}: wait for the next"
            " window, or redeem less",
            control=control.control_id,
        )


def check_pieces(
    transaction: Transaction, offer: Offer, member_id: str, quantity: int, zone: str
) -> tuple[str, ...]:
    """Checks an offer's caps of a day and gives the counters that will count its pieces.

    Raises LIMIT_EXCEEDED.
    """
    day = window_of("DAY", transaction.now_us, zone)
    counters = []
    caps = [(offer.daily_max, "")]
    if member_id:
        caps.append((offer.per_member_daily_max, member_id))
    for maximum, subject in caps:
        if not maximum:
            continue
        counter_id = f"{PIECES}{offer.offer_id}/{subject}/{day}"
        counter = transaction.find(Counter, counter_id) or Counter(counter_id)
        if counter.times + quantity > maximum:
            left = max(0, maximum - counter.times)
            whose = "the member" if subject else "the day"
            raise TimebankError(
                Reason.LIMIT_EXCEEDED,
                f"offer {offer.offer_id} has {left} pieces left for {whose}, asked for {quantity}",
                offer=offer.offer_id,
                left=left,
            )
        counters.append(counter_id)
    return tuple(counters)
