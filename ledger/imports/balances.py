"""What an import does to balances, computed from the file alone: running balances and repeated
rows.

Owns: which rows would put a holder below the lowest balance allowed, the lowest balance that the
file as a whole needs, and which rows occur more than once. Refuses: knowing what the ledger
already holds.
Rules: rows count in the order of the file; accounts start at 0; what the public pool holds
is not known here, so it may give all the same.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping

from ledger.imports.movements import POOL, Movement, RowError

_BUCKETS = 256


class RunningBalances:
    """Minutes of each holder after the rows so far. `min_balance` None lets every row pass."""

    def __init__(self, *, min_balance: int | None = None) -> None:
        self.minutes: dict[str, int] = {}
        self.lowest = 0
        self.lowest_at: Movement | None = None
        self.pool_lowest = 0
        self._min_balance = min_balance

    def take(self, movement: Movement) -> RowError | None:
        """Carries out a movement, or says why it would be declined."""
        minutes = self.minutes
        left = minutes.get(movement.source, 0) - movement.minutes
        if movement.source == POOL:
            self.pool_lowest = min(self.pool_lowest, left)
        else:
            if self._min_balance is not None and left < self._min_balance:
                return balance_error(movement, left, self._min_balance)
            if left < self.lowest:
                self.lowest, self.lowest_at = left, movement
        minutes[movement.source] = left
        minutes[movement.destination] = minutes.get(movement.destination, 0) + movement.minutes
        return None


class Headroom:
    """Says which batches may travel together although their order of arrival is not certain.

    Counts for every giver what is left when no credit under way has arrived yet, but every debit.
    As long as that stays above the lowest balance, no order of arrival can decline a row.
    """

    def __init__(self, *, min_balance: int, available: Mapping[str, int] | None = None) -> None:
        """Takes what holders had before, in minutes; those not named had nothing."""
        self._min_balance = min_balance
        self._worst = dict(available or {})

    def start(self, movements: Iterable[Movement]) -> bool:
        """Counts the debits of a batch that is about to go; says whether any order will do."""
        worst, fits = self._worst, True
        for movement in movements:
            left = worst.get(movement.source, 0) - movement.minutes
            worst[movement.source] = left
            fits = fits and left >= (0 if movement.source == POOL else self._min_balance)
        return fits

    def settle(self, movement: Movement, *, booked: bool) -> None:
        """Counts the credit of a row that was booked; gives the debit of a declined one back."""
        holder = movement.destination if booked else movement.source
        self._worst[holder] = self._worst.get(holder, 0) + movement.minutes


def balance_error(movement: Movement, left: int | None, min_balance: int) -> RowError:
    """Says that a movement would leave its giver with `left` minutes, below what is allowed."""
    outcome = "" if left is None else f" and would be left with {left:,} minutes"
    return RowError(
        movement.number,
        "amount",
        f"{movement.source} cannot give {movement.minutes:,} minutes{outcome}: "
        f"the lowest balance allowed is {min_balance:,}",
        "allow debt with --min-balance -MINUTES, or sort the file by date: its order counts",
    )


class RepeatedRows:
    """Finds the digests that occur more than once, at 8 bytes a row.

    Only the first 8 bytes of a digest count: a chance collision merely numbers a row that needed
    no number.
    """

    def __init__(self) -> None:
        self._buckets = [array("Q") for _ in range(_BUCKETS)]

    def add(self, digest: bytes) -> None:
        """Notes one row."""
        self._buckets[digest[0]].append(int.from_bytes(digest[:8], "big"))

    def repeated(self) -> frozenset[bytes]:
        """Gives the first 8 bytes of each digest that was added more than once."""
        found = set()
        for bucket in self._buckets:
            counts = Counter(bucket)
            found |= {value for value, count in counts.items() if count > 1}
        return frozenset(value.to_bytes(8, "big") for value in found)
