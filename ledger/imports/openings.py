"""The TIME accounts of the holders that a file names: found where they are, opened where not.

Owns: which accounts the movements of a file are booked on, and their lowest balance. Refuses: the
movements.
Rules: an account is opened under a natural key made of its holder, so that another run finds it;
existing accounts whose lowest balance is above the wanted one get the wanted one; the public time
pool is the ledger's own.
"""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from typing import Protocol

from ledger.imports.movements import POOL
from timebank.client.commands import Chain, OpenAccount
from timebank.client.kinds import AccountKind
from timebank.client.views import AccountView, ChainResult
from timebank.errors import Reason, TimebankError
from timebank.units import Unit

BATCH_ACCOUNTS = 2_000
"""Accounts opened in one call; the server takes up to 8,000."""
OPENINGS_IN_FLIGHT = 3
LOOKUPS_IN_FLIGHT = 16

Advance = Callable[[int], None]
"""Told how many more are done."""


class ImportLedger(Protocol):
    """What an import needs of the ledger's client."""

    async def batch_execute(
        self, chains: Sequence[Chain], /
    ) -> Sequence[ChainResult | TimebankError]:
        """Carries out chains in order, each for itself."""

    def list_accounts(
        self,
        *,
        holder: str = "",
        unit: Unit | None = None,
        kind: AccountKind | None = None,
    ) -> AsyncIterator[AccountView]:
        """Lists accounts in the order of their opening."""

    async def set_account_limits(
        self,
        account: str,
        /,
        *,
        min_balance: int | None,
        max_balance: int | None,
        debt_limit: int,
    ) -> AccountView:
        """Replaces the limits of an account."""


class Openings:
    """Gives every holder of a file its account; `accounts` maps holder to resource name and
    `available` those found to the minutes they had.
    """

    def __init__(self, client: ImportLedger, *, seed: str, min_balance: int) -> None:
        """Takes what request ids are made from, and the lowest balance in minutes."""
        self.accounts: dict[str, str] = {}
        self.available: dict[str, int] = {}
        self._client = client
        self._seed = seed
        self._min_balance = min_balance

    async def open(
        self, holders: Sequence[str], *, adopt: bool, advance: Advance | None = None
    ) -> int:
        """Finds or opens the TIME account of every holder; gives how many were opened.

        `adopt` looks for accounts that the holders have already before it opens any. Accounts
        whose lowest balance is above the wanted one get the wanted one. Raises what the ledger
        refuses.
        """
        members = [holder for holder in holders if holder != POOL]
        if len(members) < len(holders):
            pool = await self._pool()
            self.accounts[POOL], self.available[POOL] = pool.name, pool.available
        missing = await self._adopt(members) if adopt else members
        batches = [
            missing[at : at + BATCH_ACCOUNTS] for at in range(0, len(missing), BATCH_ACCOUNTS)
        ]
        places = asyncio.Semaphore(OPENINGS_IN_FLIGHT)
        opened = 0

        async def send(batch: list[str]) -> None:
            nonlocal opened
            async with places:
                opened += await self._open(batch)
            if advance is not None:
                advance(len(batch))

        await _each(send(batch) for batch in batches)
        return opened

    async def _open(self, holders: Sequence[str]) -> int:
        """Opens accounts; those that an earlier run opened are found again. Gives the new ones."""
        outcomes = await self._client.batch_execute([self._opening(one) for one in holders])
        opened = 0
        existing = []
        for holder, outcome in zip(holders, outcomes, strict=True):
            if not isinstance(outcome, TimebankError):
                self.accounts[holder] = outcome.results[0].account or ""
                opened += not outcome.replayed
            elif outcome.reason is Reason.ACCOUNT_EXISTS:
                existing.append(holder)
            else:
                raise outcome
        lost = await self._adopt(existing)
        if lost:
            raise TimebankError(
                Reason.ACCOUNT_NOT_FOUND,
                f"holder {lost[0]}: the ledger opened an account for it and no longer shows it",
                holder=lost[0],
            )
        return opened

    def _opening(self, holder: str) -> Chain:
        natural_key = f"import:{holder}"
        command = OpenAccount(
            holder=holder,
            unit=Unit.TIME,
            kind=AccountKind.MEMBER,
            min_balance=self._min_balance,
            natural_key=natural_key,
        )
        return Chain(commands=(command,), request_id=request_id_of(self._seed + natural_key))

    async def _adopt(self, holders: Sequence[str]) -> list[str]:
        """Looks up the accounts that holders have already; gives the holders that have none."""
        places = asyncio.Semaphore(LOOKUPS_IN_FLIGHT)

        async def look_up(holder: str) -> None:
            async with places:
                await self._adopt_one(holder)

        await _each(look_up(holder) for holder in holders)
        return [holder for holder in holders if holder not in self.accounts]

    async def _adopt_one(self, holder: str) -> None:
        accounts = self._client.list_accounts(
            holder=holder, unit=Unit.TIME, kind=AccountKind.MEMBER
        )
        async for account in accounts:
            if account.min_balance is not None and account.min_balance > self._min_balance:
                await self._client.set_account_limits(
                    account.name,
                    min_balance=self._min_balance,
                    max_balance=account.max_balance,
                    debt_limit=account.debt_limit,
                )
            self.accounts[holder] = account.name
            self.available[holder] = account.available
            return

    async def _pool(self) -> AccountView:
        async for account in self._client.list_accounts(unit=Unit.TIME, kind=AccountKind.POOL):
            return account
        raise TimebankError(
            Reason.ACCOUNT_NOT_FOUND, "the ledger has no public time pool 公共时间池 for TIME"
        )


async def _each(calls: Iterable[Coroutine[None, None, None]]) -> None:
    """Runs calls together; the first refusal ends the others and is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            for call in calls:
                group.create_task(call)
    except* TimebankError as refusals:
        refusal = refusals.exceptions[0]
        raise refusal from refusal.__cause__


def request_id_of(text: str) -> str:
    """Gives the UUID of a text: the first 16 bytes of its SHA-256 in the form of RFC 4122 v4."""
    return str(uuid.UUID(bytes=hashlib.sha256(text.encode()).digest()[:16], version=4))
