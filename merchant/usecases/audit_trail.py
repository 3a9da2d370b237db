"""The audit log of the merchant service: who was refused for what, what needs two people, and who
went away before the answer.

Owns: which refusals and acts have a line, and what stands on it. Refuses: codes, card numbers, PINs
and their digests, and whatever names a member. Rules: the cause of a refused code is here and
nowhere else; every refused code makes the same look-ups, so that its cause cannot be told from how
long the answer took; a stored refusal of a code that is read again is no new try and has no line.
"""

from __future__ import annotations

from typing import NamedTuple

from structlog.typing import FilteringBoundLogger

from merchant.domain.payers import Cause, PayerRefused
from merchant.metrics import MerchantMetricFamilies
from merchant.usecases.wallets import Typed, Wallets
from timebank.errors import Reason, TimebankError

TEXT_CHARACTERS_MAX = 200
"""What a caller sent is cut to so many characters: some of it was refused before it was checked."""
_MEMBERS = "members"
_REFUSALS = {
    Reason.PIN_INVALID: ("PIN refused", "WRONG"),
    Reason.PIN_LOCKED: ("PIN refused", "LOCKED"),
    Reason.TERMINAL_SUSPENDED: ("terminal refused", "SUSPENDED"),
    Reason.TERMINAL_SIGNATURE_INVALID: ("signature refused", "INVALID"),
    Reason.ENROLMENT_CODE_INVALID: ("enrolment refused", "INVALID"),
    Reason.FOUR_EYES_REQUIRED: ("approval refused", "SAME_PERSON"),
    Reason.VOUCHER_NOT_FOUND: ("voucher refused", "UNKNOWN"),
}
_PAYERS = {"CollectVoucher": "voucher"}
_ACTS = {
    "ApproveAssistedRedemption": "assisted redemption approved",
    "BlockCard": "card blocked",
    "SuspendTerminal": "terminal suspended",
    "ResumeTerminal": "terminal resumed",
}


class Asked(NamedTuple):
    """A call as its request words it, unchecked: `resource` is the name or parent, `typed` the code
    or card number of a payer.
    """

    method: str
    ledger: str
    resource: str
    terminal: str
    merchant_ref: str
    request_id: str
    principal: str
    actor: str
    typed: Typed = Typed()


class AuditTrail:
    """Writes the lines."""

    def __init__(
        self, logger: FilteringBoundLogger, wallets: Wallets, metrics: MerchantMetricFamilies
    ) -> None:
        self._log: FilteringBoundLogger = logger.bind(logger="audit")
        self._wallets = wallets
        self._metrics = metrics

    async def refused(self, asked: Asked, error: TimebankError) -> None:
        """Writes a refusal that belongs into the audit log; others have no line."""
        if isinstance(error, PayerRefused):
            await self._code_refused(asked, error)
        elif error.reason in _REFUSALS:
            event, cause_text = _REFUSALS[error.reason]
            self._line(event, asked, cause=cause_text)

    def done(self, asked: Asked) -> None:
        """Writes an act that belongs into the audit log."""
        self._log.info(_ACTS[asked.method], **_fields(asked))

    def cancelled(self, asked: Asked) -> None:
        """Writes a call that ended without an answer: what it asked for may have been done."""
        self._line("call cancelled", asked, outcome="cancelled")

    async def _code_refused(self, asked: Asked, error: PayerRefused) -> None:
        """Tells a code of another ledger from one that never was, and writes the line."""
        cause, more = error.cause, {}
        if error.reason is Reason.PAYMENT_CODE_INVALID:
            try:
                foreign = await self._wallets.is_of_another_ledger(asked.ledger, asked.typed)
            except TimebankError as failure:
                # The line is written all the same; whose code it is, nobody can say now.
                foreign, more = False, {"not_looked_up": failure.reason.value}
            if foreign and cause is Cause.UNKNOWN:
                cause = Cause.FOREIGN
        self._metrics.count_refused_code(asked.ledger, cause.value)
        payer = "card" if asked.typed.card else _PAYERS.get(asked.method, "payment code")
        self._line("code refused", asked, cause=cause.value, payer=payer, **more)

    def _line(self, event: str, asked: Asked, **more: str) -> None:
        self._log.warning(event, **more, **_fields(asked))


def is_act(method: str) -> bool:
    """Says whether the success of a method has a line."""
    return method in _ACTS


def _fields(asked: Asked) -> dict[str, str]:
    """Gives what stands on a line; nothing of it names a member."""
    parts = asked.resource[:TEXT_CHARACTERS_MAX].split("/")
    if _MEMBERS in parts:
        parts = parts[: parts.index(_MEMBERS)]
    merchant = parts[3] if len(parts) > 3 and parts[2] == "merchants" else ""
    return {
        "method": asked.method,
        "resource": "/".join(parts),
        "merchant": merchant,
        "terminal": asked.terminal[:TEXT_CHARACTERS_MAX],
        "merchant_ref": asked.merchant_ref[:TEXT_CHARACTERS_MAX],
        "request_id": asked.request_id[:TEXT_CHARACTERS_MAX],
        "principal": _staff(asked.principal),
        "actor": _staff(asked.actor),
    }


def _staff(name: str) -> str:
    return "" if name.startswith("member") else name
