"""Redemptions: the intent is written first, then the ledger is asked, then its answer is taken in.

What a crash, a lost answer or a client that goes away leaves between these is finished by whoever
comes next: a repeated call, a look-up, or the sweeper. Until then a redemption says that its
outcome is not known, never a guess.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
from typing import NamedTuple, cast

import structlog

from merchant.domain.documents import Merchant, Redemption
from merchant.domain.places import Key
from merchant.domain.redemption_begin import Begin, begin, quote
from merchant.domain.redemption_effects import RELEASED
from merchant.domain.redemption_finish import Finish, finish
from merchant.domain.redemption_moves import (
    Confirm,
    Event,
    Move,
    confirm,
    move,
    outcome_of,
    reverse,
)
from merchant.domain.states import DocumentKind, Method, RedemptionState
from merchant.domain.velocity import CONTROLS_ID
from merchant.ledger_client import Accounts, LedgerUnavailable
from merchant.usecases.programmes import Programme, Programmes, carry_out
from timebank.auth import Call
from timebank.errors import Reason, TimebankError

K = DocumentKind
_LOG = structlog.get_logger("merchant.redemptions")
ATTEMPTS_MAX = 3
"""Times that a move waits for an earlier question to be answered."""


class Outcome(NamedTuple):
    """A redemption as it stands, and whether the call was a repetition."""

    redemption: Redemption
    replayed: bool = False


def redemption_id_of(merchant_id: str, merchant_ref: str) -> str:
    """Names the redemption of a merchant's reference."""
    digest = hashlib.sha256(merchant_ref.encode()).hexdigest()[:32]
    return f"{merchant_id}/{digest}"


class Redemptions:
    """The life of redemptions."""

    def __init__(self, programmes: Programmes) -> None:
        self._programmes = programmes
        self._settling: set[asyncio.Future[Redemption]] = set()

    async def begin(
        self, programme: Programme, command: Begin, *, request_id: bytes, call: Call
    ) -> Outcome:
        """Authorises or redeems. Raises the reasons of `redemption_begin` and of the ledger."""
        answer = await carry_out(
            programme,
            functools.partial(begin, command=command),
            call=call,
            request_id=request_id,
            said=("begin", command.redemption_id, command.fingerprint, command.payer),
            hints=self._hints_of_beginning(programme, command),
        )
        redemption = await self.settled(programme, cast("Redemption", answer.document))
        raise_declined(redemption)
        return Outcome(redemption, answer.replayed)

    async def quote(self, programme: Programme, command: Begin) -> Redemption:
        """Says what a redemption would be.

        Raises what would refuse it, and OUTCOME_UNKNOWN when the ledger does not say whether the
        member has enough.
        """
        answer = await carry_out(programme, functools.partial(quote, command=command))
        would = cast("Redemption", answer.document)
        if would.payer_account:
            try:
                await programme.ledger.check_pays(would.payer_account, would.amount)
            except LedgerUnavailable as error:
                raise _unknown() from error
        return would

    @staticmethod
    def _hints_of_beginning(programme: Programme, command: Begin) -> tuple[Key, ...]:
        merchant_id = command.redemption_id.partition("/")[0]
        hints = _hints(command.redemption_id, command.terminal, command.offer)
        more: list[Key] = [(K.TRIES, command.terminal), (K.CONTROLS, CONTROLS_ID)]
        if command.payer.method is Method.PAYMENT_CODE:
            more.append((K.CODE, command.payer.digest))
        if merchant_id in programme.budgets:
            more.append((K.BUDGET, programme.budgets[merchant_id]))
        return (*hints, *more)

    async def confirm(
        self, programme: Programme, command: Confirm, *, request_id: bytes, call: Call
    ) -> Outcome:
        """Goes on after somebody's yes."""
        said = (command.redemption_id, command.method, command.member_id, command.officer)
        answer = await carry_out(
            programme,
            functools.partial(confirm, command=command),
            call=call,
            request_id=request_id,
            said=("confirm", *said),
        )
        redemption = await self.settled(programme, cast("Redemption", answer.document))
        raise_declined(redemption)
        return Outcome(redemption, answer.replayed)

    async def move(
        self, programme: Programme, command: Move, *, request_id: bytes, call: Call
    ) -> Outcome:
        """Captures, voids or refunds; an earlier question is answered first."""
        for _ in range(ATTEMPTS_MAX):
            try:
                answer = await carry_out(
                    programme,
                    functools.partial(move, command=command),
                    call=call,
                    request_id=request_id,
                    said=command,
                )
                break
            except TimebankError as error:
                if error.reason is not Reason.OUTCOME_UNKNOWN:
                    raise
                await self.look(programme, command.redemption_id)
        else:
            raise _unknown()
        redemption = await self.settled(programme, cast("Redemption", answer.document))
        done = outcome_of(redemption, command.op_ref) if command.op_ref else None
        if done is not None and done.reason:
            raise TimebankError(Reason(done.reason), done.message)
        return Outcome(redemption, answer.replayed)

    async def reverse(
        self,
        programme: Programme,
        merchant_id: str,
        merchant_ref: str,
        *,
        request_id: bytes,
        call: Call,
    ) -> Outcome:
        """Reverses by the merchant's reference, whether it arrived or not."""
        redemption_id = redemption_id_of(merchant_id, merchant_ref)
        rule = functools.partial(
            reverse,
            redemption_id=redemption_id,
            merchant_ref=merchant_ref,
            zone=programme.zone,
        )
        for _ in range(ATTEMPTS_MAX):
            try:
                answer = await carry_out(
                    programme,
                    rule,
                    call=call,
                    request_id=request_id,
                    said=("reverse", redemption_id),
                )
                break
            except TimebankError as error:
                if error.reason is not Reason.OUTCOME_UNKNOWN:
                    raise
                await self.look(programme, redemption_id)
        else:
            raise _unknown()
        redemption = await self.settled(programme, cast("Redemption", answer.document))
        if redemption.state not in RELEASED and (answer.replayed or not redemption.reason):
            # Its hold ran out meanwhile: what was captured goes back now, also when an earlier
            # call did not live to do it.
            again = await carry_out(programme, rule)
            redemption = await self.settled(programme, cast("Redemption", again.document))
        if redemption.state not in RELEASED and redemption.reason:
            raise TimebankError(Reason(redemption.reason), redemption.message)
        return Outcome(redemption, answer.replayed)

    async def look(self, programme: Programme, redemption_id: str) -> Redemption:
        """Reads a redemption, asking the ledger first when a question is open.

        Raises REDEMPTION_NOT_FOUND, OUTCOME_UNKNOWN.
        """
        found = await self._programmes.find(programme, K.REDEMPTION, redemption_id)
        if found is None:
            raise TimebankError(Reason.REDEMPTION_NOT_FOUND, f"no redemption {redemption_id}")
        return await self.settled(programme, cast("Redemption", found))

    async def settled(self, programme: Programme, redemption: Redemption) -> Redemption:
        """Asks the ledger what is open and takes its answer in; a client that goes away does not
        stop it. Raises OUTCOME_UNKNOWN while the ledger does not answer.
        """
        if redemption.pending is None:
            return redemption
        settling = asyncio.ensure_future(self._settle(programme, redemption))
        self._settling.add(settling)
        settling.add_done_callback(self._settled)
        return await asyncio.shield(settling)

    def _settled(self, settling: asyncio.Future[Redemption]) -> None:
        """Forgets what has ended; its caller may have gone away, and then nobody else looks."""
        self._settling.discard(settling)
        fault = None if settling.cancelled() else settling.exception()
        if fault is not None and not isinstance(fault, TimebankError):
            _LOG.error("settling failed", exc_info=fault)

    async def _settle(self, programme: Programme, redemption: Redemption) -> Redemption:
        pending = redemption.pending
        assert pending is not None, "somebody asked for it"
        accounts = await self._accounts(programme, redemption)
        try:
            said = await programme.ledger.ask(redemption, accounts)
        except LedgerUnavailable as error:
            raise _unknown() from error
        answer = Finish(
            redemption.redemption_id,
            pending.request_id,
            programme.zone,
            said.hold,
            said.entries,
            said.reason,
            said.message,
        )
        written = await carry_out(
            programme,
            functools.partial(finish, command=answer),
            hints=(
                *_hints(redemption.redemption_id, redemption.terminal, redemption.offer),
                *((K.COUNTER, counter) for counter in redemption.counters),
                *((K.BUDGET, budget) for budget in programme.budgets.values()),
            ),
        )
        return cast("Redemption", written.document)

    async def _accounts(self, programme: Programme, redemption: Redemption) -> Accounts:
        merchant_id = redemption.redemption_id.partition("/")[0]
        found = programme.merchants.get(merchant_id)
        if found is None:
            document = await self._programmes.find(programme, K.MERCHANT, merchant_id)
            merchant = cast("Merchant", document)
            found = Accounts(merchant.points_account, merchant.time_account, merchant.fund_account)
            programme.merchants[merchant_id] = found
            programme.budgets[merchant_id] = merchant.budget
        return found

    async def expire(self, programme: Programme, redemption: Redemption) -> None:
        """Ends a redemption whose time is over; one that moved meanwhile is left alone."""
        command = Move(redemption.redemption_id, Event.EXPIRE, programme.zone)
        answer = await carry_out(programme, functools.partial(move, command=command))
        await self.settled(programme, cast("Redemption", answer.document))


def _hints(redemption_id: str, terminal: str, offer: str) -> tuple[tuple[int, str], ...]:
    merchant_id = redemption_id.partition("/")[0]
    return (
        (K.REDEMPTION, redemption_id),
        (K.MERCHANT, merchant_id),
        (K.TERMINAL, terminal),
        (K.OFFER, offer),
    )


def raise_declined(redemption: Redemption) -> None:
    """Tells a caller that the ledger declined what it asked for."""
    if redemption.state is RedemptionState.DECLINED:
        raise TimebankError(
            Reason(redemption.reason), redemption.message, merchant_ref=redemption.merchant_ref
        )


def _unknown() -> TimebankError:
    return TimebankError(
        Reason.OUTCOME_UNKNOWN,
        "the ledger has not answered yet: repeat the call with the same request id, or look the"
        " redemption up by its merchant reference",
    )
