"""The time-out recipe: what a till does when the line fails in the middle of a call.

Owns: the order of it: ask again with the same request id; look the redemption up by the merchant's
reference; then the caller decides whether to keep asking or to reverse. Refuses: that decision.
Rules: what is asked stands in the journal before the call goes out, and what came of it before the
caller is told. A reversal, refund, void or capture without an answer waits in the journal, and is
sent again by `catch_up` until it is answered, also by another process after a crash. UNKNOWN is
never told as a refusal, nor a refusal as UNKNOWN; so after an open attempt a refusal that is not
about the request itself, such as an expired token, is UNKNOWN too.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

import grpc

from timebank.client.merchant_views import RedemptionState, RedemptionView
from timebank.client.requests import new_request_id
from timebank.client.till_calls import NOT_ABOUT_THE_REQUEST, OutcomeOpenError
from timebank.client.till_records import SALES, Action, Intent, Sale, Verdict
from timebank.client.till_requests import (
    Purchase,
    capture_request,
    confirm_request,
    redeem_request,
    refund_request,
    reverse_request,
    void_request,
)
from timebank.client.till_session import SignedRequest, TillSession
from timebank.errors import Reason, TimebankError

LOOKUPS_MAX = 2
MEMBER_POLLS_MAX = 75
MEMBER_POLL_S = 1.0
"""A member has 60 seconds to confirm; the polls last a little longer."""


class TillVerdict(enum.StrEnum):
    """What a cashier may do: hand the goods out only when DONE."""

    DONE = "DONE"
    WAITING = "WAITING"
    REFUSED = "REFUSED"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True, kw_only=True)
class TillResult:
    """What came of an action. `redemption` is what the server said last, `error` why not."""

    action: Action
    merchant_ref: str
    verdict: TillVerdict
    redemption: RedemptionView | None = None
    error: TimebankError | None = None


class TillRecipes(TillSession):
    """Actions of a till that leave nobody in doubt for longer than the line is down."""

    async def redeem_for_sure(
        self, purchase: Purchase, *, merchant_ref: str = "", lookups_max: int = LOOKUPS_MAX
    ) -> TillResult:
        """Redeems, and finds out whether it worked.

        `merchant_ref` empty: a new sale; else the sale of that reference is asked for again, with
        the same purchase. UNKNOWN: hand nothing out; call again with result.merchant_ref to keep
        asking, or `reverse_for_sure` it. Raises VALIDATION_FAILED, SIGNING_KEY_MISSING,
        SIGNER_UNAVAILABLE and OSError (the journal) before anything was sent.
        """
        self._till_key()
        async with self._turn:
            journal = self.journal
            known = journal.intent_of(merchant_ref) if merchant_ref else None
            if merchant_ref and known is None:
                raise _refusal(f"merchant_ref: this till began no sale {merchant_ref[:80]!r}")
            request_id = known.request_id if known else new_request_id()
            reference = known.merchant_ref if known else journal.next_ref()
            request = redeem_request(
                self._names, purchase, merchant_ref=reference, request_id=request_id
            )
            intent = known or journal.intend(
                Action.REDEEM,
                merchant_ref=reference,
                request_id=request_id,
                offer=purchase.offer,
                quantity=purchase.quantity,
                amount=purchase.amount,
            )
            return await self._sale(intent, request, lookups_max, was_open=known is not None)

    async def confirm_for_sure(
        self, merchant_ref: str, pin: str, *, lookups_max: int = LOOKUPS_MAX
    ) -> TillResult:
        """Gives the member's PIN for a sale that waits for it, and finds out what came of it.

        REFUSED with PIN_INVALID: try again while the sale waits. Raises as `redeem_for_sure`.
        """
        self._till_key()
        async with self._turn:
            name = await self._name_of(merchant_ref)
            request_id = new_request_id()
            request = confirm_request(
                name, merchant_ref=merchant_ref, request_id=request_id, pin=pin
            )
            intent = self.journal.intend(
                Action.CONFIRM, merchant_ref=merchant_ref, request_id=request_id, name=name
            )
            return await self._sale(intent, request, lookups_max, was_open=False)

    async def reverse_for_sure(self, merchant_ref: str) -> TillResult:
        """Undoes a redemption, whether the server knows it or not.

        UNKNOWN: it waits in the journal, and `catch_up` sends it until it is answered. Raises as
        `redeem_for_sure`.
        """
        self._till_key()
        async with self._turn:
            waiting = next(
                (
                    one
                    for one in self.journal.to_send()
                    if one.action is Action.REVERSE and one.merchant_ref == merchant_ref
                ),
                None,
            )
            if waiting is not None:
                return await self._move(waiting, was_open=True)
            intent = self._intend_move(Action.REVERSE, merchant_ref)
            return await self._move(intent, was_open=False)

    async def refund_for_sure(self, merchant_ref: str, amount: int) -> TillResult:
        """Gives an amount back, in the redemption's unit; waits as a reversal does.

        Raises as `redeem_for_sure`, and what `lookup` raises for a sale of another till.
        """
        self._till_key()
        async with self._turn:
            name = await self._name_of(merchant_ref)
            op_ref = self.journal.next_op_ref()
            intent = self._intend_move(
                Action.REFUND, merchant_ref, name=name, op_ref=op_ref, amount=amount
            )
            return await self._move(intent, was_open=False)

    async def void_for_sure(self, merchant_ref: str) -> TillResult:
        """Releases what is held; waits as a reversal does. Raises as `refund_for_sure`."""
        self._till_key()
        async with self._turn:
            name = await self._name_of(merchant_ref)
            intent = self._intend_move(Action.VOID, merchant_ref, name=name)
            return await self._move(intent, was_open=False)

    async def capture_for_sure(
        self, merchant_ref: str, amount: int, *, final: bool = False
    ) -> TillResult:
        """Pays out of what is held; waits as a reversal does. Raises as `refund_for_sure`."""
        self._till_key()
        async with self._turn:
            name = await self._name_of(merchant_ref)
            op_ref = self.journal.next_op_ref()
            intent = self._intend_move(
                Action.CAPTURE, merchant_ref, name=name, op_ref=op_ref, amount=amount, final=final
            )
            return await self._move(intent, was_open=False)

    async def look_up(self, merchant_ref: str) -> TillResult:
        """Asks once what became of a sale, and writes the answer down. Raises as `lookup`."""
        async with self._turn:
            view = await self.lookup(merchant_ref)
            intent = self.journal.intent_of(merchant_ref)
            if intent is None or _says(self.journal.sale(merchant_ref), view):
                return _told(Action.REDEEM, view)
            return self._answered(intent, view)

    async def wait_for_member(self, merchant_ref: str) -> TillResult:
        """Asks again and again until the member has confirmed, or it is too late."""
        result = await self.look_up(merchant_ref)
        for _ in range(MEMBER_POLLS_MAX):
            if result.verdict is not TillVerdict.WAITING:
                break
            await self._call.repetition.sleep(MEMBER_POLL_S)
            result = await self.look_up(merchant_ref)
        return result

    async def catch_up(self) -> list[TillResult]:
        """Sends what waits and asks what is not known, once each; gives what is known now.

        Ends early when the server does not answer. A sale that the server has not got is given as
        UNKNOWN with REDEMPTION_NOT_FOUND. Raises SIGNING_KEY_MISSING, SIGNER_UNAVAILABLE, OSError.
        """
        results: list[TillResult] = []
        for intent in self.journal.to_send():
            async with self._turn:
                if intent not in self.journal.to_send():
                    continue
                result = await self._move(intent, was_open=True, attempts_max=1)
            if result.verdict is TillVerdict.UNKNOWN:
                return results
            results.append(result)
        for sale in self.journal.to_ask():
            async with self._turn:
                known = self.journal.sale(sale.merchant_ref)
                if known != sale:
                    continue
                try:
                    results += await self._news(sale)
                except OutcomeOpenError:
                    return results
        return results

    async def _sale(
        self, intent: Intent, request: SignedRequest, lookups_max: int, *, was_open: bool
    ) -> TillResult:
        try:
            view = await self._send(request, was_open=was_open)
        except OutcomeOpenError as error:
            return await self._looked_up(intent, error, lookups_max)
        except TimebankError as error:
            self.journal.conclude(intent, Verdict.REFUSED, error=error)
            return _failed(intent, TillVerdict.REFUSED, error)
        if view.state is RedemptionState.UNKNOWN:
            open_still = OutcomeOpenError(Reason.OUTCOME_UNKNOWN, "the ledger has not answered yet")
            return await self._looked_up(intent, open_still, lookups_max)
        return self._answered(intent, view)

    async def _looked_up(
        self, intent: Intent, error: TimebankError, lookups_max: int
    ) -> TillResult:
        """Looks a sale up a few times; a sale that is not there yet may still be under way."""
        for attempt in range(1, lookups_max + 1):
            try:
                view = await self.lookup(intent.merchant_ref, attempts_max=1)
                if view.state is not RedemptionState.UNKNOWN:
                    return self._answered(intent, view)
            except TimebankError as failure:
                error = failure
            if attempt < lookups_max:
                await self._call.pause(attempt)
        self.journal.conclude(intent, Verdict.UNKNOWN, error=error)
        return _failed(intent, TillVerdict.UNKNOWN, error)

    async def _move(
        self, intent: Intent, *, was_open: bool, attempts_max: int | None = None
    ) -> TillResult:
        """Sends a move that the journal holds; without an answer it stays there."""
        request = self._request_of(intent)
        try:
            view = await self._send(request, attempts_max=attempts_max, was_open=was_open)
        except TimebankError as error:
            stays = isinstance(error, OutcomeOpenError) or (
                intent.action is Action.REVERSE and _is_no_answer(error)
            )
            verdict = Verdict.UNKNOWN if stays else Verdict.REFUSED
            if not stays or not was_open:
                self.journal.conclude(intent, verdict, error=error)
            return _failed(intent, TillVerdict(verdict.value), error)
        return self._answered(intent, view)

    async def _news(self, sale: Sale) -> list[TillResult]:
        """Asks once about a sale; gives nothing while nothing is new. Raises OutcomeOpenError."""
        intent = self.journal.intent_of(sale.merchant_ref)
        if intent is None:
            return []
        try:
            view = await self.lookup(sale.merchant_ref, attempts_max=1)
        except OutcomeOpenError:
            raise
        except TimebankError as error:
            return [_failed(intent, TillVerdict.UNKNOWN, error)]
        if view.state in (sale.state, RedemptionState.UNKNOWN):
            return []
        return [self._answered(intent, view)]

    def _answered(self, intent: Intent, view: RedemptionView) -> TillResult:
        is_known = view.state is not RedemptionState.UNKNOWN
        verdict = Verdict.ANSWERED if is_known else Verdict.UNKNOWN
        self.journal.conclude(intent, verdict, view=view)
        return _told(intent.action, view)

    def _intend_move(
        self,
        action: Action,
        merchant_ref: str,
        *,
        name: str = "",
        op_ref: str = "",
        amount: int = 0,
        final: bool = False,
    ) -> Intent:
        return self.journal.intend(
            action,
            merchant_ref=merchant_ref,
            request_id=new_request_id(),
            name=name,
            op_ref=op_ref,
            amount=amount,
            final=final,
        )

    def _request_of(self, intent: Intent) -> SignedRequest:
        """Makes the request of a move out of the journal alone."""
        ref, id_ = intent.merchant_ref, intent.request_id
        match intent.action:
            case Action.REVERSE:
                return reverse_request(self._names, merchant_ref=ref, request_id=id_)
            case Action.VOID:
                return void_request(intent.name, merchant_ref=ref, request_id=id_)
            case Action.REFUND:
                return refund_request(
                    intent.name,
                    merchant_ref=ref,
                    request_id=id_,
                    op_ref=intent.op_ref,
                    amount=intent.amount,
                )
            case Action.CAPTURE:
                return capture_request(
                    intent.name,
                    merchant_ref=ref,
                    request_id=id_,
                    op_ref=intent.op_ref,
                    amount=intent.amount,
                    final=intent.final,
                )
            case other:
                raise AssertionError(f"unreachable: {other} is not sent again")

    async def _name_of(self, merchant_ref: str) -> str:
        """Gives the resource name of a sale, of another till too. Raises as `lookup`."""
        sale = self.journal.sale(merchant_ref)
        if sale is not None and sale.name:
            return sale.name
        return (await self.lookup(merchant_ref)).name


def _told(action: Action, view: RedemptionView) -> TillResult:
    """Says what an answer means for the cashier."""
    if view.state is RedemptionState.UNKNOWN:
        verdict = TillVerdict.UNKNOWN
    elif action not in (*SALES, Action.CONFIRM):
        verdict = TillVerdict.DONE
    elif view.state is RedemptionState.PENDING_MEMBER:
        verdict = TillVerdict.WAITING
    else:
        verdict = TillVerdict.REFUSED if view.state.is_ended else TillVerdict.DONE
    return TillResult(
        action=action, merchant_ref=view.merchant_ref, verdict=verdict, redemption=view
    )


def _failed(intent: Intent, verdict: TillVerdict, error: TimebankError) -> TillResult:
    return TillResult(
        action=intent.action, merchant_ref=intent.merchant_ref, verdict=verdict, error=error
    )


def _says(sale: Sale | None, view: RedemptionView) -> bool:
    """Says whether the journal says already what the server says."""
    return sale is not None and (
        sale.state,
        sale.captured_amount,
        sale.refunded_amount,
        sale.business_date,
    ) == (view.state, view.captured_amount, view.refunded_amount, view.business_date)


def _is_no_answer(error: TimebankError) -> bool:
    """Says whether a refusal is about this till's standing or the way, not about the request."""
    malformed = grpc.StatusCode.INVALID_ARGUMENT.name
    return error.reason in NOT_ABOUT_THE_REQUEST and error.metadata.get("code") != malformed


def _refusal(message: str) -> TimebankError:
    return TimebankError(Reason.VALIDATION_FAILED, message, field="merchant_ref")
