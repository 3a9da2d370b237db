"""The ledger in the merchant's words: what is asked of it for a redemption, and what it says.

Owns: which commands a step is, how an answer reads, and the accounts of members and merchants.
Refuses: deciding anything. A question keeps its request id, so asking again gives the same answer.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

import grpc.aio

from merchant.domain.documents import Redemption
from merchant.domain.redemption_finish import shares_of_refund
from merchant.domain.states import OfferUnit, Step
from timebank.client import (
    AccountKind,
    AccountState,
    CaptureHold,
    Command,
    CreateHold,
    EntryKind,
    HoldKind,
    LedgerClient,
    Post,
    Refund,
    Unit,
    VoidHold,
    move,
)
from timebank.client.calls import Caller
from timebank.errors import MEANINGS, Reason, TimebankError

TIMEOUT_S = 5.0
"""How long one question waits; the sweeper asks again."""
_UNKNOWN_STATUSES = frozenset(
    {"UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "UNAUTHENTICATED"}
)
"""Statuses that say nothing about whether a question was carried out, or that it was not yet."""
_ENDED = {
    AccountState.FROZEN: Reason.ACCOUNT_FROZEN,
    AccountState.CLOSED: Reason.ACCOUNT_CLOSED,
}
_UNITS = {OfferUnit.POINTS: Unit.POINTS, OfferUnit.TIME: Unit.TIME}


class Accounts(NamedTuple):
    """The accounts of a member or a merchant, by resource name."""

    points: str
    time: str
    fund: str = ""


class Said(NamedTuple):
    """The ledger's answer to a step: names of entries and of a new hold, or why it declined."""

    hold: str = ""
    entries: tuple[str, ...] = ()
    reason: str = ""
    message: str = ""


class LedgerUnavailable(Exception):
    """Nobody knows yet whether a step was carried out."""


class Ledger:
    """One ledger as the merchant service asks it."""

    def __init__(self, ledger_id: str, channel: grpc.aio.Channel, token: Callable[[], str] | None):
        call = Caller(timeout_s=TIMEOUT_S, token=token)
        self.client = LedgerClient.on_channel(channel, ledger=ledger_id, call=call)
        self.ledger_id = ledger_id

    async def time_zone(self) -> str:
        """Gives the ledger's time zone. Raises LEDGER_NOT_FOUND."""
        return (await self.client.get_ledger()).time_zone

    async def member_accounts(self, member_id: str) -> Accounts:
        """Gives the accounts of a member. Raises MEMBER_NOT_FOUND."""
        member = await self.client.get_member(member_id)
        return Accounts(member.points_account, member.time_account)

    async def home_unit(self, member_id: str) -> str:
        """Gives the unit that a member belongs to, empty for none. Raises MEMBER_NOT_FOUND."""
        return (await self.client.get_member(member_id)).home_unit or ""

    async def open_merchant(self, merchant_id: str, debt_points_max: int) -> Accounts:
        """Opens the accounts of a merchant, or finds them. Its POINTS may fall below zero by what
        is refunded after a settlement.
        """
        limits = {Unit.POINTS: -debt_points_max, Unit.TIME: 0, Unit.FUND: 0}
        names = []
        for unit, minimum in limits.items():
            account = await self.client.create_account(
                holder=merchant_id,
                unit=unit,
                kind=AccountKind.MERCHANT,
                min_balance=minimum,
                natural_key=f"merchant/{merchant_id}/{unit.name}",
            )
            names.append(account.name)
        return Accounts(*names)

    async def check_pays(self, account: str, amount: int) -> None:
        """Refuses what an account cannot pay now. Raises ACCOUNT_FROZEN, ACCOUNT_CLOSED,
        INSUFFICIENT_BALANCE, LedgerUnavailable.
        """
        try:
            found = await self.client.get_account(account)
        except TimebankError as error:
            if MEANINGS[error.reason].status.name in _UNKNOWN_STATUSES:
                raise LedgerUnavailable(error.message) from error
            raise
        reason = _ENDED.get(found.state)
        if reason is not None:
            raise TimebankError(reason, f"the member's account is {found.state}")
        if found.available < amount:
            raise TimebankError(
                Reason.INSUFFICIENT_BALANCE,
                f"the member has less than the {amount} that this costs",
            )

    async def ask(self, redemption: Redemption, merchant: Accounts) -> Said:
        """Asks what is open for a redemption. Raises LedgerUnavailable."""
        pending = redemption.pending
        assert pending is not None, "only an open question is asked"
        commands = commands_of(redemption, merchant)
        if not commands:
            return Said()
        try:
            result = await self.client.execute(commands, request_id=pending.request_id)
        except TimebankError as error:
            if MEANINGS[error.reason].status.name in _UNKNOWN_STATUSES:
                raise LedgerUnavailable(error.message) from error
            reason = error.metadata.get("failed_reason") or error.reason.value
            return Said(reason=reason, message=error.message)
        holds = [item.hold for item in result.results if item.hold]
        entries = tuple(item.entry for item in result.results)
        return Said(hold=holds[0] if holds else "", entries=entries)


def commands_of(redemption: Redemption, merchant: Accounts) -> list[Command]:
    """Gives the chain of commands that a step is; empty when the ledger has nothing to do."""
    pending = redemption.pending
    assert pending is not None, "only an open question is asked"
    payee = merchant.points if redemption.unit is OfferUnit.POINTS else merchant.time
    cause = f"redemptions/{redemption.redemption_id}"
    key = f"{redemption.redemption_id}/{pending.request_id}"
    unit = _UNITS[redemption.unit]
    match pending.step:
        case Step.REDEEM:
            postings = move(
                debit=redemption.payer_account, credit=payee, unit=unit, amount=pending.amount
            )
            return [
                Post(kind=EntryKind.REDEMPTION, postings=postings, natural_key=key, cause=cause)
            ]
        case Step.AUTHORIZE:
            return [
                CreateHold(
                    account=redemption.payer_account,
                    kind=HoldKind.TILL,
                    unit=unit,
                    amount=pending.amount,
                    expire_time=_moment(redemption.expires_us),
                    cause=cause,
                    natural_key=key,
                )
            ]
        case Step.CAPTURE:
            return [
                CaptureHold(
                    hold=redemption.hold,
                    to_account=payee,
                    amount=pending.amount,
                    entry_kind=EntryKind.REDEMPTION,
                    final=pending.final,
                    cause=cause,
                    natural_key=key,
                )
            ]
        case Step.VOID | Step.EXPIRE:
            return [VoidHold(hold=redemption.hold)]
        case Step.REFUND:
            return _refunds(redemption, pending.amount, key)
        case Step.REVERSE:
            back: list[Command] = _refunds(
                redemption, redemption.captured - redemption.refunded, key
            )
            live = redemption.hold and redemption.captured < redemption.amount
            still = redemption.state.name in ("AUTHORIZED", "PARTIALLY_CAPTURED")
            return [*back, VoidHold(hold=redemption.hold)] if live and still else back


def _refunds(redemption: Redemption, amount: int, key: str) -> list[Command]:
    return [
        Refund(entry=redemption.captures[place].entry, amount=part, natural_key=f"{key}/{place}")
        for place, part in shares_of_refund(redemption, amount)
    ]


@functools.lru_cache(maxsize=1024)
def _moment(time_us: int) -> datetime:
    seconds, rest_us = divmod(time_us, 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest_us)
