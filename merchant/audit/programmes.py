"""The audit of one programme: its documents, requests, batches, payments and sums."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from merchant.audit.batches import BatchAudit
from merchant.audit.figures import excused_by, figures_of, paid_figures_of
from merchant.audit.invariants import faults_of
from merchant.audit.paid import Movements, add_payments
from merchant.audit.rows import PAGE_ROWS, document_of, wrong
from merchant.audit.sums import PAID, REFERRED, Figure, Sums
from merchant.domain.counter_windows import kept_until_us
from merchant.domain.documents import Counter, Document, Redemption, Voucher
from merchant.domain.places import key_of
from merchant.domain.states import DocumentKind
from merchant.domain.voucher_rules import COLLECTED
from merchant.store.audit_reads import (
    read_document,
    read_documents,
    read_doubled,
    read_errors,
    read_orphans,
)
from timebank.audits import (
    DifferenceFound,
    PaymentsOf,
    Report,
    Said,
    Watcher,
    differs,
    row_missing,
)
from timebank.database import Databases
from timebank.database.snapshots import Snapshot, every_row
from timebank.database.statements import Row
from timebank.errors import Reason, TimebankError, decode_error

K = DocumentKind
DIFFERENCES_MAX = 100
"""Differences after which an audit ends."""
_SHOWN_KINDS = {PAID: K.REDEMPTION, REFERRED: K.MERCHANT}


class Scope(NamedTuple):
    """What is audited, and with what: one ledger or all of them, the verifier key of settlement
    files if it is known, and what the ledgers paid if they can be read.
    """

    ledger_id: str | None = None
    vkey: str = ""
    payments_of: PaymentsOf | None = None


class Head(NamedTuple):
    """Where a programme's writer was: its last sequence, and the time of its last batch."""

    last_sequence: int
    moved_us: int


class Enough(Exception):
    """Ends an audit that has found as much as a report shows."""


def tell(report: Report, found: DifferenceFound) -> None:
    """Adds a difference to a report. Raises Enough with the last that it shows."""
    report.differences.append(found.difference)
    if len(report.differences) >= DIFFERENCES_MAX:
        raise Enough


class ProgrammeAudit:
    """The audit of one programme."""

    def __init__(
        self,
        databases: Databases,
        snapshot: Snapshot,
        programme: tuple[int, str],
        scope: Scope,
        report: Report,
    ) -> None:
        self._databases = databases
        self._snapshot = snapshot
        self._programme = programme
        self._ledger_no, self._ledger_id = programme
        self._scope = scope
        self._report = report
        self.sums = Sums()

    async def run(self, head: Head, watcher: Watcher | None) -> None:
        """Audits everything. Raises Enough."""
        pages = read_documents(self._snapshot, self._ledger_no)
        while rows := await pages.take(PAGE_ROWS):
            for row in rows:
                await self._row(row, head)
            if watcher is not None:
                watcher.walked(len(rows))
        await self._sequences_and_requests()
        batches = BatchAudit(self._snapshot, self._programme, self.sums, self._scope.vkey)
        async for found in batches.run():
            self._tell(found)
        await self._payments()
        await self._sums()
        self._report.count("programmes", 1)

    async def _row(self, row: Row, head: Head) -> None:
        """Checks a row by itself, and adds what it says of others."""
        try:
            document = document_of(self._ledger_id, row)
        except DifferenceFound as found:
            self._tell(found)
            return
        kind, own = key_of(document)
        if not 0 < row[3] <= head.last_sequence:
            wanted = Said(f"1 to {head.last_sequence}, the programme's last")
            self._tell(wrong(self._ledger_id, kind, own, "sequence", expected=wanted, got=row[3]))
        if isinstance(document, Counter) and is_forgotten(own, head.moved_us):
            return
        for fault in faults_of(document):
            expected = Said(fault.expected) if isinstance(fault.expected, str) else fault.expected
            figure, got = fault.figure, fault.got
            self._tell(wrong(self._ledger_id, kind, own, figure, expected=expected, got=got))
        self.sums.add(
            figure
            for figure in figures_of(document)
            if figure.kind != K.COUNTER or not is_forgotten(figure.document, head.moved_us)
        )
        if self._scope.payments_of is not None and isinstance(document, Redemption):
            self.sums.add(paid_figures_of(document))
        for excused in excused_by(document):
            self.sums.excuse(*excused)
        if isinstance(document, Voucher):
            await self._voucher(document)
        self._report.entries += 1
        self._report.count(DocumentKind(kind).name.lower(), 1)

    async def _voucher(self, voucher: Voucher) -> None:
        """A voucher is its redemption's, and is collected only when that was paid."""
        row = await read_document(
            self._snapshot, self._ledger_no, K.REDEMPTION, voucher.redemption_id
        )
        if row is None:
            return  # The sums say so: nobody says how many vouchers it has.
        try:
            found = document_of(self._ledger_id, row)
        except DifferenceFound:
            return  # That row was told by itself.
        assert isinstance(found, Redemption), "it is of that kind"
        own = voucher.digest
        for figure in ("offer", "member_id"):
            expected, got = getattr(found, figure), getattr(voucher, figure)
            if expected != got:
                self._tell(
                    wrong(self._ledger_id, K.VOUCHER, own, figure, expected=expected, got=got)
                )
        if voucher.state == COLLECTED and not found.captured:
            wanted = Said("not collected, for nothing was paid")
            got = voucher.state
            self._tell(wrong(self._ledger_id, K.VOUCHER, own, "state", expected=wanted, got=got))

    async def _sequences_and_requests(self) -> None:
        """No two documents have one place, and what requests got is there and can be read."""
        limit = DIFFERENCES_MAX
        for sequence, count in await read_doubled(self._snapshot, self._ledger_no, limit):
            key = {"ledger": Said(self._ledger_id), "sequence": sequence}
            wanted = Said("one document")
            self._tell(differs("merchant_documents", key, "sequence", expected=wanted, got=count))
        for request_key, kind, own in await read_orphans(self._snapshot, self._ledger_no, limit):
            key = {"ledger": Said(self._ledger_id), "request_key": request_key}
            wanted = Said("a document that is there")
            got = Said(f"kind {kind}, id {own}")
            self._tell(differs("merchant_requests", key, "document_id", expected=wanted, got=got))
        async for request_key, error in every_row(
            read_errors(self._snapshot, self._ledger_no), PAGE_ROWS
        ):
            self._error(request_key, error)

    def _error(self, request_key: object, error: object) -> None:
        try:
            decode_error(bytes(error) if isinstance(error, bytes) else b"\xff")
        except Exception as fault:  # noqa: BLE001  # bytes that anybody may have put there raise anything
            key = {"ledger": Said(self._ledger_id), "request_key": request_key}
            wanted = Said(f"a refusal that can be read ({type(fault).__name__})")
            self._tell(differs("merchant_requests", key, "error", expected=wanted, got=error))

    async def _payments(self) -> None:
        if self._scope.payments_of is None:
            return
        try:
            count = await add_payments(self.sums, self._ledger_id, self._scope.payments_of)
        except DifferenceFound as found:
            self._tell(found)
            return
        except TimebankError as error:
            if error.reason is not Reason.LEDGER_NOT_FOUND:
                raise
            self._tell(row_missing("ledgers", {"ledger_id": self._ledger_id}))
            return
        self._report.count("entries", count)

    async def _sums(self) -> None:
        moves = Movements(self._databases, self._snapshot, self._programme)
        for figure in self.sums.differences():
            if figure.kind == PAID:
                found = await moves.found(figure)
            else:
                found = self._sum(figure)
            if found is not None:
                self._tell(found)
        self._report.count("sums", 1)
        if moves.left_out:
            count = len(moves.left_out)
            self._report.notes.append(
                f"{count} redemptions moved while they were read and were not compared with the"
                " ledger: audit again. 有变动，请重新审计"
            )

    def _sum(self, figure: Figure) -> DifferenceFound:
        kind = _SHOWN_KINDS.get(figure.kind, figure.kind)
        missing = Said("no document that says it")
        got: object = missing if figure.got is None else figure.got
        return wrong(
            self._ledger_id, kind, figure.document, figure.name, expected=figure.expected, got=got
        )

    def _tell(self, found: DifferenceFound) -> None:
        tell(self._report, found)


def is_forgotten(counter_id: str, now_us: int) -> bool:
    """Says whether a counter may be gone, for its window is long over."""
    until_us = kept_until_us(counter_id)
    return until_us is not None and until_us <= now_us


def differences_of(documents: Iterable[Document]) -> list[str]:
    """Gives what does not agree among all documents of a programme, a line each."""
    sums, lines = Sums(), []
    try:
        for document in documents:
            lines += [f"{document[0]} {fault}" for fault in faults_of(document)]
            sums.add(figures_of(document))
            for excused in excused_by(document):
                sums.excuse(*excused)
        return lines + [f"{figure}" for figure in sums.differences()]
    finally:
        sums.close()
