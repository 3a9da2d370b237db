"""What the ledger's own log says about sales, and what all redemptions together must come to.

Owns sums that are computed here by brute force, from the log and from the documents; nothing of it
asks the product how it counts.
"""

from collections import Counter as Tally
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from merchant.domain.documents import Budget, Redemption
from merchant.domain.states import RedemptionState, Step
from tests.support.commands import REDEMPTION
from tests.support.ledgers import LedgerWorld
from timebank.ledger.v1 import entry_pb2

R = RedemptionState
HOLD_CREATED = entry_pb2.ENTRY_KIND_HOLD_CREATED
REFUND = entry_pb2.ENTRY_KIND_REFUND
GONE = (R.VOIDED, R.REVERSED, R.EXPIRED, R.DECLINED)
LIVE = (R.UNKNOWN, R.PENDING_MEMBER, R.AUTHORIZED, R.PARTIALLY_CAPTURED)


@dataclass
class Sold:
    """What the log says of one redemption."""

    payments: int = 0
    paid: int = 0
    back: int = 0
    holds: list[str] = field(default_factory=list)


@dataclass
class SaleBooks:
    """Reads the log on and sums it up by redemption."""

    world: LedgerWorld
    size: int = 0
    sold: dict[str, Sold] = field(default_factory=lambda: defaultdict(Sold))
    payments: dict[int, str] = field(default_factory=dict)
    held: dict[str, int] = field(default_factory=dict)
    """What each hold that lives still reserves, until its expiry is entered."""
    expires_us: dict[str, int] = field(default_factory=dict)

    async def read_on(self) -> None:
        """Takes in the entries that were written since."""
        size = await self.world.size()
        for index in range(self.size, size):
            self._take(await self.world.entry(index))
        self.size = size

    def _take(self, entry: Any) -> None:
        for change in entry.hold_changes:
            self.held[change.hold_id] = self.held.get(change.hold_id, 0) + change.held
            self.expires_us[change.hold_id] = change.expire_time_us
        if entry.kind == HOLD_CREATED:
            self.sold[entry.cause].holds.append(entry.hold_changes[0].hold_id)
        if entry.kind == REDEMPTION:
            self.payments[entry.index] = entry.cause
            self.sold[entry.cause].payments += 1
            self.sold[entry.cause].paid += _moved(entry)
        if entry.kind == REFUND:
            self.sold[self.payments[entry.original_index]].back += _moved(entry)

    def of(self, redemption: Redemption) -> Sold:
        """What the log says of a redemption."""
        return self.sold[f"redemptions/{redemption.redemption_id}"]

    def check(self, redemption: Redemption) -> None:
        """A redemption is what the log says, but for a question that is open."""
        sold = self.of(redemption)
        paid, back = redemption.captured, redemption.refunded
        allowed = {(paid, back)}
        pending = redemption.pending
        if pending is not None:
            after = {
                Step.REDEEM: (paid + pending.amount, back),
                Step.CAPTURE: (paid + pending.amount, back),
                Step.REFUND: (paid, back + pending.amount),
                Step.REVERSE: (paid, paid),
            }
            allowed.add(after.get(pending.step, (paid, back)))
        assert (sold.paid, sold.back) in allowed, (redemption, sold)
        assert 0 <= back <= paid <= redemption.amount, redemption
        assert len(sold.holds) <= 1, redemption
        if redemption.redeems:
            assert sold.payments <= 1, redemption
            assert not sold.holds, redemption
        if pending is None:
            self._check_hold(redemption, sold)

    def _check_hold(self, redemption: Redemption, sold: Sold) -> None:
        rest = sum(self.held[hold] for hold in sold.holds)
        promised = redemption.amount - redemption.captured
        if redemption.state not in (R.AUTHORIZED, R.PARTIALLY_CAPTURED):
            assert rest == 0, (redemption, "something is held for what promises nothing")
        elif rest != promised:
            expired = self.expires_us[sold.holds[0]] <= self.world.clock.now_us() + 1_000
            assert rest == 0, redemption
            assert expired, (redemption, "nothing is held for what is promised")


def _moved(entry: Any) -> int:
    return sum(posting.amount for posting in entry.postings if posting.amount > 0)


def in_fen(points: int, rate: int) -> int:
    """Points in fen at so many fen for 100, rounded up."""
    whole, rest = divmod(points * rate, 100)
    return whole + (rest > 0)


@dataclass
class Totals:
    """What all redemptions together take from budget, stock and counters.

    One that is partly captured is rounded up to fen once as a whole, or once for each part.
    """

    reserved_fen_min: int = 0
    reserved_fen_max: int = 0
    spent_fen: int = 0
    pieces: Tally[str] = field(default_factory=Tally)
    amounts: Tally[str] = field(default_factory=Tally)
    times: Tally[str] = field(default_factory=Tally)
    counters: set[str] = field(default_factory=set)


def totals_of(redemptions: Iterable[Redemption]) -> Totals:
    """Sums over all redemptions."""
    totals = Totals()
    for one in redemptions:
        totals.counters.update(one.counters)
        if one.state in GONE:
            continue
        promised = one.amount - one.captured if one.state in LIVE else 0
        kept = one.captured - one.refunded
        rate = one.fen_per_hundred_points
        totals.reserved_fen_min += in_fen(promised + kept, rate) - in_fen(kept, rate)
        totals.reserved_fen_max += in_fen(promised, rate)
        totals.spent_fen += in_fen(kept, rate)
        totals.pieces[one.offer] += one.quantity
        for name in one.counters:
            totals.amounts[name] += promised + kept
            totals.times[name] += one.quantity if name.startswith("pieces/") else 1
    return totals


def check_budget(budget: Budget, totals: Totals) -> None:
    """A budget is what all redemptions together take from it."""
    assert budget.spent_fen == totals.spent_fen, (budget, totals)
    assert totals.reserved_fen_min <= budget.reserved_fen <= totals.reserved_fen_max, budget
