"""Velocity controls 限额: what one subject may redeem in a window, in points and in times.

Of several controls none may be exceeded. Windows are calendar ones in the programme's zone: a day,
an ISO week, a month, a lifetime, one transaction.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence

from merchant.domain.business_days import from_us, zone_of
from merchant.domain.counter_windows import kept_until_us
from merchant.domain.documents import Control, Controls, Counter, Document, Offer
from merchant.domain.places import Key
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
    return _window_of_second(window, now_us // 1_000_000, zone)


@functools.lru_cache(maxsize=1_024)
def _window_of_second(window: str, now_s: int, zone: str) -> str:
    local = from_us(now_s * 1_000_000).astimezone(zone_of(zone))
    if window == "DAY":
        return local.date().isoformat()
    if window == "WEEK":
        year, week, _ = local.isocalendar()
        return f"{year}-W{week:02d}"
    if window == "MONTH":
        return f"{local.year}-{local.month:02d}"
    return "all"


def subjects_of(
    merchant_id: str, *, terminal_id: str, member_id: str, device: str
) -> dict[str, str]:
    """Gives whom and what a redemption counts for, by scope; an empty one for nobody."""
    return {
        "MEMBER": member_id,
        "DEVICE": device,
        "TERMINAL": terminal_id,
        "MERCHANT": merchant_id,
        "MERCHANT_MEMBER_PAIR": f"{merchant_id}/{member_id}" if member_id else "",
    }


def want_counters(
    transaction: Transaction, subjects: dict[str, str], zone: str, *more: Key
) -> None:
    """Asks at once for all counters of the controls, and for what else is wanted."""
    controls = transaction.find(Controls, CONTROLS_ID)
    known = controls.controls if controls is not None else ()
    now_us = transaction.now_us
    names = [name for _, name in _counted(known, subjects, now_us, zone) if name]
    if subjects["MEMBER"]:
        names.append(spent_counter(subjects["MEMBER"], now_us, zone))
    transaction.want(*more, *((DocumentKind.COUNTER, name) for name in names))


def spent_counter(member_id: str, now_us: int, zone: str) -> str:
    """Names the counter of what a member spends in a day."""
    return f"{SPENT}{member_id}/{window_of('DAY', now_us, zone)}"


def _counted(
    controls: Sequence[Control], subjects: dict[str, str], now_us: int, zone: str
) -> Iterator[tuple[Control, str]]:
    """Gives the controls that have a subject, each with its counter; a transaction has none."""
    for control in controls:
        subject = subjects[control.scope]
        if subject and control.window == "TRANSACTION":
            yield control, ""
        elif subject:
            window = window_of(control.window, now_us, zone)
            yield control, f"{control.control_id}/{subject}/{window}"


def check_controls(
    transaction: Transaction, subjects: dict[str, str], amount: int, zone: str
) -> tuple[str, ...]:
    """Checks every control against its subject and gives the counters that will count.

    `subjects` are those of subjects_of. Raises VELOCITY_LIMIT_EXCEEDED.
    """
    want_counters(transaction, subjects, zone)
    controls = transaction.find(Controls, CONTROLS_ID)
    now_us = transaction.now_us
    counters = []
    if subjects["MEMBER"]:
        counters.append(spent_counter(subjects["MEMBER"], now_us, zone))
    known = controls.controls if controls is not None else ()
    for control, name in _counted(known, subjects, now_us, zone):
        before = (transaction.find(Counter, name) if name else None) or Counter(name)
        if name:
            counters.append(name)
        _check(control, before.amount + amount, before.times + 1)
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


def forget_counters(transaction: Transaction, counter_ids: Sequence[str]) -> Document:
    """Forgets those of some counters whose windows are long over; gives the last of them all."""
    transaction.want(*((DocumentKind.COUNTER, counter_id) for counter_id in counter_ids))
    for counter_id in counter_ids:
        until_us = kept_until_us(counter_id)
        over = until_us is not None and until_us <= transaction.now_us
        if over and transaction.find(Counter, counter_id) is not None:
            transaction.delete(Counter, counter_id)
    return Counter(counter_ids[-1])
