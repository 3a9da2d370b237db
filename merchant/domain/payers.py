"""Who pays: payment codes, cards, members at a merchant's QR, and people whom officers help.

A code is used up in the transaction that begins the redemption. Unknown, expired, used and foreign
codes all answer PAYMENT_CODE_INVALID; only the audit log tells them apart, by the cause that a
refusal carries beside what is sent and stored of it.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

from merchant.domain import pins
from merchant.domain.documents import Card, Code, Counter, Redemption, Tries, Wallet
from merchant.domain.payment_codes import (
    CodeVerdict,
    PaymentCode,
    WindowCount,
    after_wrong_try,
    counts_as_wrong_try,
    is_locked,
    judge,
)
from merchant.domain.states import DocumentKind, Method, OfferUnit
from merchant.domain.transactions import Transaction
from merchant.domain.velocity import spent_counter, subjects_of, want_counters
from timebank.errors import Reason, TimebankError

_METHODS = {
    Method.PAYMENT_CODE: pins.PaymentMethod.CODE,
    Method.MERCHANT_QR: pins.PaymentMethod.MERCHANT_QR,
    Method.CARD: pins.PaymentMethod.CARD,
    Method.ASSISTED: pins.PaymentMethod.ASSISTED,
    Method.VOUCHER: pins.PaymentMethod.CODE,
}


class Cause(enum.StrEnum):
    """Why a code or card does not pay. FOREIGN is an UNKNOWN one of another ledger."""

    UNKNOWN = "UNKNOWN"
    EXPIRED = "EXPIRED"
    USED = "USED"
    REPLACED = "REPLACED"
    FOREIGN = "FOREIGN"
    BLOCKED = "BLOCKED"
    LOCKED = "LOCKED"


class PayerRefused(TimebankError):
    """The refusal of a code or card; `cause` is for the audit log and metrics alone, for neither an
    answer nor a stored refusal has anything but reason, message and metadata.
    """

    def __init__(self, reason: Reason, message: str, cause: Cause, terminal: str = "") -> None:
        super().__init__(reason, message)
        if terminal:
            self.metadata["terminal"] = terminal
        self.cause = cause


class Payer(NamedTuple):
    """How a till says who pays: a digest of a code or card, or the member whom an officer helps,
    with the accounts in the ledger.
    """

    method: Method
    digest: str = ""
    member_id: str = ""
    account: str = ""
    officer: str = ""
    time_account: str = ""


class Taken(NamedTuple):
    """Who pays, from which account, by which device."""

    member_id: str = ""
    account: str = ""
    device: str = ""


def take_payer(
    transaction: Transaction, payer: Payer, terminal_id: str, unit: OfferUnit, zone: str
) -> Taken:
    """Finds who pays, and uses a code up. Raises RATE_LIMITED and
    PAYMENT_CODE_INVALID.
    """
    if payer.method is Method.PAYMENT_CODE:
        return _take_code(transaction, payer.digest, terminal_id, unit, zone)
    if payer.method is Method.CARD:
        return _take_card(transaction, payer.digest, terminal_id, unit)
    in_points = unit is OfferUnit.POINTS
    return Taken(payer.member_id, payer.account if in_points else payer.time_account)


def _take_code(
    transaction: Transaction, digest: str, terminal_id: str, unit: OfferUnit, zone: str
) -> Taken:
    tries = tries_of(transaction, terminal_id)
    code = transaction.find(Code, digest)
    seen = None
    if code is not None:
        times = code.issued_us, code.used_us, code.replaced_us
        seen = PaymentCode(digest.encode(), code.member_id, code.device, *times)
    verdict = judge(seen, transaction.now_us)
    if verdict is not CodeVerdict.GOOD or code is None:
        if counts_as_wrong_try(verdict):
            count_wrong(transaction, tries)
        raise _invalid(Cause(verdict.value))
    subjects = subjects_of(
        terminal_id.partition("/")[0],
        terminal_id=terminal_id,
        member_id=code.member_id,
        device=code.device,
    )
    want_counters(transaction, subjects, zone, (DocumentKind.WALLET, code.member_id))
    transaction.put(code._replace(used_us=transaction.now_us))
    wallet = transaction.find(Wallet, code.member_id)
    assert wallet is not None, "who has a code has a wallet"
    return Taken(code.member_id, account_of(wallet, unit), code.device)


def _take_card(transaction: Transaction, digest: str, terminal_id: str, unit: OfferUnit) -> Taken:
    tries = tries_of(transaction, terminal_id)
    card = transaction.find(Card, digest)
    if card is None or card.blocked:
        count_wrong(transaction, tries)
        raise _invalid(Cause.BLOCKED if card is not None else Cause.UNKNOWN)
    wallet = transaction.find(Wallet, card.member_id)
    assert wallet is not None, "who has a card has a wallet"
    return Taken(card.member_id, account_of(wallet, unit), f"card-{card.card_id}")


def _invalid(cause: Cause) -> PayerRefused:
    """One answer for all codes and cards that do not pay, so that nobody learns why."""
    return PayerRefused(
        Reason.PAYMENT_CODE_INVALID, "this code or card does not pay: ask for a fresh one", cause
    )


def account_of(wallet: Wallet, unit: OfferUnit) -> str:
    """Gives the account that a member pays from."""
    return wallet.points_account if unit is OfferUnit.POINTS else wallet.time_account


def tries_of(transaction: Transaction, terminal_id: str) -> Tries:
    """Gives the wrong codes of a till within the minute. Raises RATE_LIMITED when it must wait."""
    tries = transaction.find(Tries, terminal_id) or Tries(terminal_id)
    if is_locked(WindowCount(tries.window_us, tries.wrong), transaction.now_us):
        raise PayerRefused(
            Reason.RATE_LIMITED,
            "too many wrong codes at this till: wait a minute",
            Cause.LOCKED,
            terminal=terminal_id,
        )
    return tries


def count_wrong(transaction: Transaction, tries: Tries) -> None:
    """Counts one more wrong code, also when what it was for is refused."""
    window = after_wrong_try(WindowCount(tries.window_us, tries.wrong), transaction.now_us)
    transaction.put_always(Tries(tries.terminal_id, *window))


def pin_is_wanted(
    transaction: Transaction, redemption: Redemption, zone: str, tiers: pins.PinTiers
) -> bool:
    """Says whether a redemption needs its payer's PIN, by amount and by what was spent today.

    Raises LIMIT_EXCEEDED above what a day takes in this way even with a PIN.
    """
    counter_id = spent_counter(redemption.member_id, transaction.now_us, zone)
    spent = transaction.find(Counter, counter_id)
    points = redemption.amount if redemption.unit is OfferUnit.POINTS else 0
    spent_points = max(spent.amount, 0) if spent is not None else 0
    method = _METHODS[redemption.method]
    if points and pins.exceeds_day_points(points, spent_points, method, tiers, pin_given=True):
        limit = pins.day_points_max(method, tiers, pin_given=True)
        raise TimebankError(
            Reason.LIMIT_EXCEEDED,
            f"a member spends at most {limit} points a day in this way: redeem less, or with a"
            " payment code",
            limit=limit,
        )
    return pins.pin_is_required(points, spent_points, method, tiers)


def use_pin(transaction: Transaction, member_id: str, matched: str) -> None:
    """Takes the outcome of a typed PIN; `matched` is the hash it matched, empty for none.

    Raises PIN_REQUIRED when the member has none, PIN_LOCKED and PIN_INVALID, which count.
    """
    wallet = transaction.find(Wallet, member_id)
    if wallet is None or not wallet.pin_hash:
        raise TimebankError(
            Reason.PIN_REQUIRED, "the member has no PIN yet: set one in the app or at the community"
        )
    state = pins.PinState(wallet.pin_hash, wallet.pin_failed, wallet.pin_locked)
    verdict, after = pins.judge_try(state, matched == wallet.pin_hash)
    changed = wallet._replace(pin_failed=after.failed, pin_locked=after.locked)
    if verdict is pins.PinVerdict.RIGHT:
        transaction.put(changed)
        return
    if changed != wallet:
        transaction.put_always(changed)
    if verdict is pins.PinVerdict.LOCKED:
        raise pin_is_locked()
    raise TimebankError(
        Reason.PIN_INVALID,
        f"the PIN is wrong: {pins.tries_left(after)} tries are left",
        tries_left=pins.tries_left(after),
    )


def pin_is_locked() -> TimebankError:
    """Says that a PIN was wrong too often."""
    return TimebankError(
        Reason.PIN_LOCKED, "the PIN is locked: the community resets it after a look at the person"
    )
