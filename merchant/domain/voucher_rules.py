"""Vouchers 兑换码: points are taken when one is bought, the goods are collected later."""

from __future__ import annotations

from typing import NamedTuple

from merchant.domain.documents import Redemption, Voucher
from merchant.domain.payers import count_wrong, pin_is_wanted, tries_of, use_pin
from merchant.domain.pins import PinTiers
from merchant.domain.redemption_begin import (
    AMOUNT_MAX,
    ask_ledger,
    check_budget,
    check_stock,
    counters_of,
    find_merchant,
    find_offer,
    known,
)
from merchant.domain.redemption_effects import put_redemption
from merchant.domain.redemption_moves import check_answered
from merchant.domain.states import Method, RedemptionState
from merchant.domain.transactions import Transaction
from timebank.errors import Reason, TimebankError

ISSUED, COLLECTED, EXPIRED, REFUNDED = 1, 2, 3, 4
VALID_DAYS_MAX = 365
DAY_US = 86_400_000_000


class IssueVoucher(NamedTuple):
    """A voucher of a member for an offer; digest and ids are derived from the request."""

    voucher_id: str
    digest: str
    redemption_id: str
    merchant_ref: str
    fingerprint: str
    offer: str
    member_id: str
    points_account: str
    time_account: str
    quantity: int
    price_version: int
    valid_us: int
    zone: str
    tiers: PinTiers
    matched_pin: str | None
    """The PIN's hash that the typed one matched, empty for none; None when none was typed."""


class CollectVoucher(NamedTuple):
    """The goods are handed out at a till."""

    digest: str
    terminal: str


def issue_voucher(transaction: Transaction, command: IssueVoucher) -> Redemption:
    """Begins the redemption that pays for a voucher; once the ledger has paid, it can be collected.

    Raises what refuses any redemption.
    """
    merchant = find_merchant(transaction, command.offer.partition("/")[0])
    existing = transaction.find(Redemption, command.redemption_id)
    if existing is not None:
        return known(existing, command.fingerprint)
    offer = find_offer(transaction, command.offer, command.price_version)
    amount = offer.price * command.quantity
    if not 0 < amount <= AMOUNT_MAX:
        raise TimebankError(
            Reason.VALIDATION_FAILED,
            f"offer: expected one with a price, up to {AMOUNT_MAX} in all, got {amount}",
            field="offer",
        )
    check_stock(offer, command.quantity)
    check_budget(transaction, merchant, offer.unit, amount)
    points = offer.unit.name == "POINTS"
    redemption = Redemption(
        command.redemption_id,
        command.merchant_ref,
        command.fingerprint,
        RedemptionState.PENDING_MEMBER,
        transaction.now_us,
        offer=command.offer,
        quantity=command.quantity,
        price_version=offer.price_version,
        unit=offer.unit,
        method=Method.VOUCHER,
        member_id=command.member_id,
        payer_account=command.points_account if points else command.time_account,
        amount=amount,
        cash_fen=offer.cash_fen * command.quantity,
        redeems=True,
        budget=merchant.budget,
        fen_per_hundred_points=merchant.fen_per_hundred_points,
    )
    redemption = redemption._replace(
        counters=counters_of(transaction, redemption, command.zone),
        counts_stock=offer.stock is not None,
    )
    _take_pin(transaction, redemption, command)
    transaction.put(
        Voucher(
            command.digest,
            command.voucher_id,
            merchant.merchant_id,
            command.offer,
            command.member_id,
            ISSUED,
            command.redemption_id,
            transaction.now_us,
            transaction.now_us + command.valid_us,
        )
    )
    asked = ask_ledger(transaction, redemption, DAY_US)
    return put_redemption(transaction, None, asked, command.zone)


def _take_pin(transaction: Transaction, redemption: Redemption, command: IssueVoucher) -> None:
    if pin_is_wanted(transaction, redemption, command.zone, command.tiers):
        if command.matched_pin is None:
            raise TimebankError(
                Reason.PIN_REQUIRED, "this much is paid with a PIN: type it and call again"
            )
        use_pin(transaction, command.member_id, command.matched_pin)


def collect_voucher(transaction: Transaction, command: CollectVoucher) -> Voucher:
    """Hands the goods out, once. Raises VOUCHER_NOT_FOUND, also for another merchant's, which
    counts as a wrong code, RATE_LIMITED after too many of them, and REDEMPTION_STATE for one that
    was collected, expired or refunded.
    """
    tries = tries_of(transaction, command.terminal)
    voucher = transaction.find(Voucher, command.digest)
    merchant_id = command.terminal.partition("/")[0]
    redemption = None
    if voucher is not None and voucher.merchant_id == merchant_id:
        redemption = transaction.find(Redemption, voucher.redemption_id)
    if voucher is None or redemption is None or redemption.state is RedemptionState.DECLINED:
        count_wrong(transaction, tries)
        raise TimebankError(Reason.VOUCHER_NOT_FOUND, "no such voucher of this merchant")
    check_answered(redemption)
    state = state_of(voucher, redemption, transaction.now_us)
    if state != ISSUED or redemption.state is not RedemptionState.CAPTURED:
        raise TimebankError(
            Reason.REDEMPTION_STATE,
            "the voucher was collected, refunded or has run out",
            state=state,
        )
    collected = voucher._replace(state=COLLECTED, collected_by=command.terminal)
    transaction.put(collected)
    return collected


def state_of(voucher: Voucher, redemption: Redemption, now_us: int) -> int:
    """Says where a voucher stands: what its redemption and the time have made of it."""
    if redemption.refunded or redemption.state is RedemptionState.REVERSED:
        return REFUNDED
    if voucher.state == ISSUED and voucher.expires_us <= now_us:
        return EXPIRED
    return voucher.state
