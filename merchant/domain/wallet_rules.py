"""What members pay with: payment codes, PINs and cards."""

from __future__ import annotations

from typing import NamedTuple

from merchant.domain import pins
from merchant.domain.documents import Card, Code, Wallet
from merchant.domain.payers import use_pin
from merchant.domain.payment_codes import WindowCount, after_issue, may_issue
from merchant.domain.transactions import Transaction
from timebank.errors import Reason, TimebankError


class IssueCode(NamedTuple):
    """A new payment code of a member's device, by its digest; the accounts are the member's."""

    member_id: str
    device: str
    digest: str
    points_account: str
    time_account: str


class SetPin(NamedTuple):
    """A new PIN's hash, empty for none; `matched` is the hash of the present one that the typed one
    matched, None when somebody resets it without knowing it; `typed`: a present one was typed.
    """

    member_id: str
    pin_hash: str
    matched: str | None
    typed: bool = True


class IssueCard(NamedTuple):
    """A new card of a member; earlier ones are blocked."""

    member_id: str
    card_id: str
    digest: str
    points_account: str
    time_account: str


def issue_code(transaction: Transaction, command: IssueCode) -> Code:
    """Issues a code; the one before it does not pay any more. Raises RATE_LIMITED."""
    wallet = _wallet(transaction, command.member_id)
    issues = WindowCount(wallet.hour_us, wallet.issued)
    if not may_issue(issues, transaction.now_us):
        raise TimebankError(
            Reason.RATE_LIMITED, "too many payment codes within an hour: wait a while"
        )
    before = transaction.find(Code, wallet.live_code) if wallet.live_code else None
    if before is not None and not before.used_us:
        transaction.put(before._replace(replaced_us=transaction.now_us))
    hour_us, issued = after_issue(issues, transaction.now_us)
    transaction.put(
        wallet._replace(
            live_code=command.digest,
            hour_us=hour_us,
            issued=issued,
            points_account=command.points_account,
            time_account=command.time_account,
        )
    )
    code = Code(command.digest, command.member_id, command.device, transaction.now_us)
    transaction.put(code)
    return code


def set_pin(transaction: Transaction, command: SetPin) -> Wallet:
    """Sets a PIN; who has one already shows it first.

    Raises PIN_REQUIRED, PIN_INVALID, PIN_LOCKED.
    """
    wallet = _wallet(transaction, command.member_id)
    if wallet.pin_hash and command.matched is not None:
        if not command.typed:
            raise TimebankError(
                Reason.PIN_REQUIRED, "the member has a PIN: type the present one, then the new one"
            )
        use_pin(transaction, command.member_id, command.matched)
    state = pins.after_reset(command.pin_hash)
    changed = wallet._replace(pin_hash=state.hash_text, pin_failed=0, pin_locked=False)
    transaction.put(changed)
    return changed


def issue_card(transaction: Transaction, command: IssueCard) -> Card:
    """Issues a card and blocks the one before it."""
    existing = transaction.find(Card, command.digest)
    if existing is not None:
        return existing
    wallet = _wallet(transaction, command.member_id)
    before = transaction.find(Card, wallet.card) if wallet.card else None
    if before is not None:
        transaction.put(before._replace(blocked=True))
    card = Card(command.digest, command.card_id, command.member_id, False, transaction.now_us)
    transaction.put(card)
    transaction.put(
        wallet._replace(
            card=command.digest,
            points_account=command.points_account,
            time_account=command.time_account,
        )
    )
    return card


def block_card(transaction: Transaction, digest: str, member_id: str = "") -> Card:
    """Blocks a card, of a certain member when one is named. Raises CARD_NOT_FOUND."""
    card = transaction.find(Card, digest)
    if card is None or (member_id and card.member_id != member_id):
        raise no_card()
    blocked = card._replace(blocked=True)
    transaction.put(blocked)
    return blocked


def no_card() -> TimebankError:
    """Says that a card does not exist, or is none of the caller's business."""
    return TimebankError(Reason.CARD_NOT_FOUND, "no such card")


def _wallet(transaction: Transaction, member_id: str) -> Wallet:
    return transaction.find(Wallet, member_id) or Wallet(member_id)
