"""What the ledger's own log says about sales, and what all documents of a shop must come to.

Owns sums over the log that are computed here by brute force; the sums over documents are those of
the product's audit, which does not ask the rules that keep the figures how they count.
"""

import functools
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from ledger.audit.payments import read_payments
from merchant.audit.programmes import Scope, differences_of
from merchant.audit.run import audit_database
from merchant.domain.documents import Redemption
from merchant.domain.places import UNSETTLED
from merchant.domain.states import DocumentKind, RedemptionState, Step
from merchant.store import schema
from tests.merchant.shops import SHOP, ShopWorld
from tests.support.commands import REDEMPTION
from tests.support.ledgers import LedgerWorld
from timebank.config import DatabaseConfig
from timebank.ledger.v1 import entry_pb2

R = RedemptionState
K = DocumentKind
HOLD_CREATED = entry_pb2.ENTRY_KIND_HOLD_CREATED
REFUND = entry_pb2.ENTRY_KIND_REFUND
GONE = (R.VOIDED, R.REVERSED, R.EXPIRED, R.DECLINED)


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
        assert size >= self.size, "entries are gone"
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


async def last_write(shop: ShopWorld) -> tuple[int, int]:
    """Number of the documents that were ever made, and time of the last write."""
    table = schema.programmes
    query = select(table.c.sequence, table.c.moved_us)
    async with shop.programmes.databases.reader.connect() as connection:
        sequence, moved_us = (await connection.execute(query)).one()
    return sequence, moved_us


async def check_documents(shop: ShopWorld) -> None:
    """All documents of the shop agree with each other, by the rules of the audit."""
    redemptions = await _listed(shop, K.REDEMPTION, SHOP)
    lists = [
        *((K.LINE, f"{SHOP}/{UNSETTLED}"), (K.OFFER, SHOP)),
        *((kind, "") for kind in (K.BUDGET, K.COUNTER, K.MERCHANT)),
        *((K.VOUCHER, member) for member in sorted({one.member_id for one in redemptions})),
    ]
    others = [document for kind, parent in lists for document in await _listed(shop, kind, parent)]
    assert differences_of([*redemptions, *others]) == []


async def audit_shop(shop: ShopWorld, url: str, ledger_url: str) -> None:
    """The audit of the whole database finds nothing, also beside the ledger's."""
    payments_of = functools.partial(read_payments, DatabaseConfig(url=ledger_url))
    report = await audit_database(DatabaseConfig(url=url), Scope(payments_of=payments_of))
    assert report.differences == []
    assert report.checked.get("redemption", 0) == len(await _listed(shop, K.REDEMPTION, SHOP))


async def _listed(shop: ShopWorld, kind: DocumentKind, parent: str) -> list[Any]:
    rows = await shop.programmes.listed(shop.programme, kind, parent, limit=10_000)
    return [document for _, document in rows]
