"""Signed statements: what a member who moves takes along, and certificates of service.

A statement is a signed note of the ledger's own key, so that the public key of the log is all that
checking it takes.
"""

from __future__ import annotations

import hashlib
import json
from datetime import date
from typing import NamedTuple

from ledger.domain.calendar import from_us, zone_of
from ledger.domain.entry import Entry
from ledger.domain.facts import CertificateRow, FactKind, Member, Record, RecordState, Star
from ledger.store import hours_reads
from ledger.usecases.hours import Hours, stated_in
from ledger.usecases.ledgers import Handle, Ledgers
from ledger.usecases.vault import Vault
from timebank.auth import Principal
from timebank.certificates import (
    Certificate,
    ServiceLine,
    compact_text,
    mask_id_number,
    sign_certificate,
)
from timebank.errors import Reason, TimebankError
from timebank.tlog.note import Note, format_note, sign_text
from timebank.units import INT64_MAX, Unit

STATEMENT_HEADER = "timebank.example/moving-statement@v1"
LINES_MAX = 1_000
DOCUMENT = "certificate/"


class Wording(NamedTuple):
    """What the issuer puts on a certificate."""

    issuer: str
    person_in_charge: str
    handler: str
    contact: str
    note: str


class Period(NamedTuple):
    """Records that started from `from_us` to before `until_us`."""

    from_us: int
    until_us: int


class Document(NamedTuple):
    """A signed certificate: the note, what its QR code holds, and what the log says of it."""

    note: str
    compact: str
    sha256: bytes
    record_ids: tuple[str, ...]
    total_minutes: int


class Statements:
    """Makes signed statements."""

    def __init__(self, ledgers: Ledgers, hours: Hours, vault: Vault) -> None:
        self._ledgers = ledgers
        self._hours = hours
        self._vault = vault
        self._reader = ledgers.world.databases.reader

    async def of_export(self, handle: Handle, member_id: str, entry: Entry) -> str:
        """States what a member took along: HOURS, star, and TIME and POINTS that left."""
        row, signer = await self._ledgers.signer(handle.ledger_id)
        left = dict.fromkeys((Unit.TIME, Unit.POINTS), 0)
        for posting in entry.postings:
            if posting.amount < 0:
                left[posting.unit] -= posting.amount
        stars = await self._hours.find(handle, FactKind.STAR, [member_id])
        star = stars[member_id].fact if member_id in stars else None
        tallies = await hours_reads.find_tallies(
            self._reader, handle.ledger_no, [member_id], ["hours-year"]
        )
        said = {
            "destination": entry.cause,
            "entry": entry.log_index,
            "exported": from_us(entry.recorded_us).isoformat(),
            "hours_minutes": sum(tallies.values()),
            "member": member_id,
            "origin": row.state.log_origin,
            "points": left[Unit.POINTS],
            "star": star.star if isinstance(star, Star) else 0,
            "time_minutes": left[Unit.TIME],
        }
        body = json.dumps(said, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        text = f"{STATEMENT_HEADER}\n{body}\n"
        return format_note(Note(text, (sign_text(text, signer),)))

    async def certificate(
        self,
        handle: Handle,
        member_id: str,
        principal: Principal,
        *,
        number: str,
        period: Period,
        wording: Wording,
    ) -> Document:
        """Makes and signs a certificate over a member's posted records.

        Raises MEMBER_NOT_FOUND, PERSONAL_DATA_ERASED, CERTIFICATE_EMPTY.
        """
        member = await self._hours.member(handle, member_id, principal)
        person = await self._vault.get(handle, member_id)
        posted = await self._posted(handle, member, period)
        row, signer = await self._ledgers.signer(handle.ledger_id)
        zone = handle.time_zone
        total = sum(_hours(record) for record, _ in posted)
        certificate = Certificate(
            number=number,
            ledger_id=handle.ledger_id,
            origin=row.state.log_origin,
            volunteer_number=person.get("national_number") or member_id,
            name=person["display_name"],
            id_type=person.get("id_type", ""),
            id_number_masked=mask_id_number(person.get("id_number", "")),
            period_from=_day(posted[0][0].started_us, zone),
            period_to=_day(max(record.started_us for record, _ in posted), zone),
            total_minutes=total,
            lines=tuple(_line(record, index, zone) for record, index in posted[:LINES_MAX]),
            issuer=wording.issuer,
            person_in_charge=wording.person_in_charge,
            handler=wording.handler,
            contact=wording.contact,
            issued_on=_day(self._hours.now_us(), zone),
            note=wording.note,
            log_size=row.head.size,
            log_root_hex=row.head.root.hex(),
            policy=posted[-1][0].parts[0].version if posted[-1][0].parts else "",
        )
        note = sign_certificate(certificate, signer)
        return Document(
            note,
            compact_text(certificate, signer),
            hashlib.sha256(note.encode()).digest(),
            tuple(record.record_id for record, _ in posted[:LINES_MAX]),
            total,
        )

    async def _posted(
        self, handle: Handle, member: Member, period: Period
    ) -> list[tuple[Record, int]]:
        """Finds the posted records of a member and its duplicates, with their entries."""
        ids = await self._hours.group_ids(handle, member)
        rows = await hours_reads.list_by_parent(
            self._reader,
            handle.ledger_no,
            FactKind.RECORD,
            ids,
            from_us=period.from_us,
            until_us=min(period.until_us, INT64_MAX),
            limit=10 * LINES_MAX,
        )
        records = [(stated_in(FactKind.RECORD, item).fact, item.log_index) for item in rows]
        posted = [
            (record, index)
            for record, index in records
            if isinstance(record, Record) and record.state is RecordState.POSTED and _hours(record)
        ]
        if not posted:
            raise TimebankError(
                Reason.CERTIFICATE_EMPTY,
                f"{member.member_id} has no posted record in the period: choose another period",
                member=member.member_id,
            )
        return posted

    async def keep(
        self,
        handle: Handle,
        member_id: str,
        document: Document,
        period: Period,
        wording: Wording,
    ) -> None:
        """Keeps a document under the member's own key, so that it goes when that is destroyed."""
        data = {
            "note": document.note,
            "compact": document.compact,
            "asked": _asked(period, wording),
        }
        await self._vault.put(handle, member_id, _name(document.sha256), data)

    async def drop(self, handle: Handle, member_id: str, document: Document) -> None:
        """Forgets a document that the log does not know."""
        await self._vault.drop(handle, member_id, _name(document.sha256))

    async def check_same(
        self, handle: Handle, row: CertificateRow, period: Period, wording: Wording
    ) -> None:
        """Refuses a repeated request with another wording or period, with REQUEST_ID_REUSED."""
        data = await self._vault.get(handle, row.member_id, _name(row.document_sha256))
        if data.get("asked") != _asked(period, wording):
            raise TimebankError(
                Reason.REQUEST_ID_REUSED,
                "this request_id issued a certificate with another wording or period: make a new"
                " one",
                field="request_id",
            )

    async def kept(self, handle: Handle, row: CertificateRow) -> tuple[str, str]:
        """Reads a document: its note and what its QR code holds. Raises PERSONAL_DATA_ERASED."""
        data = await self._vault.get(handle, row.member_id, _name(row.document_sha256))
        return data["note"], data["compact"]


def _name(sha256: bytes) -> str:
    return DOCUMENT + sha256.hex()


def _asked(period: Period, wording: Wording) -> str:
    return json.dumps([*period, *wording], ensure_ascii=False)


def _day(time_us: int, zone: str) -> date:
    return from_us(time_us).astimezone(zone_of(zone)).date()


def _hours(record: Record) -> int:
    return sum(part.minutes for part in record.parts)


def _line(record: Record, log_index: int, zone: str) -> ServiceLine:
    return ServiceLine(
        activity=record.activity,
        place=record.place,
        served_on=_day(record.started_us, zone),
        minutes=_hours(record),
        record_id=record.record_id,
        log_index=log_index,
    )
