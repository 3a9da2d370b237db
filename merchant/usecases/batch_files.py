"""The settlement file of a batch, made of its lines each time it is wanted.

A batch's lines are fixed before its file is made, and they come in the order in which they were
written, so the same bytes come out whoever makes them, and nothing but their digest is kept. Memory
holds a page of them. Hashing runs in a thread, which asks the event
loop for the next page.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple, cast

from merchant.domain.budget_adjustments import BudgetShare, BudgetShares
from merchant.domain.detached_signatures import (
    detached_jws,
    jws_protected_header,
    jws_signing_input,
)
from merchant.domain.documents import Batch, Line
from merchant.domain.remainder_counts import fen_in_turn
from merchant.domain.settlement_files import SettlementFileWriter
from merchant.domain.settlement_records import LineKind, SettlementHeader, SettlementLine
from merchant.domain.states import DocumentKind
from merchant.usecases.programmes import Programme, Programmes
from timebank.signing import Ed25519Signer, Signer

PAGE_LINES = 5_000
"""Lines of one look-up."""
SIGNER_LABEL = "merchant settlement"
"""The use of the deployment's secret from which the signing key is derived."""
SIGNER_NAME = "timebank/settlement"


def settlement_signer(seed: bytes) -> Signer:
    """Makes what signs settlement files out of a 32-byte seed. The kid of a signature is its
    verifier key, with name, key id and public key, so that a file tells whom to ask; who checks it
    compares that with the key that was published.
    """
    return Ed25519Signer.from_seed(SIGNER_NAME, seed)


class FileDigest(NamedTuple):
    """The SHA-256 of a file in lower-case hex, and how the fen of its lines differ from what they
    made budgets spend.
    """

    sha256: str
    shares: tuple[BudgetShare, ...]


class BatchFiles:
    """Files of batches whose lines are fixed."""

    def __init__(self, programmes: Programmes, signer: Signer) -> None:
        self._programmes = programmes
        self._signer = signer

    async def digest(self, programme: Programme, batch: Batch) -> FileDigest:
        """Writes a file through, keeping only what it comes to."""
        shares = BudgetShares()
        writer = self._writer(programme, batch, shares)
        await asyncio.to_thread(_exhaust, writer)
        return FileDigest(writer.sha256, shares.counted())

    async def chunks(self, programme: Programme, batch: Batch) -> AsyncIterator[bytes]:
        """Gives the bytes of a file."""
        chunks = iter(self._writer(programme, batch, BudgetShares()))
        while chunk := await asyncio.to_thread(next, chunks, b""):
            yield chunk

    def sign(self, sha256: str) -> str:
        """Signs the digest of a file: a detached JWS."""
        header = jws_protected_header(self._signer.vkey)
        return detached_jws(header, self._signer.sign(jws_signing_input(header, sha256)))

    def _writer(
        self, programme: Programme, batch: Batch, shares: BudgetShares
    ) -> SettlementFileWriter:
        lines = self._lines(asyncio.get_running_loop(), programme, batch)
        return file_writer(programme.ledger_id, batch, lines, shares)

    def _lines(
        self, loop: asyncio.AbstractEventLoop, programme: Programme, batch: Batch
    ) -> Iterator[Line]:
        """Gives the lines of a batch; called in a thread."""
        after = -1
        while True:
            asked = asyncio.run_coroutine_threadsafe(self._page(programme, batch, after), loop)
            page = asked.result()
            if not page:
                return
            yield from (line for _, line in page)
            after = page[-1][0]

    async def _page(self, programme: Programme, batch: Batch, after: int) -> list[tuple[int, Line]]:
        rows = await self._programmes.listed(
            programme, DocumentKind.LINE, batch.batch_id, after=after, limit=PAGE_LINES
        )
        return cast("list[tuple[int, Line]]", rows)


def file_writer(
    ledger_id: str, batch: Batch, lines: Iterator[Line], shares: BudgetShares
) -> SettlementFileWriter:
    """Makes what writes the file of a batch out of its lines, in the order in which they were
    written, counting their shares.
    """
    header = SettlementHeader(
        ledger_id,
        batch.batch_id.partition("/")[0],
        batch.business_date,
        batch.sequence,
        batch.rate,
        batch.previous_file_sha256,
    )
    return SettlementFileWriter(header, _valued(lines, batch, shares))


def _valued(lines: Iterator[Line], batch: Batch, shares: BudgetShares) -> Iterator[SettlementLine]:
    """Gives lines as the file has them, counting their shares."""
    lines, again = itertools.tee(lines)
    values = fen_in_turn(
        (line.points for line in again),
        batch.remainders,
        net_points=batch.net_points,
        fen_per_hundred_points=batch.rate,
    )
    for line, fen in zip(lines, values, strict=True):
        shares.add(line, fen)
        late = line.business_date < batch.business_date
        taken = line.points + line.minutes > 0
        yield SettlementLine(
            LineKind.REDEMPTION if taken else LineKind.REFUND,
            line.redemption_id,
            line.merchant_ref,
            line.business_date if late else "",
            line.moved_us,
            line.points,
            line.minutes,
            fen,
        )


def _exhaust(writer: SettlementFileWriter) -> None:
    for _ in writer:
        pass
