"""Calls of tills and back offices as the audit log sees them.

Owns: which methods are watched, and how a request is read for a line. Refuses: changing an answer
or a refusal: both pass through as they are.
Rules: a call that is cancelled, because its caller went away or its deadline passed, has a line
too: what it asked for may have been done, or refused, and nobody was told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc.aio

from merchant.rpc.signed_calls import TERMINAL_KEY
from merchant.usecases.audit_trail import Asked, AuditTrail, is_act
from merchant.usecases.wallets import Typed
from timebank.auth import calling
from timebank.errors import TimebankError

Context = grpc.aio.ServicerContext[Any, Any]
Behaviour = Callable[[Any, Context], Awaitable[Any]]
AUDITED = (
    *("QuoteRedemption", "AuthorizeRedemption", "RedeemPoints", "ConfirmRedemption"),
    *("ConfirmByMember", "ApproveAssistedRedemption", "CaptureRedemption", "VoidRedemption"),
    *("ReverseRedemption", "RefundRedemption", "IssueVoucher", "CollectVoucher"),
    *("SetPin", "BlockCard"),
    *("EnrollTerminal", "RotateTerminalKey", "SuspendTerminal", "ResumeTerminal"),
)


def audit(servicer: object, trail: AuditTrail) -> None:
    """Has the methods of a servicer watched; do it before the servicer is added to the server."""
    for method in AUDITED:
        behaviour = getattr(servicer, method, None)
        if behaviour is not None:
            setattr(servicer, method, _watched(method, behaviour, trail))


def _watched(method: str, behaviour: Behaviour, trail: AuditTrail) -> Behaviour:
    acts = is_act(method)

    async def answered(request: Any, context: Context) -> Any:
        try:
            answer = await behaviour(request, context)
        except TimebankError as error:
            await trail.refused(_asked(method, request, context), error)
            raise
        if acts and not getattr(answer, "replayed", False):
            trail.done(_asked(method, request, context))
        return answer

    async def call(request: Any, context: Context) -> Any:
        try:
            return await answered(request, context)
        except asyncio.CancelledError:
            # Also while the line of a refusal is prepared: who guesses codes may hang up early.
            trail.cancelled(_asked(method, request, context))
            raise

    return call


def _asked(method: str, request: Any, context: Context) -> Asked:
    resource = getattr(request, "name", "") or getattr(request, "parent", "")
    terminal = getattr(request, "terminal", "")
    if not isinstance(terminal, str) or not terminal:
        metadata = {str(key): value for key, value in context.invocation_metadata() or ()}
        terminal = str(metadata.get(TERMINAL_KEY, ""))
    call = calling()
    principal = call.principal.name if call and call.principal else ""
    officer = getattr(request, "officer", "")
    return Asked(
        method,
        resource.split("/")[1] if resource.startswith("ledgers/") else "",
        resource,
        terminal,
        getattr(request, "merchant_ref", ""),
        getattr(request, "request_id", ""),
        principal,
        officer or (call.actor if call else ""),
        Typed(getattr(request, "payment_code", ""), getattr(request, "card_number", "")),
    )
