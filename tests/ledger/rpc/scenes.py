"""A ledger with one of everything that a call can meet, for the tables of refusals.

Owns the accounts, holds and entries by the words of the tables, and the state that a refused call
must leave as it was.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.support.commands import (
    FUND,
    HOURS,
    ISSUANCE,
    MERCHANT,
    OPENING,
    POINTS,
    REDEMPTION,
    TIME,
    TRANSFER,
    capture,
    hold,
    leg,
    new_id,
    opening,
    post,
)
from tests.support.ledgers import LedgerWorld
from timebank.auth import Principal, PrincipalKind
from timebank.errors import Reason
from timebank.ledger.v1 import command_pb2, ledger_service_pb2, log_service_pb2

UNKNOWN_ID = "0" * 26
USED_KEY = "order-1"
MEMBER_CALLER = Principal(PrincipalKind.MEMBER, "alice")
SHOP_CALLER = Principal(PrincipalKind.MERCHANT, "shop")


@dataclass
class Scene:
    """The ledger, after its opening was closed."""

    world: LedgerWorld
    accounts: dict[str, str] = field(default_factory=dict)
    holds: dict[str, str] = field(default_factory=dict)
    entries: dict[str, str] = field(default_factory=dict)
    used_id: str = field(default_factory=new_id)
    stale_etag: str = ""

    @property
    def parent(self) -> str:
        """The ledger."""
        return self.world.name

    def account(self, word: str) -> str:
        """An account; `unknown` is none of this ledger's."""
        return self.accounts.get(word) or f"{self.parent}/accounts/{UNKNOWN_ID}"

    def a_hold(self, word: str) -> str:
        """A hold; `unknown` is none of this ledger's."""
        return self.holds.get(word) or f"{self.parent}/holds/{UNKNOWN_ID}"

    def an_entry(self, word: str) -> str:
        """An entry; `unknown` is beyond the log."""
        return self.entries.get(word) or f"{self.parent}/entries/999999"

    def redemption(self, amount: int = 1, **fields: Any) -> command_pb2.PostCommand:
        """A redemption that would succeed."""
        return post(REDEMPTION, self.account("alice"), self.account("shop"), amount, **fields)

    def legs(self, *legs: command_pb2.PostingDraft, **fields: Any) -> command_pb2.PostCommand:
        """A redemption of these postings."""
        return command_pb2.PostCommand(kind=REDEMPTION, postings=legs, **fields)

    def leg(
        self, word: str, amount: int, unit: int = POINTS, expires: Any = None
    ) -> command_pb2.PostingDraft:
        """One posting on an account of the scene."""
        return leg(self.account(word), amount, unit, expires)

    def request(self, method: str, **fields: Any) -> Any:
        """A request of a method, with a parent and a new request id where it has them."""
        module = log_service_pb2 if method in LOG_METHODS else ledger_service_pb2
        kind = getattr(module, f"{method}Request")
        known = kind.DESCRIPTOR.fields_by_name
        values: dict[str, Any] = {}
        if "parent" in known:
            values["parent"] = self.parent
        if "request_id" in known:
            values["request_id"] = new_id()
        return kind(**(values | fields))

    def call(self, method: str, /, *, caller: Principal | None = None, **fields: Any) -> Any:
        """Calls a method as the operator over the network, or as somebody else."""
        request = self.request(method, **fields)
        stub: Any = self.world.log if method in LOG_METHODS else self.world.stub
        if caller is not None:
            other = method in LOG_METHODS
            stub = self.world.log_of(caller) if other else self.world.calls_as(caller)
        return getattr(stub, method)(request)

    async def standing(self) -> tuple[int, bytes]:
        """The size of the log and every account with its balances."""
        accounts = await self.call("ListAccounts", page_size=1_000)
        return await self.world.size(), accounts.SerializeToString(deterministic=True)


LOG_METHODS = {"GetCheckpoint", "GetInclusionProof", "GetConsistencyProof", "GetReceipt"}


class Refusal(NamedTuple):
    """One row of a table: a call of a method that must be refused, and why."""

    method: str
    reason: Reason
    about: str
    call: Callable[[Scene], Awaitable[Any]]


async def build_scene(world: LedgerWorld, kind: type[Scene] = Scene) -> Scene:
    """Makes the scene and closes the opening."""
    scene = kind(world)
    await _open_accounts(scene)
    await _make_holds(scene)
    await _make_entries(scene)
    request = scene.request("PostEntry", request_id=scene.used_id, post=scene.redemption(2))
    await world.stub.PostEntry(request)
    await world.stub.CloseOpening(
        ledger_service_pb2.CloseOpeningRequest(name=world.name, request_id=new_id())
    )
    return scene


async def _open_accounts(scene: Scene) -> None:
    world, named = scene.world, scene.accounts
    named["alice"] = await world.open("alice", balance=1_000)
    named["bob"] = await world.open("bob", balance=50)
    named["empty"] = await world.open("empty")
    named["alice-time"] = await world.open("alice", TIME, balance=600)
    named["bob-time"] = await world.open("bob", TIME)
    named["capped"] = await world.open("capped", TIME, max_balance=5)
    # What is issued stays within 64 bits; a balance beyond needs somebody else below 0.
    named["full"] = await world.open("full", TIME, balance=2**63 - 1_000)
    named["debtor"] = await world.open("debtor", TIME, min_balance=-5_000)
    named["hours"] = await world.open("alice", HOURS, balance=60)
    named["shop"] = await world.open("shop", POINTS, MERCHANT)
    named["shop-fund"] = await world.open("shop", FUND, MERCHANT)
    for word in ("frozen", "frozen-time", "closed", "closed-shop"):
        unit = TIME if word.endswith("time") else POINTS
        kind = MERCHANT if word.endswith("shop") else 1
        balance = 30 if word.startswith("frozen") else 0
        named[word] = await world.open(word, unit, kind, balance=balance)
    for word in ("frozen", "frozen-time"):
        await world.freeze(named[word])
    for word in ("closed", "closed-shop"):
        await world.close(named[word])
    named["issuance"] = world.system[ISSUANCE, POINTS]
    scene.stale_etag = (await world.account(named["bob"])).etag
    await world.freeze(named["bob"])
    await world.unfreeze(named["bob"])


async def _make_holds(scene: Scene) -> None:
    world, held = scene.world, scene.holds
    alice, shop = scene.account("alice"), scene.account("shop")
    for word in ("captured", "voided"):
        held[word] = await world.hold(hold(alice, 10))
    held["expired"] = await world.hold(hold(alice, 10, seconds=60))
    await world.capture(capture(held["captured"], shop, 10))
    await world.void(held["voided"])
    world.clock.advance(seconds=61)
    # Any command on the account enters what is due on it.
    await world.post(scene.redemption())
    held["live"] = await world.hold(hold(alice, 20))
    held["debtor"] = await world.hold(hold(scene.account("debtor"), 1_000, TIME))
    held["time"] = await world.hold(hold(scene.account("alice-time"), 20, TIME))


async def _make_entries(scene: Scene) -> None:
    world, entries = scene.world, scene.entries
    alice, shop = scene.account("alice"), scene.account("shop")
    for word in ("redemption", "reversed", "refunded"):
        entries[word] = (await world.post(post(REDEMPTION, alice, shop, 10))).result.entry
    await world.reverse(entries["reversed"])
    refunded = await world.refund(entries["refunded"], 4)
    entries["refund"] = refunded.result.entry
    entries["keyed"] = (await world.post(scene.redemption(3, natural_key=USED_KEY))).result.entry
    await world.refund(entries["redemption"], 1, natural_key=USED_KEY)
    times = scene.account("alice-time"), scene.account("bob-time")
    entries["spent"] = (await world.post(post(TRANSFER, *times, 30, TIME))).result.entry
    await world.post(post(TRANSFER, times[1], times[0], 30, TIME))
    three = [scene.leg("alice", -3), scene.leg("bob", -3), scene.leg("shop", 6)]
    entries["three"] = (await world.post(scene.legs(*three))).result.entry
    entries["fact"] = f"{world.name}/entries/0"
    world_post = post(OPENING, world.system[ISSUANCE, POINTS], scene.account("empty"), 7)
    entries["given"] = (await world.post(world_post)).result.entry
    await world.post(post(REDEMPTION, scene.account("empty"), shop, 7))
    for word in ("first-closed", "second-closed"):
        account = await world.open(word, balance=5)
        entries[word] = (await world.post(post(REDEMPTION, account, shop, 5))).result.entry
        await world.close(account)
    await world.stub.CreateAccount(
        scene.request("CreateAccount", open_account=opening("keyed", natural_key=USED_KEY))
    )
