"""The shop of the benchmark: one till, members who have points and a fresh payment code each.

Owns: the ledger, its members, the shop, and the load that redeems. Rules: each member pays once,
with a code that was issued for it just before; every call is signed by the till.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import grpc.aio

from timebank.bench.sites import Pair
from timebank.bench.workloads import TIMEOUT_S, Load, Step, workload
from timebank.channels import open_channel
from timebank.client import (
    AccountKind,
    Chain,
    EntryKind,
    LedgerClient,
    Post,
    Unit,
    move,
    raw_hours,
    raw_till,
)
from timebank.client.names import Names
from timebank.client.raw_till import Till
from timebank.client.till_keys import read_key
from timebank.client.tills import TillClient

LEDGER = "bench-shop"
MEMBERS_MAX = 12_000
POINTS = 100
LIMIT_FEN = 10_000_000
AT_ONCE = 64
GRANTS = 1_000
"""Members of one call that gives points."""
Call: TypeAlias = grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Shop:
    """A till that is enrolled, where its key is, and the members who pay."""

    till: Till
    key_file: Path
    members: tuple[str, ...]


async def each(names: Sequence[str], work: Callable[[str], Awaitable[None]]) -> None:
    """Does a piece of work for each name, many at once."""
    left = iter(names)

    async def worker() -> None:
        for name in left:
            await work(name)

    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))


async def build_shop(
    pair: Pair, origin: str, folder: Path, tell: Callable[[str], None], *, members_count: int
) -> Shop:
    """Creates the ledger with members who have points, and opens the shop."""
    address = pair.ledger.address
    names = Names(LEDGER)
    till = Till.of(names.ledger, "shop")
    members = tuple(f"p-{number:05d}" for number in range(members_count))
    async with (
        LedgerClient.connect(address, ledger=LEDGER, timeout_s=TIMEOUT_S) as client,
        open_channel(address) as channel,
        open_channel(pair.merchant.address) as merchant_channel,
    ):
        await client.create_ledger(display_name="Benchmark 商户", log_origin=origin)
        tell(f"redeem: registering {members_count:,} members")
        register: Call = channel.unary_unary(raw_hours.REGISTER_MEMBER)

        async def join(member_id: str) -> None:
            request = raw_hours.register_request(names, member_id, str(uuid.uuid4()))
            await register(request, timeout=TIMEOUT_S)

        await each(members, join)
        tell("redeem: giving points")
        await _grant(client)
        code = await _open(merchant_channel, till)
    key_file = folder / "till.pem"
    async with TillClient.connect(
        pair.merchant.address, terminal=till.terminal, key_file=key_file
    ) as client_till:
        await client_till.enrol(code)
    return Shop(till, key_file, members)


async def _open(channel: grpc.aio.Channel, till: Till) -> str:
    """Makes the shop and its till; gives the enrolment code."""
    for method, request in raw_till.shop_requests(till, limit_fen=LIMIT_FEN):
        call: Call = channel.unary_unary(method)
        await call(request, timeout=TIMEOUT_S)
    make: Call = channel.unary_unary(raw_till.CREATE_TERMINAL)
    return raw_till.enrolment_code_in(await make(raw_till.terminal_request(till)))


async def _grant(client: LedgerClient) -> None:
    issuance = await anext(client.list_accounts(kind=AccountKind.ISSUANCE, unit=Unit.POINTS))
    accounts = [
        account.name
        async for account in client.list_accounts(kind=AccountKind.MEMBER, unit=Unit.POINTS)
    ]
    for start in range(0, len(accounts), GRANTS):
        chains = [
            Chain(
                commands=[
                    Post(
                        kind=EntryKind.OPENING_BALANCE,
                        postings=move(
                            debit=issuance.name, credit=account, unit=Unit.POINTS, amount=POINTS
                        ),
                    )
                ]
            )
            for account in accounts[start : start + GRANTS]
        ]
        await client.batch_execute(chains)


async def issue_codes(address: str, shop: Shop, members: Sequence[str]) -> tuple[str, ...]:
    """Issues a payment code for each member; they pay for a minute."""
    codes: dict[str, str] = {}
    async with open_channel(address) as channel:
        issue: Call = channel.unary_unary(raw_till.ISSUE_CODE)

        async def give(member_id: str) -> None:
            request = raw_till.code_request(shop.till.ledger, member_id)
            codes[member_id] = raw_till.code_in(await issue(request, timeout=TIMEOUT_S))

        await each(members, give)
    return tuple(codes[member] for member in members)


@workload("redeem")
async def prepare_redeem(load: Load) -> Step:
    """Redeems one piece a call with RedeemPoints, each with the next payment code of the plan.

    The plan's debit accounts are codes; its credit accounts the shop's id and the till's key file.
    """
    plan = load.plan
    channel: grpc.aio.Channel = open_channel(plan.address)
    load.resources.push_async_callback(channel.close)
    redeem: Call = channel.unary_unary(raw_till.REDEEM)
    shop_id, key_file = plan.credit_accounts
    till = Till.of(Names(plan.ledger).ledger, shop_id)
    key = read_key(Path(key_file))

    def sign(text: bytes) -> str:
        return base64.urlsafe_b64encode(key.sign(text)).decode("ascii").rstrip("=")

    now_s = int(time.time())
    prepared = [
        raw_till.redeem_request(till, code, f"{plan.seed}-{number}", timestamp_s=now_s, sign=sign)
        for number, code in enumerate(plan.debit_accounts)
    ]
    coming = itertools.chain(prepared)

    async def step() -> int:
        request = next(coming)
        await redeem(request.data, metadata=request.metadata, timeout=TIMEOUT_S)
        return 1

    return step
