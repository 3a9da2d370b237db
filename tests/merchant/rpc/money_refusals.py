"""What SettlementService and FundService refuse."""

from google.protobuf.timestamp_pb2 import Timestamp

from merchant.domain.states import DocumentKind as K
from tests.merchant.rpc.scenes import OFFICER, Refusal, budget, merchant
from tests.merchant.rpc.signature_refusals import V, fixed, row
from tests.merchant.rpc.valid_requests import JOURNAL, YESTERDAY
from tests.merchant.till_world import LEDGER
from timebank.errors import Reason as R

TODAY = "2026-03-02"
COSTLY = f"{merchant('costly')}/batches/{YESTERDAY}-1"
PAID = f"{merchant('barber')}/batches/{YESTERDAY}-1"
UNKNOWN = f"{merchant('shop')}/batches/none"
NO_ITEM = f"{merchant('shop')}/reconciliationItems/none"
LARGE = b"x" * 2_000_001
ROWS = JOURNAL + f"a,{YESTERDAY},CAPTURED,1,0\r\n".encode() * 20_001
PAID_ROWS = b"batch,paid_fen,paid_date\r\n" + b"x,1,2026-03-01\r\n" * 20_001
BAD_DATES = ("", "2026-3-1", "yesterday", "2026-02-30", "9999-12-31", "２０２６-０３-０１")


def _days(method: str, days_max: int) -> tuple[Refusal, ...]:
    """What a period of days refuses."""
    return (
        *(row(method, V, f"start {text}", start_date=text) for text in BAD_DATES),
        *(row(method, V, f"end {text}", end_date=text) for text in BAD_DATES),
        row(method, V, "backwards", start_date=TODAY),
        row(method, V, f"more than {days_max} days", start_date="2025-01-01"),
    )


BATCH_REFUSALS: tuple[Refusal, ...] = (
    row("CloseBatch", R.MERCHANT_NOT_FOUND, "none", parent=merchant("none")),
    row("CloseBatch", V, "a day that is not over", business_date=TODAY),
    *(row("CloseBatch", V, text, business_date=text) for text in BAD_DATES),
    Refusal(
        "CloseBatch",
        R.FUND_EXHAUSTED,
        "more than the fund has",
        fixed(parent=merchant("costly")),
        leaves=frozenset({K.BATCH}),
    ),
    row("GetBatch", R.BATCH_NOT_FOUND, "none", name=UNKNOWN),
    row("ListBatches", R.MERCHANT_NOT_FOUND, "none", parent=merchant("none")),
    row("ListBatches", V, "a state of no contract", state=9),
    *(
        row(method, V, text, start_date=text)
        for method in ("ListBatches", "ListReconciliationItems")
        for text in BAD_DATES[1:]
    ),
    *(
        row(method, reason, name.rpartition("/")[2], name=name)
        for method in ("DownloadBatchFile", "GetBatchFile")
        for reason, name in ((R.BATCH_NOT_FOUND, UNKNOWN), (R.BATCH_STATE, COSTLY))
    ),
    row("RecordPayout", R.BATCH_NOT_FOUND, "none", name=UNKNOWN),
    row("RecordPayout", R.BATCH_STATE, "not closed yet", name=COSTLY),
    row("RecordPayout", R.BATCH_STATE, "paid otherwise", name=PAID, paid_fen=0),
    row("RecordPayout", V, "another sum", paid_fen=11),
    row("RecordPayout", V, "less than nothing", paid_fen=-1),
    row("RecordPayout", V, "before 1970", paid_time=Timestamp(seconds=-1)),
    row("SubmitMerchantJournal", R.MERCHANT_NOT_FOUND, "none", parent=merchant("none")),
    row("SubmitMerchantJournal", R.BATCH_TOO_LARGE, "2 MB", content=LARGE),
    row("SubmitMerchantJournal", R.BATCH_TOO_LARGE, "20,001 rows", content=ROWS),
    row("SubmitMerchantJournal", V, "no table", content=b"x"),
    row("SubmitMerchantJournal", V, "no text", content=b"\xff\xfe\x00"),
    *_days("SubmitMerchantJournal", 31),
    row("SubmitPayoutAdvice", R.BATCH_TOO_LARGE, "2 MB", content=LARGE),
    row("SubmitPayoutAdvice", R.BATCH_TOO_LARGE, "20,001 rows", content=PAID_ROWS),
    row("SubmitPayoutAdvice", V, "no table", content=b"x"),
    row("ListReconciliationItems", R.MERCHANT_NOT_FOUND, "none", parent=merchant("none")),
    row("ListReconciliationItems", V, "an outcome of no contract", outcome=99),
    row("ResolveReconciliationItem", R.RECONCILIATION_ITEM_NOT_FOUND, "none", name=NO_ITEM),
    Refusal(
        "ResolveReconciliationItem",
        R.RECONCILIATION_ITEM_STATE,
        "resolved otherwise",
        lambda s: {"name": s.names["resolved item"], "resolution": "别的"},
    ),
    row("ResolveReconciliationItem", V, "an owner with spaces", owner="a b"),
    row("GetMerchantStatement", R.MERCHANT_NOT_FOUND, "none", name=merchant("none")),
    row("GetMerchantStatement", V, "a unit of no contract", unit=9),
    *_days("GetMerchantStatement", 92),
)


def _spending(word: str) -> str:
    return f"{LEDGER}/spendings/{word}"


FUND_REFUSALS: tuple[Refusal, ...] = (
    row("RecordIncome", R.INCOME_EXISTS, "the same id", income_id="i1"),
    row("RecordIncome", R.INCOME_EXISTS, "the same reference", income__reference="bank-i1"),
    row("RecordIncome", V, "nothing", income__amount_fen=0),
    row("RecordIncome", V, "more than is counted", income__amount_fen=10**15 + 1),
    row("RecordIncome", V, "a source of no contract", income__source=9),
    row("RecordIncome", V, "capitals", income_id="I"),
    row("SetBudget", R.ETAG_MISMATCH, "an old etag", budget__name=budget("b"), budget__etag="999"),
    row("SetBudget", R.ETAG_MISMATCH, "an etag of nothing yet", budget__etag="1"),
    row("SetBudget", V, "less than nothing", budget__limit_fen=-1),
    row(
        "SetBudget",
        V,
        "over before it begins",
        budget__valid_from_time=Timestamp(seconds=20),
        budget__valid_until_time=Timestamp(seconds=20),
    ),
    row("GetBudget", R.BUDGET_NOT_FOUND, "none", name=budget("none")),
    row("ListBudgets", V, "fewer than none", page_size=-1),
    row("ProposeSpending", R.SPENDING_EXISTS, "the same id", spending_id="approved"),
    row("ProposeSpending", V, "nothing", spending__amount_fen=0),
    row("ProposeSpending", V, "a kind of no contract", spending__kind=9),
    *(
        row(method, reason, word, name=_spending(word))
        for method in ("ApproveSpending", "RejectSpending")
        for reason, word in (
            (R.SPENDING_NOT_FOUND, "none"),
            (R.SPENDING_STATE, "approved"),
            (R.SPENDING_STATE, "rejected"),
            (R.FOUR_EYES_REQUIRED, "own"),
        )
    ),
    Refusal(
        "ApproveSpending",
        R.INSUFFICIENT_BALANCE,
        "more than the fund has",
        fixed(name=_spending("huge")),
        leaves=frozenset({K.SPENDING}),
    ),
    Refusal("ApproveSpending", R.SCOPE_MISSING, "an officer", caller=OFFICER),
    row("GetSpending", R.SPENDING_NOT_FOUND, "none", name=_spending("none")),
    row("ListSpendings", V, "a state of no contract", state=9),
    row("ListSpendings", V, "a kind of no contract", kind=9),
    *(
        row("GetFundStatement", V, f"{year} {quarter}", year=year, quarter=quarter)
        for year, quarter in ((1999, 1), (10_000, 1), (2026, 0), (2026, 5), (-1, -1))
    ),
)
