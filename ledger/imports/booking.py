"""Books movements into a ledger as IMPORT entries of TIME.

Owns: batches, and what a refusal by the ledger means for a row. Refuses: reading files, and
accounts (see openings.py).
Rules: rows are booked in the order of the file, for members' balances depend on it: a batch waits
for the one before unless any order of arrival would do. A request id follows from the natural
key, so that a run that was interrupted is continued by running it again; what the ledger declined
stays declined, unless another lowest balance or a fresh `salt` makes it another request.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ledger.imports.balances import Headroom, balance_error
from ledger.imports.history import Booking, ErrorSink
from ledger.imports.movements import POOL, Movement, RowError
from ledger.imports.openings import Advance, ImportLedger, request_id_of
from timebank.client.commands import Chain, Post, move
from timebank.client.kinds import EntryKind
from timebank.errors import Reason, TimebankError
from timebank.units import Unit

BATCH_ROWS = 4_000
"""Rows that travel together; the server takes up to 8,000."""
BATCH_MEMO_CHARACTERS = 1_000_000
"""Free text that travels together: at most 4 MB, where the server takes messages of 16 MiB."""
CALLS_MAX = 2
"""Batches under way at once, as far as their order does not matter."""
BUILD_ROWS = 100
"""Rows prepared in one go while a batch is under way."""
FATAL = frozenset(
    {
        Reason.OPENING_CLOSED,
        Reason.SCOPE_MISSING,
        Reason.TOKEN_INVALID,
        Reason.LEDGER_NOT_FOUND,
        Reason.READ_ONLY,
        Reason.SHUTTING_DOWN,
        Reason.DATABASE_UNAVAILABLE,
        Reason.SIGNER_UNAVAILABLE,
        Reason.CLOCK_SKEW,
        Reason.QUEUE_FULL,
        Reason.DEADLINE_PASSED,
    }
)
"""Refusals that say nothing about a row: the import stops at the first."""


@dataclass(slots=True)
class BookingCount:
    """What became of the rows: booked now, booked before, said twice in the file, declined."""

    booked: int = 0
    replayed: int = 0
    repeated: int = 0
    declined: int = 0


class Booker:
    """Books the movements of one file."""

    def __init__(
        self,
        client: ImportLedger,
        accounts: Mapping[str, str],
        *,
        available: Mapping[str, int],
        seed: str,
        min_balance: int,
    ) -> None:
        """Takes the account of every holder, what those that are not new have available, what
        request ids are made from, and the lowest balance in minutes that the accounts may have.
        """
        self._client = client
        self._accounts = accounts
        self._seed = seed
        self._min_balance = min_balance
        self._headroom = Headroom(min_balance=min_balance, available=available)

    async def book(
        self,
        bookings: Iterator[Booking | None],
        report: ErrorSink,
        *,
        advance: Advance | None = None,
    ) -> BookingCount:
        """Posts movements in order; every refusal of a row is reported.

        Raises what the ledger refuses as a whole; what was booked until then stays booked.
        """
        count = BookingCount()
        under_way: deque[asyncio.Task[None]] = deque()
        alone = False
        try:
            while True:
                rows, chains, taken = await self._prepare(bookings, count)
                if not taken:
                    await _settle(under_way, calls_left=0)
                    return count
                fits = self._headroom.start(row.movement for row in rows)
                await _settle(under_way, calls_left=CALLS_MAX - 1 if fits and not alone else 0)
                alone = not fits
                under_way.append(asyncio.create_task(self._send(rows, chains, count, report)))
                if advance is not None:
                    advance(taken)
        finally:
            for call in under_way:
                call.cancel()

    async def _prepare(
        self, bookings: Iterator[Booking | None], count: BookingCount
    ) -> tuple[list[Booking], list[Chain], int]:
        """Takes the next rows and makes their requests, letting the batch under way proceed."""
        rows: list[Booking] = []
        chains: list[Chain] = []
        taken = memo_characters = 0
        for booking in bookings:
            taken += 1
            if booking is None:
                count.repeated += 1
            else:
                rows.append(booking)
                chains.append(self._post(booking))
                memo_characters += len(booking.movement.memo)
            if taken == BATCH_ROWS or memo_characters >= BATCH_MEMO_CHARACTERS:
                break
            if not taken % BUILD_ROWS:
                await asyncio.sleep(0)
        return rows, chains, taken

    async def _send(
        self,
        rows: Sequence[Booking],
        chains: Sequence[Chain],
        count: BookingCount,
        report: ErrorSink,
    ) -> None:
        if not chains:
            return
        for booking, outcome in zip(rows, await self._client.batch_execute(chains), strict=True):
            if isinstance(outcome, TimebankError):
                self._headroom.settle(booking.movement, booked=False)
                report(self._declined(booking, outcome))
                count.declined += 1
                continue
            self._headroom.settle(booking.movement, booked=True)
            if outcome.replayed:
                count.replayed += 1
            else:
                count.booked += 1

    def _post(self, booking: Booking) -> Chain:
        movement, natural_key = booking
        post = Post(
            kind=EntryKind.IMPORT,
            postings=move(
                debit=self._accounts[movement.source],
                credit=self._accounts[movement.destination],
                unit=Unit.TIME,
                amount=movement.minutes,
            ),
            effective_time=movement.effective,
            natural_key=natural_key,
            cause=movement.cause,
            memo=movement.memo,
        )
        return Chain(commands=(post,), request_id=request_id_of(self._seed + natural_key))

    def _declined(self, booking: Booking, error: TimebankError) -> RowError:
        if error.reason in FATAL:
            raise error
        movement = booking.movement
        if error.reason is Reason.INSUFFICIENT_BALANCE:
            if movement.source == POOL:
                return _empty_pool(movement)
            return balance_error(movement, None, self._min_balance)
        if error.reason is Reason.ENTRY_EXISTS:
            return RowError(
                movement.number,
                "reference",
                f"{booking.natural_key} was booked before with other content",
                "compare the file with the one imported before",
            )
        return RowError(
            movement.number,
            "row",
            str(error),
            "remove the cause, then import again with --retry-declined",
        )


def _empty_pool(movement: Movement) -> RowError:
    return RowError(
        movement.number,
        "amount",
        f"the public time pool 公共时间池 does not hold {movement.minutes:,} minutes",
        "fill it, e.g. by `timebank post --kind OPENING_BALANCE`, then import again with "
        "--retry-declined",
    )


async def _settle(under_way: deque[asyncio.Task[None]], *, calls_left: int) -> None:
    """Waits for the oldest calls until so many are left. Raises what a call was refused with."""
    while len(under_way) > calls_left:
        await under_way[0]
        under_way.popleft()
