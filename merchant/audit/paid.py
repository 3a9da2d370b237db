"""What redemptions say that the ledger paid and gave back, beside the ledger's own entries.

Rules: the ledger is read after the documents, so it may know of steps that were not taken in yet. A
redemption with an open question is left out, and one that has moved since the documents were read.
"""

from __future__ import annotations

from merchant.audit.rows import document_of, wrong
from merchant.audit.sums import PAID, Figure, Sums
from merchant.domain.states import DocumentKind
from merchant.store.audit_reads import read_document
from merchant.store.documents import find_document
from timebank.audits import DifferenceFound, PaymentsOf
from timebank.database import Databases
from timebank.database.snapshots import Snapshot

CAUSE = "redemptions/"
"""What the cause of an entry begins with that paid for a redemption."""


async def add_payments(sums: Sums, ledger_id: str, payments_of: PaymentsOf) -> int:
    """Adds what a ledger's entries say of redemptions; gives how many entries that were.

    Raises DifferenceFound for an entry that cannot be read.
    """
    count = 0
    async for payment in payments_of(ledger_id):
        index, origin = payment.log_index, payment.original_index
        if origin is not None:
            document = sums.origin(origin)
            figure = f"given back of entry {origin}"
        else:
            document = payment.cause.removeprefix(CAUSE) if payment.cause.startswith(CAUSE) else ""
            figure = f"paid by entry {index}"
            sums.remember_origin(index, document)
        if document:
            sums.add((Figure(PAID, document, figure, payment.amount),))
            count += 1
    return count


class Movements:
    """Tells which redemptions have moved since the documents were read."""

    def __init__(
        self, databases: Databases, snapshot: Snapshot, programme: tuple[int, str]
    ) -> None:
        self._databases = databases
        self._snapshot = snapshot
        self._ledger_no, self._ledger_id = programme
        self.left_out: set[str] = set()

    async def found(self, figure: Figure) -> DifferenceFound | None:
        """Gives the difference that a figure is, None when its redemption has moved meanwhile."""
        own, kind = figure.document, DocumentKind.REDEMPTION
        row = await read_document(self._snapshot, self._ledger_no, kind, own)
        try:
            before = None if row is None else document_of(self._ledger_id, row)
        except DifferenceFound:
            return None  # That row was told by itself.
        now = await find_document(self._databases.reader, self._ledger_no, kind, own)
        if now != before:
            self.left_out.add(own)
            return None
        expected, got = figure.expected, figure.got
        return wrong(self._ledger_id, kind, own, figure.name, expected=expected, got=got)
