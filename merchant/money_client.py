"""The ledger in the words of settlement and of the special fund: what is moved, and what it says.

Owns: which entry a settlement, a payout, an income and a spending is, and their natural keys.
Refuses: deciding anything.
Rules: a request id is made of the natural key and the number of declines, so that whoever asks
again after a crash asks the same question and gets the same answer, and nothing moves twice; a new
question after a decline is kept from doubling by its natural key.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from datetime import datetime
from typing import NamedTuple

from merchant.domain.business_days import from_us, to_us
from merchant.domain.documents import Batch, Income, Merchant, Spending
from merchant.ledger_client import Ledger, LedgerUnavailable
from timebank.client import AccountKind, EntryKind, EntryView, Leg, Unit, move
from timebank.errors import MEANINGS, TimebankError

_REQUESTS = uuid.UUID("5f0c6d0e-2a53-4f0a-9d0b-6d3c1f0a7b21")
"""The name space of our request ids (RFC 9562 5.5)."""
_UNKNOWN_STATUSES = frozenset(
    {"UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "UNAUTHENTICATED"}
)
PAGE_MAX = 1_000


class Moved(NamedTuple):
    """The ledger's answer: the entry's name and time, or why it declined. Neither: there was
    nothing to move.
    """

    entry: str = ""
    recorded_us: int = 0
    reason: str = ""
    message: str = ""
    account: str = ""
    """Which account a decline is about, when the ledger says so."""


class SystemAccounts(NamedTuple):
    """Names of the accounts that every ledger has and that money moves through."""

    issuance: str
    fund: str
    clearing: str


class Movement(NamedTuple):
    """One entry as it moved one account; `amount` is positive when it credited it."""

    entry: str
    kind: str
    natural_key: str
    recorded_us: int
    amount: int


class Money:
    """What settlement and fund ask of ledgers; their own accounts never change.

    What moves raises LedgerUnavailable when nobody knows whether it did.
    """

    def __init__(self) -> None:
        self._accounts: dict[str, SystemAccounts] = {}

    async def settle(self, ledger: Ledger, batch: Batch, merchant: Merchant) -> Moved:
        """Burns the points of a batch and credits the merchant with their fen, in one entry.

        Does nothing when the merchant is owed no points. Raises LedgerUnavailable.
        """
        if batch.net_points <= 0:
            return Moved()
        system = await self._system(ledger)
        debit, credit, unit = merchant.points_account, system.issuance, Unit.POINTS
        legs = [*move(debit=debit, credit=credit, unit=unit, amount=batch.net_points)]
        if batch.net_fen:
            debit, credit, unit = system.fund, merchant.fund_account, Unit.FUND
            legs += move(debit=debit, credit=credit, unit=unit, amount=batch.net_fen)
        kind = EntryKind.SETTLEMENT
        return await self._post(ledger, kind, legs, batch.batch_id, batch.attempts)

    async def pay_out(self, ledger: Ledger, batch: Batch, merchant: Merchant) -> Moved:
        """Takes what a batch came to off the merchant's account. Raises LedgerUnavailable."""
        if batch.net_fen <= 0:
            return Moved()
        debit, credit = merchant.fund_account, (await self._system(ledger)).clearing
        legs = [*move(debit=debit, credit=credit, unit=Unit.FUND, amount=batch.net_fen)]
        key = f"payout/{batch.batch_id}"
        return await self._post(ledger, EntryKind.FUND_SPENDING, legs, key, batch.attempts)

    async def receive(self, ledger: Ledger, income: Income) -> Moved:
        """Credits the fund with an income. Raises LedgerUnavailable."""
        system = await self._system(ledger)
        debit, credit, fen = system.clearing, system.fund, income.amount_fen
        legs = [*move(debit=debit, credit=credit, unit=Unit.FUND, amount=fen)]
        key = f"income/{income.income_id}"
        return await self._post(ledger, EntryKind.FUND_INCOME, legs, key, income.attempts)

    async def spend(self, ledger: Ledger, spending: Spending) -> Moved:
        """Pays a spending out of the fund. Raises LedgerUnavailable."""
        system = await self._system(ledger)
        debit, credit, fen = system.fund, system.clearing, spending.amount_fen
        legs = [*move(debit=debit, credit=credit, unit=Unit.FUND, amount=fen)]
        key = f"spending/{spending.spending_id}"
        return await self._post(ledger, EntryKind.FUND_SPENDING, legs, key, spending.attempts)

    async def is_fund(self, ledger: Ledger, account: str) -> bool:
        """Says whether an account, by id, is the ledger's special fund."""
        return (await self._system(ledger)).fund.rpartition("/")[2] == account

    async def fund_balance(self, ledger: Ledger, before_us: int | None) -> tuple[int, int]:
        """Gives the fund's balance in fen before a moment or now, and how much of the log that is.

        Raises what the ledger refuses with.
        """
        account = (await self._system(ledger)).fund
        point = None if before_us is None else _time(before_us - 1)
        found = await ledger.client.get_balance(account, as_of_recorded_time=point)
        return found.posted, found.log_size

    async def balance(self, ledger: Ledger, account: str, before_us: int) -> int:
        """Gives the posted balance of an account before a moment."""
        point = _time(before_us - 1)
        return (await ledger.client.get_balance(account, as_of_recorded_time=point)).posted

    async def movements(
        self, ledger: Ledger, account: str, *, start_us: int, end_us: int, limit: int
    ) -> list[Movement]:
        """Lists the first entries that moved an account from start to before end, oldest first."""
        entries = ledger.client.list_entries(
            account=account,
            start_time=_time(start_us),
            end_time=_time(end_us),
            oldest_first=True,
            page_size=min(limit, PAGE_MAX),
        )
        return await _first_movements(entries, account, limit)

    async def _post(
        self, ledger: Ledger, kind: EntryKind, legs: list[Leg], key: str, attempts: int
    ) -> Moved:
        name = f"{ledger.ledger_id}/{kind.name}/{key}/{attempts}"
        request_id = str(uuid.uuid5(_REQUESTS, name))
        try:
            posted = await ledger.client.post(
                kind=kind, postings=legs, natural_key=key, request_id=request_id
            )
        except TimebankError as error:
            if MEANINGS[error.reason].status.name in _UNKNOWN_STATUSES:
                raise LedgerUnavailable(error.message) from error
            account = error.metadata.get("account", "")
            return Moved(reason=error.reason.value, message=error.message, account=account)
        return Moved(posted.entry, to_us(posted.recorded_time))

    async def _system(self, ledger: Ledger) -> SystemAccounts:
        found = self._accounts.get(ledger.ledger_id)
        if found is None:
            wanted = (
                (AccountKind.ISSUANCE, Unit.POINTS),
                (AccountKind.FUND, Unit.FUND),
                (AccountKind.CLEARING, Unit.FUND),
            )
            names = [await _account(ledger, kind, unit) for kind, unit in wanted]
            found = self._accounts[ledger.ledger_id] = SystemAccounts(*names)
        return found


async def _account(ledger: Ledger, kind: AccountKind, unit: Unit) -> str:
    """Finds the one account of a kind and unit that every ledger has."""
    return (await anext(ledger.client.list_accounts(kind=kind, unit=unit, page_size=1))).name


async def _first_movements(
    entries: AsyncIterator[EntryView], account: str, limit: int
) -> list[Movement]:
    found: list[Movement] = []
    async for entry in entries:
        amount = sum(posting.amount for posting in entry.postings if posting.account == account)
        if amount:
            time_us, key = to_us(entry.recorded_time), entry.natural_key or ""
            found.append(Movement(entry.name, entry.kind.name, key, time_us, amount))
        if len(found) == limit:
            break
    return found


def _time(time_us: int) -> datetime:
    return from_us(max(time_us, 1))
