"""Programmes: for each ledger its writer, its time zone, and the client that asks the ledger."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry

from merchant.domain.documents import Document
from merchant.domain.places import Key
from merchant.domain.states import DocumentKind
from merchant.domain.transactions import Transaction
from merchant.ledger_client import Accounts, Ledger
from merchant.metrics import MerchantMetricFamilies, MerchantMetrics
from merchant.sequencer import Answer, Request, Sequencer
from merchant.store.documents import find_document, list_documents
from merchant.store.programmes import find_programme, list_programmes, make_programme
from timebank.auth import Call, Principal
from timebank.clock import Clock
from timebank.database import Databases
from timebank.database.sessions import open_session
from timebank.errors import Reason, TimebankError


@dataclass(slots=True)
class Programme:
    """One ledger that the merchant service works for."""

    ledger_no: int
    ledger_id: str
    zone: str
    ledger: Ledger
    sequencer: Sequencer
    metrics: MerchantMetrics
    members: dict[str, Accounts] = field(default_factory=dict)
    merchants: dict[str, Accounts] = field(default_factory=dict)
    budgets: dict[str, str] = field(default_factory=dict)
    """What merchants had, for look-ups ahead of time; the rules read the documents themselves."""


class Programmes:
    """All programmes of this process."""

    def __init__(
        self,
        databases: Databases,
        *,
        clock: Clock,
        random_bytes: Callable[[int], bytes],
        ledger_of: Callable[[str], Ledger],
        spawn: Callable[[str, Any], Any],
        metrics: MerchantMetricFamilies | None = None,
    ) -> None:
        self.databases = databases
        self.metrics = metrics or MerchantMetricFamilies(CollectorRegistry())
        self.clock = clock
        self._random_bytes = random_bytes
        self._ledger_of = ledger_of
        self._spawn = spawn
        self._open: dict[str, Programme] = {}
        self._opening = asyncio.Lock()

    async def programme(self, ledger_id: str, principal: Principal | None) -> Programme:
        """Gives a programme that the caller may use, beginning it when it is new.

        Raises LEDGER_NOT_FOUND, and what a failing database or ledger raises.
        """
        if principal is not None and not principal.may_use(ledger_id):
            raise TimebankError(Reason.LEDGER_NOT_FOUND, f"no ledger {ledger_id}")
        found = self._open.get(ledger_id)
        if found is None:
            async with self._opening:
                found = self._open.get(ledger_id) or await self._begin(ledger_id)
        return found

    async def _begin(self, ledger_id: str) -> Programme:
        ledger = self._ledger_of(ledger_id)
        zone = await ledger.time_zone()
        number = await find_programme(self.databases.reader, ledger_id)
        if number is None:
            number = await make_programme(self.databases, ledger_id)
        metrics = self.metrics.of(ledger_id)
        sequencer = Sequencer(
            number,
            ledger_id,
            session=open_session(self.databases),
            clock=self.clock,
            random_bytes=self._random_bytes,
            observer=metrics.committed,
        )
        self._spawn(f"merchant writer {ledger_id}", sequencer.run())
        found = Programme(number, ledger_id, zone, ledger, sequencer, metrics)
        self._open[ledger_id] = found
        return found

    async def known(self) -> list[str]:
        """Lists the ledgers that have a programme already."""
        return [ledger_id for _, ledger_id in await list_programmes(self.databases.reader)]

    async def close(self) -> None:
        """Ends the writers."""
        for programme in list(self._open.values()):
            await programme.sequencer.close()

    async def find(self, programme: Programme, kind: DocumentKind, name: str) -> Document | None:
        """Reads a document, None when there is none."""
        return await find_document(self.databases.reader, programme.ledger_no, kind, name)

    async def listed(
        self,
        programme: Programme,
        kind: DocumentKind,
        parent: str,
        *,
        after: int = -1,
        newest_first: bool = False,
        limit: int,
    ) -> list[tuple[int, Document]]:
        """Lists documents below a parent."""
        return await list_documents(
            self.databases.reader,
            programme.ledger_no,
            kind,
            parent,
            after=after,
            newest_first=newest_first,
            limit=limit,
        )

    async def member_accounts(self, programme: Programme, member_id: str) -> Accounts:
        """Gives the accounts of a member; they never change. Raises MEMBER_NOT_FOUND."""
        found = programme.members.get(member_id)
        if found is None:
            found = await programme.ledger.member_accounts(member_id)
            if len(programme.members) >= MEMBERS_MAX:
                programme.members.clear()
            programme.members[member_id] = found
        return found


MEMBERS_MAX = 100_000
"""Members whose accounts a process remembers."""


async def carry_out(
    programme: Programme,
    rule: Callable[[Transaction], Document],
    *,
    call: Call | None = None,
    request_id: bytes = b"",
    said: object = None,
    hints: tuple[Key, ...] = (),
    remembers: bool = True,
) -> Answer:
    """Carries a rule out; with a request id once in 31 days. `said` is what the request says, as
    the fingerprint sees it; unless it `remembers`, the request id is only looked up. Raises what
    the rule refuses with.
    """
    key = fingerprint = b""
    if request_id:
        assert call is not None, "who repeats must be known"
        assert call.principal is not None, "who repeats must be known"
        caller = call.principal.name
        key = hashlib.sha256(caller.encode() + b"\0" + request_id).digest()[:16]
        fingerprint = hashlib.sha256(repr(said).encode()).digest()
    request = Request(rule, key, fingerprint, hints, remembers=remembers)
    return await programme.sequencer.submit(request)
