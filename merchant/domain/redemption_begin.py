"""Beginning a redemption: who pays, what it costs, and whether it may be.

Errors of a beginning, first match wins: MERCHANT_NOT_FOUND, MERCHANT_NOT_ACTIVE,
TERMINAL_NOT_FOUND, TERMINAL_SUSPENDED, REVERSED_BEFORE_AUTHORIZATION or MERCHANT_REF_REUSED (the
merchant's reference), OFFER_NOT_FOUND, OFFER_NOT_ACTIVE, PRICE_CHANGED, VALIDATION_FAILED (the
amount), RATE_LIMITED, PAYMENT_CODE_INVALID, OUT_OF_STOCK, LIMIT_EXCEEDED,
VELOCITY_LIMIT_EXCEEDED, FUND_EXHAUSTED, PIN_REQUIRED, PIN_INVALID, PIN_LOCKED.
"""

from __future__ import annotations

from typing import NamedTuple

from merchant.domain.documents import (
    Budget,
    Merchant,
    Offer,
    Pending,
    Redemption,
    Terminal,
    Wallet,
)
from merchant.domain.payers import Payer, pin_is_locked, pin_is_wanted, take_payer, use_pin
from merchant.domain.pins import PinTiers
from merchant.domain.redemption_effects import fen_reserved_for, put_redemption
from merchant.domain.states import (
    MerchantState,
    Method,
    OfferState,
    OfferUnit,
    RedemptionState,
    Step,
    TerminalState,
)
from merchant.domain.transactions import Transaction
from merchant.domain.velocity import SPENT, check_controls, check_pieces, subjects_of
from timebank.errors import Reason, TimebankError
from timebank.ids import request_id_from_bytes

HOLD_LIFE_US_MAX = (36 * 60 - 1) * 60_000_000
"""The ledger's limit of 36 hours, less a minute by which its clock may be behind ours."""
PENDING_US = 60_000_000
"""A member has a minute to confirm."""
AMOUNT_MAX = 1_000_000


class Begin(NamedTuple):
    """What a till asks for; `redeems`: authorise and capture in one step; `quoted`: it only asks.

    `life_us` is how long a hold lives. `matched_pin` is the PIN's hash that the typed PIN matched,
    empty when it matched none; None when no PIN was typed.
    """

    redemption_id: str
    merchant_ref: str
    fingerprint: str
    terminal: str
    offer: str
    quantity: int
    amount: int
    price_version: int
    payer: Payer
    redeems: bool
    life_us: int
    zone: str
    tiers: PinTiers = PinTiers()
    matched_pin: str | None = None
    quoted: bool = False


class Quote(NamedTuple):
    """What a redemption would cost, and the documents that say so."""

    merchant: Merchant
    terminal: Terminal
    offer: Offer
    amount: int


def begin(transaction: Transaction, command: Begin) -> Redemption:
    """Begins a redemption: the intent stands before the ledger is asked.

    Raises the reasons named above.
    """
    merchant, terminal = find_till(transaction, command.terminal)
    existing = transaction.find(Redemption, command.redemption_id)
    if existing is not None:
        return known(existing, command.fingerprint)
    offer, amount = priced(transaction, command, terminal)
    payer = take_payer(transaction, command.payer, command.terminal, offer.unit, command.zone)
    check_stock(offer, command.quantity)
    check_budget(transaction, merchant, offer.unit, amount)
    redemption = Redemption(
        command.redemption_id,
        command.merchant_ref,
        command.fingerprint,
        RedemptionState.PENDING_MEMBER,
        transaction.now_us,
        terminal=command.terminal,
        offer=command.offer,
        quantity=command.quantity,
        price_version=offer.price_version,
        unit=offer.unit,
        method=command.payer.method,
        member_id=payer.member_id,
        device=payer.device,
        payer_account=payer.account,
        officer=command.payer.officer,
        amount=amount,
        cash_fen=offer.cash_fen * command.quantity,
        redeems=command.redeems,
        expires_us=transaction.now_us + PENDING_US,
        budget=merchant.budget,
        fen_per_hundred_points=merchant.fen_per_hundred_points,
    )
    redemption = redemption._replace(
        counters=counters_of(transaction, redemption, command.zone),
        counts_stock=offer.stock is not None,
    )
    wanted = bool(payer.member_id) and pin_is_wanted(
        transaction, redemption, command.zone, command.tiers
    )
    by_card_alone = command.payer.method is Method.CARD and command.matched_pin is None
    if wanted and by_card_alone and not command.quoted:
        raise TimebankError(Reason.PIN_REQUIRED, "a card pays with its PIN only: type it")
    if wanted and command.matched_pin is not None:
        use_pin(transaction, payer.member_id, command.matched_pin)
        wanted = False
    if waits_for_somebody(redemption) or wanted:
        redemption = redemption._replace(pin_required=wanted)
    else:
        redemption = ask_ledger(transaction, redemption, command.life_us)
    return put_redemption(transaction, None, redemption, command.zone)


def quote(transaction: Transaction, command: Begin) -> Redemption:
    """Gives the redemption that would begin, and writes nothing of it.

    Raises the reasons named above, PIN_LOCKED when it would need a PIN that is locked.
    """
    would = begin(transaction, command._replace(quoted=True))
    transaction.puts.clear()
    wallet = transaction.find(Wallet, would.member_id) if would.pin_required else None
    if wallet is not None and wallet.pin_locked:
        raise pin_is_locked()
    return would


def known(existing: Redemption, fingerprint: str) -> Redemption:
    """Gives what a reference stands for already.

    Raises REVERSED_BEFORE_AUTHORIZATION for a tombstone, MERCHANT_REF_REUSED for other content.
    """
    if not existing.fingerprint:
        raise TimebankError(
            Reason.REVERSED_BEFORE_AUTHORIZATION,
            f"reference {existing.merchant_ref} was reversed before it arrived: nothing was taken;"
            " use a new reference",
            merchant_ref=existing.merchant_ref,
        )
    if existing.fingerprint != fingerprint:
        raise TimebankError(
            Reason.MERCHANT_REF_REUSED,
            f"reference {existing.merchant_ref} was used for other content: give each sale its own",
            merchant_ref=existing.merchant_ref,
        )
    return existing


def find_merchant(transaction: Transaction, merchant_id: str) -> Merchant:
    """Finds an active merchant. Raises MERCHANT_NOT_FOUND, MERCHANT_NOT_ACTIVE."""
    merchant = transaction.find(Merchant, merchant_id)
    if merchant is None:
        raise TimebankError(Reason.MERCHANT_NOT_FOUND, f"no merchant {merchant_id}")
    if merchant.state is not MerchantState.ACTIVE:
        raise TimebankError(
            Reason.MERCHANT_NOT_ACTIVE,
            f"merchant {merchant_id} is {merchant.state.name}: it takes no new redemptions",
            merchant=merchant_id,
        )
    return merchant


def find_till(transaction: Transaction, terminal_id: str) -> tuple[Merchant, Terminal]:
    """Finds an active merchant and its active till."""
    merchant = find_merchant(transaction, terminal_id.partition("/")[0])
    terminal = transaction.find(Terminal, terminal_id)
    if terminal is None:
        raise TimebankError(Reason.TERMINAL_NOT_FOUND, f"no terminal {terminal_id}")
    if terminal.state is not TerminalState.ACTIVE:
        raise TimebankError(
            Reason.TERMINAL_SUSPENDED,
            f"terminal {terminal_id} is {terminal.state.name}: only reversals are taken",
            terminal=terminal_id,
        )
    return merchant, terminal


def find_offer(transaction: Transaction, offer_id: str, price_version: int) -> Offer:
    """Finds an offer that is for sale at the price that was told. Raises OFFER_NOT_FOUND,
    OFFER_NOT_ACTIVE, PRICE_CHANGED.
    """
    offer = transaction.find(Offer, offer_id)
    if offer is None:
        raise TimebankError(Reason.OFFER_NOT_FOUND, f"no offer {offer_id}")
    now_us = transaction.now_us
    begun = offer.valid_from_us <= now_us
    ended = offer.valid_until_us and offer.valid_until_us <= now_us
    if offer.state is not OfferState.ACTIVE or not begun or ended:
        raise TimebankError(
            Reason.OFFER_NOT_ACTIVE, f"offer {offer_id} is not for sale now", offer=offer_id
        )
    if price_version and price_version != offer.price_version:
        raise _price_changed(offer)
    return offer


def priced(transaction: Transaction, command: Begin, terminal: Terminal) -> tuple[Offer, int]:
    """Finds the offer and what so many pieces cost, in points or minutes."""
    offer = find_offer(transaction, command.offer, command.price_version)
    amount = offer.price * command.quantity if offer.price else command.amount
    if offer.price and command.amount not in (0, amount):
        raise _price_changed(offer)
    if not offer.price and command.quantity != 1:
        raise TimebankError(
            Reason.VALIDATION_FAILED,
            f"quantity: expected 1 of an offer without a price, got {command.quantity}",
            field="quantity",
        )
    if not 0 < amount <= AMOUNT_MAX:
        raise TimebankError(
            Reason.VALIDATION_FAILED,
            f"amount: expected 1 to {AMOUNT_MAX}, got {amount}",
            field="amount",
        )
    limit = terminal.points_per_transaction_max
    if limit and amount > limit:
        raise TimebankError(
            Reason.LIMIT_EXCEEDED,
            f"this till takes at most {limit} a transaction, asked for {amount}",
            terminal=terminal.terminal_id,
            limit=limit,
        )
    return offer, amount


def _price_changed(offer: Offer) -> TimebankError:
    return TimebankError(
        Reason.PRICE_CHANGED,
        f"offer {offer.offer_id} costs {offer.price} now: tell the member, then ask again",
        offer=offer.offer_id,
        price=offer.price,
        price_version=offer.price_version,
    )


def check_stock(offer: Offer, quantity: int) -> None:
    """Refuses more pieces than are left, with OUT_OF_STOCK."""
    if offer.stock is not None and offer.stock < quantity:
        raise TimebankError(
            Reason.OUT_OF_STOCK,
            f"{offer.stock} pieces of {offer.offer_id} are left, asked for {quantity}",
            offer=offer.offer_id,
            left=offer.stock,
        )


def check_budget(
    transaction: Transaction, merchant: Merchant, unit: OfferUnit, amount: int
) -> None:
    """Refuses what the budget cannot pay, with FUND_EXHAUSTED."""
    rate = merchant.fen_per_hundred_points if unit is OfferUnit.POINTS else 0
    needed = fen_reserved_for(amount, rate)
    if not needed and not merchant.budget:
        return  # a sponsor
    budget = transaction.find(Budget, merchant.budget)
    now_us = transaction.now_us
    valid = budget is not None and budget.valid_from_us <= now_us
    if budget is not None and budget.valid_until_us and budget.valid_until_us <= now_us:
        valid = False
    left = budget.limit_fen - budget.reserved_fen - budget.spent_fen if budget else 0
    if not valid or (needed and needed > left):
        raise TimebankError(
            Reason.FUND_EXHAUSTED,
            f"budget {merchant.budget} has {max(left, 0)} fen left, this needs {needed}: take"
            " other payment, and tell the programme",
            budget=merchant.budget,
        )


def counters_of(transaction: Transaction, redemption: Redemption, zone: str) -> tuple[str, ...]:
    """Checks the limits that apply by what is known and gives the counters that will count."""
    member_id = redemption.member_id
    subjects = subjects_of(
        redemption.redemption_id.partition("/")[0],
        terminal_id=redemption.terminal,
        member_id=member_id,
        device=redemption.device,
    )
    offer = transaction.find(Offer, redemption.offer)
    assert offer is not None, "it was priced"
    pieces = check_pieces(transaction, offer, member_id, redemption.quantity, zone)
    counters = check_controls(transaction, subjects, redemption.amount, zone)
    if redemption.unit is not OfferUnit.POINTS:
        # What a member spends in a day are points: minutes count for the controls alone.
        counters = tuple(name for name in counters if not name.startswith(SPENT))
    return pieces + counters


def waits_for_somebody(redemption: Redemption) -> bool:
    """Says whether the member or a second officer must still say yes."""
    return redemption.method in (Method.MERCHANT_QR, Method.ASSISTED)


def ask_ledger(transaction: Transaction, redemption: Redemption, life_us: int) -> Redemption:
    """Notes what is asked of the ledger first: a hold, or the whole payment at once."""
    step = Step.REDEEM if redemption.redeems else Step.AUTHORIZE
    pending = Pending(
        step,
        request_id_from_bytes(transaction.random_bytes(16)),
        "",
        redemption.amount,
        redemption.redeems,
        transaction.now_us,
    )
    return redemption._replace(
        state=RedemptionState.UNKNOWN,
        pin_required=False,
        pending=pending,
        expires_us=transaction.now_us + min(life_us, HOLD_LIFE_US_MAX),
    )
