"""What every rpc refuses whoever calls: a kind that it does not let in, an operator of another
ledger, a merchant or till about another merchant's things, a request id that was used.
"""

from tests.merchant.rpc.requests import METHODS, allowed, is_public, request_class
from tests.merchant.rpc.scenes import BARBER, BARBER_TILL, ELSEWHERE, Refusal
from tests.merchant.rpc.signature_refusals import fixed
from timebank.auth import Principal, PrincipalKind
from timebank.errors import Reason as R

SAYS_NO_MORE = {"IssuePaymentCode", "QuoteRedemption"}
"""Their request id names the call in logs only; each call is a new one."""
BY_ITSELF = {"EnrollTerminal"}
"""Anybody calls it, and its request id counts for the till alone: see shop_refusals.py."""
FOREIGN: dict[R, tuple[str, ...]] = {
    R.MERCHANT_NOT_FOUND: (
        *("ListTerminals", "QuoteRedemption", "AuthorizeRedemption", "RedeemPoints"),
        *("ReverseRedemption", "LookupRedemption", "ListRedemptions", "CollectVoucher"),
        *("ListBatches", "ListReconciliationItems", "GetMerchantStatement"),
    ),
    R.SCOPE_MISSING: (
        *("CreateTerminal", "UpdateTerminal", "RenewEnrolment", "RotateTerminalKey"),
        *("SuspendTerminal", "ResumeTerminal", "CreateOffer", "UpdateOffer", "PauseOffer"),
        *("ResumeOffer", "SubmitMerchantJournal"),
    ),
    R.TERMINAL_NOT_FOUND: ("GetTerminal",),
    R.REDEMPTION_NOT_FOUND: (
        *("ConfirmRedemption", "CaptureRedemption", "VoidRedemption", "RefundRedemption"),
        "GetRedemption",
    ),
    R.VOUCHER_NOT_FOUND: ("GetVoucher",),
    R.BATCH_NOT_FOUND: ("GetBatch", "DownloadBatchFile", "GetBatchFile"),
}
"""What a merchant hears about another one's things. All know merchants and offers."""
KNOWN_TO_ALL = {"GetMerchant", "ListMerchants", "GetOffer", "ListOffers"}


def _not_allowed(method: str) -> tuple[Refusal, ...]:
    others = [kind for kind in PrincipalKind if kind not in allowed(method)]
    return tuple(
        Refusal(method, R.SCOPE_MISSING, f"{kind} calls", caller=Principal(kind, "shop"))
        for kind in others
    )


def _caller_rows() -> tuple[Refusal, ...]:
    rows: list[Refusal] = []
    for method in METHODS:
        if is_public(method):
            continue
        rows += _not_allowed(method)
        rows.append(Refusal(method, R.LEDGER_NOT_FOUND, "another ledger's", caller=ELSEWHERE))
    return tuple(rows)


def _repeated_rows() -> tuple[Refusal, ...]:
    return tuple(
        Refusal(method, R.REQUEST_ID_REUSED, "used", lambda s: {"request_id": s.used_id})
        for method in METHODS
        if "request_id" in request_class(method).DESCRIPTOR.fields_by_name
        and method not in SAYS_NO_MORE | BY_ITSELF
    )


def _foreign_rows() -> tuple[Refusal, ...]:
    callers = {PrincipalKind.MERCHANT: BARBER, PrincipalKind.TERMINAL: BARBER_TILL}
    return tuple(
        Refusal(method, reason, f"{caller.name} about the shop's", caller=caller)
        for reason, methods in FOREIGN.items()
        for method in methods
        for kind, caller in callers.items()
        if kind in allowed(method)
    )


CALLER_REFUSALS = _caller_rows()
REPEATED_REFUSALS = _repeated_rows()
FOREIGN_REFUSALS = _foreign_rows()
PAGE_REFUSALS = tuple(
    Refusal(method, R.PAGE_TOKEN_MISMATCH, text[:20], fixed(page_token=text))
    for method in METHODS
    if "page_token" in request_class(method).DESCRIPTOR.fields_by_name
    for text in ("AAAA", "not base64 !", "A" * 2_000, "\0", "页")
)
