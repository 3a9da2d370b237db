"""PINs at a simulated shop: what was typed, how often wallets may have counted it, and which
redemptions it must have been right for.

Owns what callers were told about PINs. A wrong try counts once for its request, however often it is
sent; a call whose end nobody was told may have counted or not, until the wallet is looked at.
"""

import uuid
from collections import Counter as Tally
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from merchant.domain.documents import Card, Redemption, Wallet
from merchant.domain.pins import TRIES_MAX, PinTiers
from merchant.domain.states import DocumentKind, Method, RedemptionState
from tests.merchant.shops import CALL, ShopWorld
from timebank.errors import Reason

R = RedemptionState
NONE, RIGHT, WRONG = "", "258036", "147036"
"""What is typed: nothing, everybody's PIN, another one."""
TIERS = PinTiers(day_points_c=45, day_points_d=30, payment_points_without_pin=9)
MAYBE_NOTHING_PAID = (R.PENDING_MEMBER, R.VOIDED, R.REVERSED, R.EXPIRED)
"""States in which a redemption may be without a PIN ever having been right."""


@dataclass(frozen=True, slots=True)
class Typing:
    """Whose PIN is typed for which sale, and how it is paid."""

    way: str = ""
    member: str = ""
    pin: str = NONE


NOT_TYPED = Typing()


@dataclass
class Pins:
    """The PINs of a shop's members."""

    shop: ShopWorld
    boundary: Callable[[], None]
    """Is passed between the comparison of a PIN and the write that takes its outcome."""
    wallets: dict[str, Wallet] = field(default_factory=dict)
    """As they were looked at last."""
    right_for: set[tuple[str, str]] = field(default_factory=set)
    """References and members for which the right PIN was typed."""
    waited: set[str] = field(default_factory=set)
    """References that were seen waiting for a PIN."""
    known: set[bytes] = field(default_factory=set)
    """Requests of earlier steps: what they counted stands in the wallet."""
    asked: dict[bytes, str] = field(default_factory=dict)
    """Wrong tries of this step that may count, and their members."""
    sure: dict[bytes, str] = field(default_factory=dict)
    """Those of them that were told to be wrong."""
    forgiven: set[str] = field(default_factory=set)
    """Members whose tries may be forgotten in this step: by a right PIN, or because of a reset."""
    reset: set[str] = field(default_factory=set)
    told_locked: set[str] = field(default_factory=set)

    async def give(self, member: str, pin_hash: str) -> None:
        """Gives a member a PIN and a card."""
        accounts = await self.shop.programmes.member_accounts(self.shop.programme, member)
        wallet = Wallet(member, accounts.points, accounts.time, pin_hash=pin_hash)
        now_us = self.shop.world.clock.now_us()
        await self.shop.put(wallet, Card(card_of(member), member, member, False, now_us))
        self.wallets[member] = wallet

    async def match(self, typing: Typing) -> str | None:
        """Compares what is typed with the PIN, as a server does before it writes."""
        if typing.pin == NONE:
            return None
        programme, wallets = self.shop.programme, self.shop.wallets
        matched = await wallets.matched_pin(programme, typing.member, typing.pin)
        self.boundary()
        return matched

    def asking(self, request_id: bytes, merchant_ref: str, typing: Typing) -> None:
        """Notes what is about to be asked."""
        if typing.pin == RIGHT:
            self.right_for.add((merchant_ref, typing.member))
            self.forgiven.add(typing.member)
        if typing.pin == WRONG and request_id not in self.sure:
            self.asked[request_id] = typing.member

    def answered(self, request_id: bytes, typing: Typing, reason: Reason | None) -> None:
        """Notes the answer; None: it was done, or done before."""
        if request_id not in self.asked:
            return
        is_new = request_id not in self.known
        if reason is Reason.PIN_INVALID and is_new:
            self.sure[request_id] = self.asked.pop(request_id)
        elif reason is Reason.PIN_LOCKED and is_new:
            self.told_locked.add(typing.member)
        elif reason not in (Reason.PIN_INVALID, Reason.PIN_LOCKED):
            del self.asked[request_id]

    def worst(self, *, locked: bool) -> Wallet:
        """The wallet with most wrong tries, also of those who are locked already, or not of them
        unless all are; the first of several.
        """
        among = [one for one in self.wallets.values() if locked or not one.pin_locked]
        return max(among or self.wallets.values(), key=lambda one: one.pin_failed)

    async def reset_worst(self) -> None:
        """An officer resets the PIN that was wrong most often."""
        member = self.worst(locked=True).member_id
        self.reset.add(member)
        named: dict[str, Any] = {"request_id": uuid.uuid4().bytes, "call": CALL}
        shop = self.shop
        await shop.wallets.set_pin(shop.programme, member, RIGHT, present=None, **named)

    async def look(self, reached: Tally[str], *, moved: bool) -> dict[str, Wallet]:
        """Compares the wallets with what was typed since; gives them as they were before.

        `moved` False: nothing was written since, and they need not be read.
        """
        before = dict(self.wallets)
        sure, maybe = Tally(self.sure.values()), Tally(self.asked.values())
        for member, was in before.items():
            wallet = was
            if moved:
                wallet = await self.shop.found(DocumentKind.WALLET, member)
            least = min(TRIES_MAX, was.pin_failed + sure[member])
            most = min(TRIES_MAX, least + maybe[member])
            if was.pin_locked and member not in self.reset:
                least = most = TRIES_MAX
            elif member in self.forgiven | self.reset:
                least = 0
            assert least <= wallet.pin_failed <= most, (was, wallet, least, most)
            assert wallet.pin_locked == (wallet.pin_failed == TRIES_MAX), wallet
            if member in self.told_locked - self.reset:
                assert wallet.pin_locked, (wallet, "a caller was told that it is locked")
            reached["locked"] += wallet.pin_locked
            reached["unlocked"] += was.pin_locked and not wallet.pin_locked
            self.wallets[member] = wallet
        return before

    def check(self, one: Redemption, before: Redemption | None, was: dict[str, Wallet]) -> None:
        """A redemption that needed a PIN went on with a right one, and not while it was locked."""
        if one.pin_required:
            self.waited.add(one.merchant_ref)
        dear = one.method is not Method.ASSISTED and one.amount > TIERS.payment_points_without_pin
        needed = one.method is Method.CARD or dear or one.merchant_ref in self.waited
        if not needed or (one.state in MAYBE_NOTHING_PAID and not one.captured and not one.hold):
            return
        assert (one.merchant_ref, one.member_id) in self.right_for, (one, "no PIN was right")
        if before is None or before.state is R.PENDING_MEMBER:
            locked = was[one.member_id].pin_locked and one.member_id not in self.reset
            assert not locked, (one, "went on while the PIN was locked")

    def end_step(self) -> None:
        """What was typed is in the wallets now, or it never will be."""
        self.known |= {*self.asked, *self.sure}
        for noted in (self.asked, self.sure, self.forgiven, self.reset, self.told_locked):
            noted.clear()


def card_of(member: str) -> str:
    """The digest by which a member's card is known."""
    return f"card of {member}"
