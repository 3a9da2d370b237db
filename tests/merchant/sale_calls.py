"""Calls of a simulated shop: what is asked, and what callers were told about it.

Owns the memory of every call, so that it can be repeated with the same request id or reference, and
what an answer commits the shop to: what was said to be done stays done, what was refused is not
done, and an operation counts once.
"""

import random
import uuid
from collections import Counter as Tally
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from merchant.domain.documents import Redemption
from merchant.domain.payers import Payer
from merchant.domain.redemption_begin import Begin
from merchant.domain.redemption_moves import Confirm, Event, Move
from merchant.domain.states import Method, RedemptionState, Step
from merchant.usecases.redemptions import Outcome, redemption_id_of
from merchant.usecases.vouchers import Vouchers
from tests.merchant.sale_books import GONE
from tests.merchant.sale_pins import NONE, NOT_TYPED, RIGHT, TIERS, WRONG, Pins, Typing, card_of
from tests.merchant.shops import CALL, GOODS, MINUTE_US, SHOP, TILL, ShopWorld
from timebank.errors import Reason, TimebankError

R = RedemptionState
MEMBERS = {"li": 100, "wang": 100, "zhao": 15}
"""Members and their points."""
MEMBER_IDS = tuple(MEMBERS)
OFFICERS = ("officers/chen", "officers/sun")
Operation = tuple[str, Step, int]
"""Reference of an operation, what it is, its amount."""


@dataclass
class Asked:
    """A call that can be repeated, with what came of it so far."""

    kind: str
    merchant_ref: str
    call: Callable[[bytes], Awaitable[Outcome]]
    operation: Operation | None = None
    typing: Typing = NOT_TYPED
    request_id: bytes = field(default_factory=lambda: uuid.uuid4().bytes)
    open: bool = True
    """Nobody was told how it ended."""
    asked: bool = False


@dataclass
class Told:
    """What callers were told about one sale or operation."""

    done: bool = False
    maybe: bool = False


class Calls:
    """Everything that was asked of one shop."""

    def __init__(self, shop: ShopWorld) -> None:
        self.shop = shop
        self.vouchers: Vouchers
        self.pins: Pins
        self.chance = random.Random(0)
        self.made: list[Asked] = []
        self.told: dict[Operation, Told] = {}
        self.reversed: dict[str, Told] = {}
        self.voided: set[str] = set()
        self.begun: dict[str, Told] = {}
        self.used_codes: list[tuple[str, str]] = []
        """Codes that were shown, and whose they are."""
        self.voucher_codes: list[str] = []

    def unanswered(self) -> list[Asked]:
        """Calls whose outcome nobody was told."""
        return [asked for asked in self.made if asked.open and asked.asked]

    def waiting(self, known: list[Redemption]) -> list[Redemption]:
        """Redemptions that wait for somebody's yes, and still may have it."""
        now_us = self.shop.world.clock.now_us()
        return [one for one in known if one.state is R.PENDING_MEMBER and one.expires_us > now_us]

    async def make(self, kind: str, known: list[Redemption]) -> Asked | None:
        """Draws a call of a kind; None when there is nothing to ask about."""
        chance = self.chance
        if kind == "again":
            return chance.choice(self.made) if self.made else None
        if kind == "retry":
            return self._retry()
        if kind == "early_reverse":
            return self._keep(self._reverse(self.shop.ref()))
        if kind in ("sell", "wrong_code"):
            return self._keep(await self._sale(wrong=kind == "wrong_code"))
        if kind == "wrong_pin":
            return self._keep(await self._wrong_pin())
        if kind == "collect":
            made = (
                self._collect() if self.voucher_codes else self._voucher(chance.choice(MEMBER_IDS))
            )
            return self._keep(made)
        fitting = {
            "confirm": (R.PENDING_MEMBER,),
            "capture": (R.AUTHORIZED, R.PARTIALLY_CAPTURED),
            "void": (R.AUTHORIZED, R.PARTIALLY_CAPTURED, R.PENDING_MEMBER, R.UNKNOWN),
            "refund": (R.CAPTURED, R.PARTIALLY_CAPTURED),
            "reverse": (R.CAPTURED, R.PARTIALLY_CAPTURED, R.AUTHORIZED, R.UNKNOWN),
        }[kind]
        best = [one for one in known if one.state in fitting]
        if kind == "confirm":
            best = self.waiting(known)
        if not best and chance.random() < 0.7:
            return self._keep(await self._sale(wrong=False))
        pool = best if best and chance.random() < 0.85 else known
        if not pool:
            return None
        one = chance.choice(pool)
        if kind == "reverse":
            return self._keep(self._reverse(one.merchant_ref))
        if kind == "confirm":
            return self._keep(await self._confirm(one))
        return self._keep(self._move(one, kind))

    def _keep(self, asked: Asked) -> Asked:
        self.made.append(asked)
        return asked

    def _retry(self) -> Asked | None:
        """The same sale or operation under another request id."""
        if not self.made:
            return None
        asked = self.chance.choice(self.made)
        again = Asked(asked.kind, asked.merchant_ref, asked.call, asked.operation, asked.typing)
        return self._keep(again)

    async def _sale(self, *, wrong: bool) -> Asked:
        chance, shop = self.chance, self.shop
        member = chance.choice(MEMBER_IDS)
        if not wrong and chance.random() < 0.15:
            return self._voucher(member)
        ref = shop.ref()
        if wrong and self.used_codes and chance.random() < 0.5:
            code, member = chance.choice(self.used_codes)
        else:
            code = "000000000000000000" if wrong else await shop.code(member)
        self.used_codes.append((code, member))
        changes: dict[str, Any] = {
            "merchant_ref": ref,
            "redeems": chance.random() < 0.35,
            "terminal": chance.choice((TILL, f"{SHOP}/t2")),
            "life_us": chance.choice((5, 15, 30)) * MINUTE_US,
            "tiers": TIERS,
        }
        if chance.random() < 0.5:
            changes |= {"offer": f"{SHOP}/book", "amount": chance.choice((1, 7, 13, 13, 24, 30))}
        else:
            changes["quantity"] = chance.choice((1, 1, 1, 2))
        payer, typing = await self._payer(member, wrong=wrong)
        if payer is not None:
            changes["payer"] = payer
        return self._begin(shop.sale(code, **changes), typing)

    async def _payer(self, member: str, *, wrong: bool) -> tuple[Payer | None, Typing]:
        """Draws how a member pays, None for a code, and what PIN is typed with it."""
        chance, shop = self.chance, self.shop
        draw = 1.0 if wrong else chance.random()
        if draw < 0.2:
            return Payer(Method.MERCHANT_QR), NOT_TYPED
        if draw < 0.38:
            accounts = await shop.programmes.member_accounts(shop.programme, member)
            officer = chance.choice(OFFICERS)
            return Payer(Method.ASSISTED, "", member, accounts.points, officer), NOT_TYPED
        if draw < 0.55:
            pin = chance.choice((NONE, RIGHT, RIGHT, WRONG))
            return Payer(Method.CARD, card_of(member)), Typing("card", member, pin)
        return None, Typing("code", member, chance.choice((NONE, NONE, NONE, RIGHT, WRONG)))

    def _begin(self, command: Begin, typing: Typing) -> Asked:
        async def begin(request_id: bytes) -> Outcome:
            matched = await self.pins.match(typing)
            return await self.shop.begin(command._replace(matched_pin=matched), request_id)

        return Asked("sell", command.merchant_ref, begin, typing=typing)

    async def _wrong_pin(self) -> Asked:
        """Somebody tries PINs on a card, one after the other."""
        member, ref = self.pins.worst(locked=False).member_id, self.shop.ref()
        command = self.shop.sale("", merchant_ref=ref, payer=Payer(Method.CARD, card_of(member)))
        return self._begin(command._replace(tiers=TIERS), Typing("card", member, WRONG))

    def _voucher(self, member: str) -> Asked:
        voucher_id = str(uuid.UUID(int=self.chance.getrandbits(128), version=4))
        ref, quantity = f"voucher-{voucher_id}", self.chance.choice((1, 1, 2))
        typing = Typing("voucher", member, self.chance.choice((NONE, RIGHT, RIGHT, WRONG)))

        async def issue(request_id: bytes) -> Outcome:
            matched = await self.pins.match(typing)
            shown = await self.vouchers.issue(
                self.shop.programme,
                voucher_id,
                offer=GOODS,
                member_id=member,
                quantity=quantity,
                price_version=0,
                valid_us=60 * MINUTE_US,
                tiers=TIERS,
                matched_pin=matched,
                request_id=request_id,
                call=CALL,
            )
            self.voucher_codes.append(shown.code)
            found = await self.shop.redemptions.look(
                self.shop.programme, redemption_id_of(SHOP, ref)
            )
            return Outcome(found, shown.replayed)

        return Asked("sell", ref, issue, typing=typing)

    def _collect(self) -> Asked:
        code = self.chance.choice(self.voucher_codes)

        async def collect(request_id: bytes) -> Outcome:
            shown = await self.vouchers.collect(
                self.shop.programme, code, TILL, request_id=request_id, call=CALL
            )
            found = await self.shop.redemptions.look(
                self.shop.programme, shown.voucher.redemption_id
            )
            return Outcome(found, shown.replayed)

        return Asked("collect", "", collect)

    def _reverse(self, merchant_ref: str) -> Asked:
        return Asked(
            "reverse",
            merchant_ref,
            lambda request_id: self.shop.redemptions.reverse(
                self.shop.programme, SHOP, merchant_ref, request_id=request_id, call=CALL
            ),
        )

    async def _confirm(self, one: Redemption) -> Asked:
        chance, zone = self.chance, self.shop.programme.zone
        life_us = chance.choice((5, 15)) * MINUTE_US
        command = Confirm(one.redemption_id, zone, one.method, life_us=life_us, tiers=TIERS)
        typing = Typing("assisted")
        if one.method is Method.MERCHANT_QR:
            typing = Typing("QR", chance.choice(MEMBER_IDS), chance.choice((NONE, RIGHT, WRONG)))
            accounts = await self.shop.programmes.member_accounts(
                self.shop.programme, typing.member
            )
            command = command._replace(member_id=typing.member, account=accounts.points)
        elif one.method is Method.ASSISTED:
            command = command._replace(officer=chance.choice(OFFICERS))
        else:
            typing = Typing("PIN", one.member_id, chance.choice((RIGHT, WRONG)))

        async def confirm(request_id: bytes) -> Outcome:
            matched = await self.pins.match(typing)
            return await self.shop.redemptions.confirm(
                self.shop.programme,
                command._replace(matched_pin=matched),
                request_id=request_id,
                call=CALL,
            )

        return Asked("confirm", one.merchant_ref, confirm, typing=typing)

    def _move(self, one: Redemption, kind: str) -> Asked:
        chance = self.chance
        event = Event(kind)
        rest = one.amount - one.captured if kind == "capture" else one.captured - one.refunded
        amount = (
            0
            if kind == "void"
            else max(1, chance.choice((rest, rest // 2, rest // 2, 3, rest + 1)))
        )
        op_ref = "" if kind == "void" else self.shop.ref()
        used = [operation for operation in self.told if operation[0]]
        if op_ref and used and chance.random() < 0.1:
            op_ref = chance.choice(used)[0]
        final = kind == "capture" and chance.random() < 0.3
        zone = self.shop.programme.zone
        command = Move(one.redemption_id, event, zone, op_ref, amount, final)
        operation = (f"{one.merchant_ref}/{op_ref}", Step(kind.upper()), amount)
        return Asked(
            kind,
            one.merchant_ref,
            lambda request_id: self.shop.redemptions.move(
                self.shop.programme, command, request_id=request_id, call=CALL
            ),
            operation if op_ref else None,
        )

    async def ask(self, asked: Asked, reached: Tally[str]) -> None:
        """Asks and remembers what was said; nobody knows how a call ended that never returned."""
        asked.asked = True
        told = self._told_of(asked)
        maybe, told.maybe = told.maybe, True
        self.pins.asking(asked.request_id, asked.merchant_ref, asked.typing)
        try:
            outcome = await asked.call(asked.request_id)
        except TimebankError as error:
            self.pins.answered(asked.request_id, asked.typing, error.reason)
            _reach(reached, asked, error.reason.name)
            if error.reason not in (Reason.OUTCOME_UNKNOWN, Reason.SHUTTING_DOWN):
                asked.open = False
                told.maybe = maybe or told.done
            return
        asked.open = False
        told.done = True
        self.pins.answered(asked.request_id, asked.typing, None)
        _reach(reached, asked, "replayed" if outcome.replayed else "done")
        if asked.kind == "void":
            self.voided.add(asked.merchant_ref)

    def _told_of(self, asked: Asked) -> Told:
        if asked.operation is not None:
            return self.told.setdefault(asked.operation, Told())
        if asked.kind == "reverse":
            return self.reversed.setdefault(asked.merchant_ref, Told())
        if asked.kind == "sell":
            return self.begun.setdefault(asked.merchant_ref, Told())
        return Told()

    def check(self, one: Redemption) -> None:
        """A redemption is what callers were told."""
        ref = one.merchant_ref
        reversed_, begun = self.reversed.get(ref, Told()), self.begun.get(ref, Told())
        if reversed_.done:
            assert one.state in GONE, (one, "a caller was told that it is reversed")
        if one.state is R.REVERSED:
            assert reversed_.maybe or reversed_.done, (one, "nobody asked for it")
        if reversed_.done and one.captured:
            assert one.state is R.REVERSED, (one, "its points did not go back")
        if ref in self.voided:
            assert one.state not in (R.PENDING_MEMBER, R.AUTHORIZED, R.PARTIALLY_CAPTURED), one
        if one.state not in (R.DECLINED, R.REVERSED, R.UNKNOWN, R.PENDING_MEMBER, R.EXPIRED):
            assert begun.maybe or begun.done, (one, "the till was told that it was refused")
        done = [item for item in one.done if not item.reason]
        names = [item.op_ref for item in one.done]
        assert len(names) == len(set(names)), (one, "an operation counts twice")
        for item in done:
            told = self.told[f"{ref}/{item.op_ref}", item.step, item.amount]
            assert told.maybe or told.done, (one, item, "it was refused")
        carried_out = {(f"{ref}/{item.op_ref}", item.step, item.amount) for item in done}
        for operation, told in self.told.items():
            if told.done and operation[0].startswith(f"{ref}/"):
                assert operation in carried_out, (one, operation, "it was said to be done")
        captured = sum(item.amount for item in done if item.step is Step.CAPTURE)
        refunded = sum(item.amount for item in done if item.step is Step.REFUND)
        if not one.redeems:
            assert one.captured == captured, one
        if one.state is R.REVERSED:
            assert one.refunded == one.captured, one
        else:
            assert one.refunded == refunded, one


def _reach(reached: Tally[str], asked: Asked, end: str) -> None:
    """Counts how a call ended, by its kind and by how it is paid."""
    reached[f"{asked.kind} {end}"] += 1
    reached[f"{asked.kind} by {asked.typing.way} {end}"] += 1
