"""Draws what a caller may ask next: mostly what may succeed, sometimes what may not.

A teller looks at the reference model for what there is to pay from, to capture and to undo. All it
draws comes from one seed, so that every choice is as likely as it is meant to be.
"""

import random
from collections.abc import Callable, Sequence
from typing import TypeVar

from tests.simulation import asked as q
from tests.simulation import moves as rules
from tests.simulation.books import Account
from tests.simulation.moves import DAY_US, HOUR_US, ROUTES
from tests.simulation.reference import Reference
from tests.support.commands import (
    CLEARING,
    FUND,
    HOURS,
    ISSUANCE,
    MEMBER,
    MERCHANT,
    POINTS,
    POOL,
    SERVICE,
    TILL,
    TIME,
)

T = TypeVar("T")
OPENED = (
    *[(POINTS, MEMBER)] * 4,
    *[(TIME, MEMBER)] * 3,
    *((POINTS, MERCHANT), (TIME, MERCHANT), (HOURS, MEMBER), (TIME, POOL), (FUND, MERCHANT)),
    *((POINTS, ISSUANCE), (FUND, CLEARING), (HOURS, MERCHANT)),
)
MOVEMENTS = (
    *[(rules.REDEMPTION, POINTS)] * 5,
    *((rules.REDEMPTION, TIME), (rules.TRANSFER, TIME), (rules.SERVICE_PAYMENT, TIME)),
    *((rules.DONATION, TIME), (rules.POOL_GRANT, TIME), (rules.SETTLEMENT, POINTS)),
    *((rules.SETTLEMENT, TIME), (rules.SETTLEMENT, FUND), (rules.FUND_INCOME, FUND)),
    *((rules.FUND_SPENDING, FUND), (rules.IMPORT, TIME)),
)
GRANTS = (POINTS, POINTS, POINTS, TIME, TIME, HOURS, FUND)
EXPIRIES_US = (0, HOUR_US, 10 * HOUR_US, 2 * DAY_US, 2 * DAY_US, 5 * DAY_US, 400 * DAY_US)
HOLD_LIVES_US = (HOUR_US, 10 * HOUR_US, 30 * HOUR_US, 36 * HOUR_US, 37 * HOUR_US)
SERVICES_US = (HOUR_US, 3 * DAY_US, 9 * DAY_US)
KEYS = ("", "", "", "", "receipt/1", "receipt/2", "receipt/3")
MEMOS = ("", "", "", "少一件", "谢谢")
LARGE = 2**63 - 1


class Teller:
    """Draws commands that fit the books of a model."""

    def __init__(self, seed: str, model: Reference) -> None:
        self._random = random.Random(seed)
        self._model = model

    def choose(self, values: Sequence[T]) -> T:
        """Draws one of the values."""
        return self._random.choice(values)

    def seldom(self) -> bool:
        """Draws true about once in twenty times."""
        return self._random.randrange(20) == 0

    def amount(self, limit: int) -> int:
        """Draws an amount, seldom one above the limit."""
        limit = max(limit, 1)
        if self.seldom():
            return self.choose((min(limit + 1, LARGE), LARGE, LARGE // 2))
        return self._random.randint(1, self.choose((min(limit, 10), limit, max(limit // 3, 1))))

    def account(self, fits: Callable[[Account], bool]) -> int:
        """Draws an account that fits, seldom any."""
        accounts = self._model.books.accounts
        found = [number for number, account in accounts.items() if fits(account)]
        if not found or self.seldom():
            return self.choose([*accounts, q.UNKNOWN])
        return self.choose(found)

    def account_of(self, unit: int, kinds: set[int]) -> int:
        """Draws an account of a unit and of some kinds."""
        return self.account(lambda account: account.unit == unit and account.kind in kinds)

    def expiry(self, credited: int) -> int:
        """Draws when a credit expires; almost only where there are lots."""
        account = self._model.books.accounts.get(credited)
        now_us = self._model.books.now_us
        if account is None or not account.has_lots:
            return now_us + DAY_US if self.seldom() and self.seldom() else 0
        life_us = self.choose(EXPIRIES_US)
        return now_us + life_us if life_us else 0

    def grant(self) -> q.Post:
        """Draws an opening balance."""
        unit = self.choose(GRANTS)
        source = self.account_of(unit, {CLEARING if unit == FUND else ISSUANCE})
        payee = self.account_of(unit, ROUTES[rules.OPENING_BALANCE][unit][1])
        amount = self.amount(300)
        legs = (q.Leg(source, unit, -amount), q.Leg(payee, unit, amount, self.expiry(payee)))
        return q.Post(rules.OPENING_BALANCE, legs)

    def movement(self) -> q.Post:
        """Draws a movement of two or three legs, seldom a malformed one."""
        kind, unit = self.choose(MOVEMENTS)
        debited, credited = ROUTES[kind][unit]
        payer, payee = self.account_of(unit, debited), self.account_of(unit, credited)
        amount = self.amount(self._available(payer))
        legs = [q.Leg(payer, unit, -amount), q.Leg(payee, unit, amount, self.expiry(payee))]
        if self.seldom():
            second = self.account_of(unit, debited)
            legs[1] = legs[1]._replace(amount=min(amount + 5, LARGE))
            legs.append(q.Leg(second, unit, -5))
        if self.seldom():
            legs = self.choose((legs[:1], legs[::-1], [*legs, legs[0]], [legs[0], legs[0]]))
        if self.seldom():
            kind = self.choose((rules.LOT_EXPIRED, 22, 23, rules.REVERSAL, rules.HOLD_CREATED))
        effective_us = self._model.books.now_us - HOUR_US if self.seldom() else 0
        return q.Post(kind, tuple(legs), effective_us, self.choose(KEYS), self.choose(MEMOS))

    def record(self) -> q.Post:
        """Draws what a posted record gives, or its correction takes back."""
        kind = self.choose((rules.RECORD_POSTED, rules.RECORD_POSTED, rules.RECORD_CORRECTED))
        unit = self.choose((HOURS, TIME, POINTS, POINTS))
        issuance, member = self.account_of(unit, {ISSUANCE}), self.account_of(unit, {MEMBER})
        pair = [issuance, member]
        if kind == rules.RECORD_CORRECTED and self.choose((False, True)):
            pair.reverse()
        amount = self.amount(120)
        legs = (q.Leg(pair[0], unit, -amount), q.Leg(pair[1], unit, amount, self.expiry(pair[1])))
        # Some were earned in the year before.
        effective_us = self._model.books.now_us - 100 * DAY_US if self.choose((False, True)) else 0
        return q.Post(kind, legs, effective_us, self.choose(KEYS))

    def opening(self) -> q.Open:
        """Draws an account."""
        unit, kind = self.choose(OPENED)
        minimum = None
        if unit == TIME and self.seldom():
            minimum = self.choose((-100, -LARGE, 1))
        maximum = self.choose((None, None, None, 500, -1))
        debt_limit = self.choose((0, 50, 1_000, LARGE))
        key = self.choose(("", "", "", "member/1"))
        return q.Open(unit, kind, minimum, maximum, debt_limit, key)

    def hold(self) -> q.Hold:
        """Draws a hold."""
        unit = self.choose((POINTS, POINTS, TIME))
        account = self.account_of(unit, {MEMBER})
        now_us = self._model.books.now_us
        kind, service_us, life_us = TILL, 0, self.choose(HOLD_LIVES_US)
        if unit == TIME and self.choose((False, True)):
            kind, service_us, life_us = SERVICE, now_us + 3 * HOUR_US, self.choose(SERVICES_US)
        amount = self.amount(self._available(account))
        key = self.choose(KEYS)
        return q.Hold(account, kind, unit, amount, now_us + life_us, service_us, key)

    def several(self, values: Sequence[T]) -> list[T]:
        """Draws 2 to 6 of the values, with repetitions."""
        return self._random.choices(values, k=self._random.randint(2, 6))

    def void(self) -> q.Void:
        """Draws the release of a hold."""
        return q.Void(self.live_hold())

    def live_hold(self) -> int:
        """Draws the number of a hold, mostly of a live one."""
        holds = self._model.books.holds
        live = [number for number, hold in holds.items() if hold.state == "ACTIVE"]
        if not live or self.seldom():
            return self.choose([*holds, q.UNKNOWN])
        return self.choose(live)

    def capture(self, held: int | None = None, hold: q.Hold | None = None) -> q.Capture:
        """Draws a capture of a hold, or of one that is created in the same chain."""
        if held is None:
            held = self.live_hold()
        known = self._model.books.holds.get(held)
        rest = hold.amount if hold is not None else known.rest if known is not None else 10
        payer = hold.account if hold is not None else known.account if known is not None else 0
        account = self._model.books.accounts.get(payer)
        unit = account.unit if account is not None else POINTS
        kinds = (rules.REDEMPTION, rules.REDEMPTION, rules.SERVICE_PAYMENT)
        kind = self.choose(kinds if unit == TIME else (*kinds[:1] * 9, rules.SETTLEMENT))
        payee = self.account_of(unit, ROUTES[kind].get(unit, (set(), {MERCHANT}))[1])
        final = self.choose((False, True))
        key = self.choose(KEYS)
        return q.Capture(held, payee, self.amount(rest), final, kind, self.expiry(payee), key)

    def correction(self) -> q.Reverse | q.Refund:
        """Draws a reversal or refund, mostly of a movement."""
        log = self._model.books.log
        movements = [index for index, entry in enumerate(log) if entry.kind in ROUTES]
        if not movements or self.seldom():
            movements = list(range(len(log) + 1))
        entry = self.choose(movements)
        memo = self.choose(MEMOS)
        if self.choose((False, True)):
            return q.Reverse(entry, memo)
        moved = log[entry].legs[-1][1] if entry < len(log) and log[entry].legs else 10
        return q.Refund(entry, self.amount(abs(moved) // 2), self.choose(KEYS), memo)

    def change(self) -> q.Change | q.Limits:
        """Draws a change of an account, seldom of one of the ledger's own."""
        kind = self.choose((rules.FROZEN, rules.UNFROZEN, rules.UNFROZEN, rules.CLOSED, 0, 0))
        accounts = self._model.books.accounts
        frozen = [number for number, found in accounts.items() if found.state == "FROZEN"]
        number = self.account(lambda account: account.kind in (MEMBER, MERCHANT))
        if kind == rules.UNFROZEN and frozen:
            number = self.choose(frozen)
        account = accounts.get(number)
        etag = -1
        if account is not None and self.seldom():
            etag = account.changed_index + self.choose((0, 1))
        if kind:
            return q.Change(kind, number, etag)
        merchant = account is not None and account.kind == MERCHANT
        minimum = None if merchant and self.choose((False, True)) else 0
        maximum = self.choose((None, 300, 1_000))
        return q.Limits(number, minimum, maximum, self.choose((0, 50, 1_000)), etag)

    def chain(self) -> tuple[q.Command, ...]:
        """Draws 2 to 5 commands that succeed or fail together."""
        hold = self.hold()
        if not self.seldom():
            hold = hold._replace(expires_us=self._model.books.now_us + HOUR_US, natural_key="")
        created: tuple[q.Command, ...] = (hold, self.capture(q.LAST_HOLD, hold))
        if self.choose((False, True)):
            created = (hold, q.Void(q.LAST_HOLD))
        others = self.choose((0, 0, 1, 2, 3))
        drawn = tuple(self.single(self._random.randrange(6)) for _ in range(others))
        without_hold: bool = self.choose((False, True))
        if drawn and without_hold:
            return (*drawn, drawn[0] if self.seldom() else self.movement())
        return (*created, *drawn)

    def single(self, which: int) -> q.Command:
        """Draws a command of a chain or batch."""
        draws: tuple[Callable[[], q.Command], ...] = (
            self.movement,
            self.grant,
            self.capture,
            self.correction,
            self.hold,
            self.opening,
        )
        return draws[which]()

    def _available(self, number: int) -> int:
        account = self._model.books.accounts.get(number)
        if account is None or account.minimum is None:
            return 100
        return self._model.books.available(number)
