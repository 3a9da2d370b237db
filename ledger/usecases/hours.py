"""Members, records, policies, stars and certificates: what a caller asks, and what it may see.

Members see themselves and the services they received, officers the members of their units, others
all. A draw for a spot check is a keyed hash of the record's number: nobody who lacks the
deployment's secret can foresee it, and who has it can draw again.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import NamedTuple

from ledger.domain.back_entries import DRAWS
from ledger.domain.certificate_rules import certificate_not_found
from ledger.domain.entry import EntryKind
from ledger.domain.facts import (
    POLICIES,
    CertificateRow,
    Fact,
    FactKind,
    Member,
    PolicyRow,
    Record,
)
from ledger.domain.hours_commands import HoursCommand
from ledger.domain.hours_view import in_units, member_not_found
from ledger.leaf_facts import known_in
from ledger.sequencer import Answer
from ledger.store import hours_reads, reads
from ledger.store.notices import Notice, list_notices
from ledger.usecases.ledgers import Handle, Ledgers
from ledger.usecases.writes import Chain, Writes, Written
from timebank.auth import Call, Principal, PrincipalKind
from timebank.errors import Reason, TimebankError
from timebank.secret_keys import SecretKeys

DRAW_LABEL = "timebank spot check"
SUBMITTED_KINDS = (
    EntryKind.RECORD_CLAIMED,
    EntryKind.RECORD_VERIFIED,
    EntryKind.RECORD_DISPUTED,
    EntryKind.RECORD_POSTED,
    EntryKind.RECORD_CORRECTED,
)
"""Kinds of the first entry of a record, which has its number as natural key."""


class Stated(NamedTuple):
    """A fact and the entry that states it."""

    fact: Fact
    log_index: int


class Hours:
    """Carries requests about members and records out, and reads what they left."""

    def __init__(self, ledgers: Ledgers, writes: Writes, secret_keys: SecretKeys) -> None:
        self._ledgers = ledgers
        self._writes = writes
        self._reader = ledgers.world.databases.reader
        self._draw_key = secret_keys.key(DRAW_LABEL)

    async def handle(self, ledger_id: str, principal: Principal) -> Handle:
        """Gives an open ledger. Raises LEDGER_NOT_FOUND."""
        return await self._ledgers.handle(ledger_id, principal)

    async def carry_out(
        self, ledger_id: str, request_id: bytes, command: HoursCommand, call: Call
    ) -> Written:
        """Carries one request out. Raises what its rules refuse with."""
        return await self._writes.one(ledger_id, Chain(request_id, (command,)), call)

    async def carry_out_many(self, ledger_id: str, chains: Sequence[Chain], call: Call) -> Answer:
        """Carries many requests out, each by itself."""
        return await self._writes.many(ledger_id, chains, call)

    def draw(self, ledger_id: str, record_id: str) -> int:
        """Draws a record's number from 0 to 9,999 for the spot check."""
        data = f"{ledger_id}\0{record_id}".encode()
        digest = hmac.new(self._draw_key, data, hashlib.sha256).digest()
        return int.from_bytes(digest[:8], "big") % DRAWS

    def now_us(self) -> int:
        """Gives the clock's time."""
        return self._ledgers.world.clock.now_us()

    async def find(
        self, handle: Handle, kind: FactKind, fact_ids: Sequence[str]
    ) -> dict[str, Stated]:
        """Finds facts by id."""
        found = await hours_reads.find_facts(self._reader, handle.ledger_no, kind, fact_ids)
        return {name: stated_in(kind, item) for name, item in found.items()}

    async def member(self, handle: Handle, member_id: str, principal: Principal) -> Member:
        """Reads a member. Raises MEMBER_NOT_FOUND, also for one the caller may not see."""
        found = (await self.find(handle, FactKind.MEMBER, [member_id])).get(member_id)
        member = found.fact if found is not None else None
        if not isinstance(member, Member) or not may_see_member(principal, member):
            raise member_not_found(member_id)
        return member

    async def group_ids(self, handle: Handle, member: Member) -> list[str]:
        """Lists a member's root and all its duplicates."""
        root_id = member.merged_into or member.member_id
        rows = await hours_reads.list_by_parent(
            self._reader, handle.ledger_no, FactKind.MEMBER, [root_id], limit=1_000
        )
        return [root_id, *(row.fact_id for row in rows)]

    async def members(
        self, handle: Handle, principal: Principal, *, home_unit: str, after: str, limit: int
    ) -> list[Member]:
        """Lists members by number that the caller may see, in a unit and below it."""
        found: list[Member] = []
        while len(found) < limit:
            rows = await hours_reads.list_by_id(
                self._reader, handle.ledger_no, FactKind.MEMBER, after=after, limit=limit
            )
            for row in rows:
                member = stated_in(FactKind.MEMBER, row).fact
                if not isinstance(member, Member) or not may_see_member(principal, member):
                    continue
                if not home_unit or in_units(member.home_unit, [home_unit]):
                    found.append(member)
            if len(rows) < limit:
                break
            after = rows[-1].fact_id
        return found[:limit]

    async def record(
        self, handle: Handle, record_id: str, principal: Principal
    ) -> tuple[Record, int, str]:
        """Reads a record, the index of its last entry, and its content.

        Raises RECORD_NOT_FOUND, also for one the caller may not see.
        """
        found = (await self.find(handle, FactKind.RECORD, [record_id])).get(record_id)
        record = found.fact if found is not None else None
        if found is None or not isinstance(record, Record):
            raise _no_record(record_id)
        if not (await self._visible(handle, [record], principal)):
            raise _no_record(record_id)
        indexes = await reads.find_natural(
            self._reader, handle.ledger_no, record_id, [int(kind) for kind in SUBMITTED_KINDS]
        )
        content = await hours_reads.find_text(self._reader, handle.ledger_no, indexes)
        return record, found.log_index, content

    async def _visible(
        self, handle: Handle, records: Sequence[Record], principal: Principal
    ) -> list[Record]:
        """Gives those of some records that the caller may see."""
        if principal.kind is PrincipalKind.MEMBER:
            me = principal.id
            return [item for item in records if me in (item.volunteer, item.beneficiary)]
        if principal.kind is not PrincipalKind.OFFICER:
            return list(records)
        names = {item.volunteer for item in records}
        found = await self.find(handle, FactKind.MEMBER, list(names))
        seen = {
            name
            for name, item in found.items()
            if isinstance(item.fact, Member) and may_see_member(principal, item.fact)
        }
        return [item for item in records if item.volunteer in seen]

    async def records(
        self,
        handle: Handle,
        principal: Principal,
        wanted: hours_reads.FactFilter,
        *,
        alarm: bool,
        limit: int,
    ) -> list[tuple[Record, int]]:
        """Lists records that the caller may see, newest entry first, with their entries."""
        found: list[tuple[Record, int]] = []
        while len(found) < limit:
            rows = await hours_reads.list_newest(
                self._reader, handle.ledger_no, FactKind.RECORD, wanted, limit
            )
            indexes = {row.fact_id: row.log_index for row in rows}
            facts = [stated_in(FactKind.RECORD, row).fact for row in rows]
            records = [fact for fact in facts if isinstance(fact, Record)]
            for record in await self._visible(handle, records, principal):
                if record.alarm or not alarm:
                    found.append((record, indexes[record.record_id]))
            if len(rows) < limit:
                break
            wanted = wanted._replace(before=rows[-1].log_index)
        return found[:limit]

    async def notices(self, handle: Handle, *, after: int, limit: int) -> list[Notice]:
        """Lists notices of POINTS that will expire, after a number."""
        return await list_notices(self._reader, handle.ledger_no, after=after, limit=limit)

    async def policies(self, handle: Handle) -> list[Stated]:
        """Lists the versions of the policy in the order of adoption."""
        rows = await hours_reads.list_by_parent(
            self._reader, handle.ledger_no, FactKind.POLICY, [POLICIES], limit=10_000
        )
        stated = [stated_in(FactKind.POLICY, row) for row in rows]
        return sorted(stated, key=_log_index)

    async def policy(self, handle: Handle, version: str) -> PolicyRow:
        """Reads a version of the policy. Raises POLICY_NOT_FOUND."""
        found = (await self.find(handle, FactKind.POLICY, [version])).get(version)
        if found is None or not isinstance(found.fact, PolicyRow):
            raise TimebankError(Reason.POLICY_NOT_FOUND, f"no policy {version}", policy=version)
        return found.fact

    async def certificate(self, handle: Handle, number: str) -> tuple[CertificateRow, int]:
        """Reads where a certificate stands. Raises CERTIFICATE_NOT_FOUND."""
        found = (await self.find(handle, FactKind.CERTIFICATE, [number])).get(number)
        if found is None or not isinstance(found.fact, CertificateRow):
            raise certificate_not_found(number)
        return found.fact, found.log_index


def stated_in(kind: FactKind, row: hours_reads.FactLeaf) -> Stated:
    """Reads a fact out of the entry that states it."""
    for known in known_in(row.leaf, (kind, row.fact_id)):
        return Stated(known.fact, row.log_index)
    raise ValueError(f"entry {row.log_index} does not state {kind.name} {row.fact_id}")


def may_see_member(principal: Principal, member: Member) -> bool:
    """Says whether a caller may see a member."""
    if principal.kind is PrincipalKind.MEMBER:
        return principal.id == member.member_id
    if principal.kind is PrincipalKind.OFFICER:
        return in_units(member.home_unit, principal.units)
    return True


def _log_index(stated: Stated) -> int:
    return stated.log_index


def _no_record(record_id: str) -> TimebankError:
    return TimebankError(
        Reason.RECORD_NOT_FOUND, f"no service record {record_id}", record=record_id
    )
