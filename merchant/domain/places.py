"""How documents are found: by kind and id, in a list, or when they are due."""

from __future__ import annotations

from typing import NamedTuple

from merchant.domain.counter_windows import kept_until_us
from merchant.domain.documents import (
    Batch,
    Budget,
    Card,
    Code,
    Comparison,
    Controls,
    Counter,
    Document,
    Income,
    IncomeReference,
    Item,
    Line,
    Merchant,
    Offer,
    Redemption,
    Spending,
    Terminal,
    Tries,
    Voucher,
    Wallet,
)
from merchant.domain.states import DocumentKind, RedemptionState

KINDS: dict[type, DocumentKind] = {
    Merchant: DocumentKind.MERCHANT,
    Terminal: DocumentKind.TERMINAL,
    Offer: DocumentKind.OFFER,
    Controls: DocumentKind.CONTROLS,
    Counter: DocumentKind.COUNTER,
    Code: DocumentKind.CODE,
    Wallet: DocumentKind.WALLET,
    Tries: DocumentKind.TRIES,
    Card: DocumentKind.CARD,
    Redemption: DocumentKind.REDEMPTION,
    Line: DocumentKind.LINE,
    Batch: DocumentKind.BATCH,
    Budget: DocumentKind.BUDGET,
    Spending: DocumentKind.SPENDING,
    Income: DocumentKind.INCOME,
    Voucher: DocumentKind.VOUCHER,
    Item: DocumentKind.ITEM,
    IncomeReference: DocumentKind.INCOME_REFERENCE,
    Comparison: DocumentKind.COMPARISON,
}
Key = tuple[int, str]
"""Kind and id of a document."""
UNSETTLED = "unsettled"
RESOLVED = "resolved"
"""Items that are resolved have a list of their own, so that who works them off reads open ones."""


class Place(NamedTuple):
    """How a document is found beside its id: the list it stands in, and when it is due."""

    parent: str
    due_us: int | None = None


def key_of(document: Document) -> Key:
    """Names a document."""
    return KINDS[type(document)], document[0]


def place_of(document: Document) -> Place:
    """Says in which list a document stands, and when something is to be done about it."""
    if isinstance(document, Redemption):
        return Place(document.redemption_id.partition("/")[0], _redemption_due(document))
    if isinstance(document, Line):
        merchant_id = document.redemption_id.partition("/")[0]
        return Place(f"{merchant_id}/{document.batch or UNSETTLED}")
    if isinstance(document, Counter):
        return Place("", kept_until_us(document.counter_id))
    if isinstance(document, Voucher):
        return Place(document.member_id)
    if isinstance(document, Batch):
        unpaid = document.paid_us and not document.paid_fen and document.state == "CLOSED"
        parent = document.batch_id.partition("/")[0]
        return Place(parent, document.closed_us if unpaid else None)
    if isinstance(document, Income):
        return Place("", None if document.entry else document.created_us)
    if isinstance(document, Spending):
        return Place("", document.decided_us if document.paying else None)
    if isinstance(document, Item):
        return Place(
            items_of(document.item_id.partition("/")[0], resolved=bool(document.resolved_us))
        )
    if isinstance(document, Terminal | Offer):
        return Place(document[0].partition("/")[0])
    if isinstance(document, Code):
        return Place(document.member_id, document.issued_us + _CODE_KEPT_US)
    return Place("")


def items_of(merchant_id: str, *, resolved: bool) -> str:
    """Names the list of a merchant's items that are resolved, or of those that are open."""
    return f"{merchant_id}/{RESOLVED}" if resolved else merchant_id


_CODE_KEPT_US = 3_600_000_000
"""A code is kept for an hour, so that a used or expired one is told from one that never was."""


def _redemption_due(redemption: Redemption) -> int | None:
    if redemption.pending is not None:
        return redemption.pending.since_us
    waits = (
        RedemptionState.PENDING_MEMBER,
        RedemptionState.AUTHORIZED,
        RedemptionState.PARTIALLY_CAPTURED,
    )
    return redemption.expires_us if redemption.state in waits else None
