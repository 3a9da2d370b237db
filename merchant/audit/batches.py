"""Settlement batches in their order: each file written again out of its lines, its digest, its
place in the chain of files, and its signature.

Memory holds a page of lines. Writing a file runs in a thread, which asks the event loop for the
next page.
"""

from __future__ import annotations

import asyncio
import collections
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from merchant.audit.rows import PAGE_ROWS, document_of, wrong
from merchant.audit.sums import Figure, Sums
from merchant.domain.budget_adjustments import BudgetShares
from merchant.domain.detached_signatures import parse_detached_jws
from merchant.domain.documents import Batch, Line, Merchant
from merchant.domain.settlement_rules import SETTLED, BatchState
from merchant.domain.states import DocumentKind
from merchant.store.audit_reads import read_kind, read_list
from merchant.store.documents import listed_under
from merchant.usecases.batch_files import file_writer
from timebank.audits import DifferenceFound, Said
from timebank.database.snapshots import Pages, Snapshot, every_row
from timebank.errors import TimebankError
from timebank.signing import Verifier

K = DocumentKind


@dataclass(slots=True)
class _Chain:
    """How far the batches of a merchant are, one after the other."""

    last_sha256: str = ""
    last_date: str = ""
    open_batch: str = ""


class BatchAudit:
    """Audits the batches of a programme. `vkey` is the verifier key of the deployment; without one,
    each signature is checked with the key that it names.
    """

    def __init__(
        self, snapshot: Snapshot, programme: tuple[int, str], sums: Sums, vkey: str
    ) -> None:
        self._snapshot = snapshot
        self._ledger_no, self._ledger_id = programme
        self._sums = sums
        self._vkey = vkey

    async def run(self) -> AsyncIterator[DifferenceFound]:
        """Gives what differs, merchant by merchant; rows that cannot be read were told before."""
        merchants = read_kind(self._snapshot, self._ledger_no, K.MERCHANT)
        async for row in every_row(merchants, PAGE_ROWS):
            try:
                merchant = document_of(self._ledger_id, row)
            except DifferenceFound:
                continue
            assert isinstance(merchant, Merchant), "it is of that kind"
            async for found in self._merchant(merchant):
                yield found

    async def _merchant(self, merchant: Merchant) -> AsyncIterator[DifferenceFound]:
        chain = _Chain()
        parent = listed_under(K.BATCH, merchant.merchant_id)
        async for row in every_row(read_list(self._snapshot, self._ledger_no, parent), PAGE_ROWS):
            try:
                batch = document_of(self._ledger_id, row)
            except DifferenceFound:
                continue
            assert isinstance(batch, Batch), "it stands in a list of batches"
            async for found in self._batch(batch, chain):
                yield found
        for figure, expected in (
            ("last_file_sha256", chain.last_sha256),
            ("last_closed_date", chain.last_date),
            ("open_batch", chain.open_batch),
        ):
            got = getattr(merchant, figure)
            if got != expected:
                yield self._wrong(K.MERCHANT, merchant.merchant_id, figure, expected, got)

    async def _batch(self, batch: Batch, chain: _Chain) -> AsyncIterator[DifferenceFound]:
        own = batch.batch_id
        if chain.open_batch:
            wanted = Said("no batch after one that is under way")
            yield self._wrong(K.BATCH, own, "state", wanted, batch.state)
        before = "" if batch.state == BatchState.OPEN else chain.last_sha256
        if batch.previous_file_sha256 != before:
            got = batch.previous_file_sha256
            yield self._wrong(K.BATCH, own, "previous_file_sha256", before, got)
        if batch.state not in SETTLED:
            chain.open_batch = own
            return
        chain.last_sha256 = batch.file_sha256
        chain.last_date = max(chain.last_date, batch.business_date)
        try:
            sha256 = await self._digest(batch)
        except (TimebankError, ValueError) as error:
            wanted = Said("lines of which a file can be written")
            yield self._wrong(K.BATCH, own, "file_sha256", wanted, Said(f"{error}"))
            return
        if batch.file_sha256 != sha256:
            yield self._wrong(K.BATCH, own, "file_sha256", sha256, batch.file_sha256)
        if fault := self._unsigned(batch, sha256):
            yield self._wrong(K.BATCH, own, "jws", Said(fault), batch.jws)

    async def _digest(self, batch: Batch) -> str:
        """Writes a file again, and what its close had budgets spend more or less."""
        shares = BudgetShares()
        parent = listed_under(K.LINE, batch.batch_id)
        pages = read_list(self._snapshot, self._ledger_no, parent)
        lines = self._lines(asyncio.get_running_loop(), pages)
        writer = file_writer(self._ledger_id, batch, lines, shares)
        await asyncio.to_thread(collections.deque, writer, 0)
        for share in shares.counted():
            if share.budget:
                fen = share.difference_fen
                self._sums.add(
                    (
                        Figure(K.BUDGET, share.budget, "adjusted_fen", fen),
                        Figure(K.BATCH, batch.batch_id, "adjusted_fen", fen),
                    )
                )
        return writer.sha256

    def _lines(self, loop: asyncio.AbstractEventLoop, pages: Pages) -> Iterator[Line]:
        """Gives lines in their order; called in a thread. Raises ValueError for one that cannot be
        read.
        """
        while True:
            rows = asyncio.run_coroutine_threadsafe(pages.take(PAGE_ROWS), loop).result()
            if not rows:
                return
            for row in rows:
                try:
                    line = document_of(self._ledger_id, row)
                except DifferenceFound as found:
                    raise ValueError("a line of it cannot be read") from found
                assert isinstance(line, Line), "it stands in a list of lines"
                yield line

    def _unsigned(self, batch: Batch, sha256: str) -> str:
        """Says what is wrong with a signature; empty when it is right."""
        try:
            jws = parse_detached_jws(batch.jws)
            if self._vkey and jws.kid != self._vkey:
                return f"a signature by {self._vkey}"
            Verifier.from_text(jws.kid).verify(jws.signing_input(sha256), jws.signature)
        except TimebankError as error:
            return f"a signature of the file ({error.message})"
        return ""

    def _wrong(
        self, kind: DocumentKind, own: str, figure: str, expected: object, got: object
    ) -> DifferenceFound:
        return wrong(self._ledger_id, kind, own, figure, expected=expected, got=got)
