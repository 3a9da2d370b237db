"""A request of every rpc of the merchant service that an operator makes with success in the scene,
each about things of its own.
"""

from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf.timestamp_pb2 import Timestamp

from merchant.domain.enrolment_codes import key_id_of, rotation_text
from tests.merchant.rpc.scene_shops import M, enrolment
from tests.merchant.rpc.scenes import (
    PIN,
    Scene,
    budget,
    member,
    merchant,
    offer,
    terminal,
)
from tests.merchant.till_world import LEDGER
from timebank.merchant.v1 import fund_pb2, merchant_pb2

YESTERDAY = "2026-03-01"
NEW_KEY = Ed25519PrivateKey.from_private_bytes(b"n" * 32)
JOURNAL = b"merchant_ref,business_date,state,captured_amount,refunded_amount\r\n"
ADVICE = b"batch,paid_fen,paid_date\r\n"


def income(income_id: str = "i1", **changes: Any) -> dict[str, Any]:
    """Fields of an income."""
    values: dict[str, Any] = {
        "source": fund_pb2.Income.SOURCE_DONATION,
        "amount_fen": 1,
        "reference": f"bank-{income_id}",
    }
    made = fund_pb2.Income(**(values | changes))
    return {"parent": LEDGER, "income_id": income_id, "income": made}


def spending(spending_id: str = "new-one", **changes: Any) -> dict[str, Any]:
    """Fields of a spending."""
    values: dict[str, Any] = {
        "kind": fund_pb2.Spending.KIND_EQUIPMENT,
        "amount_fen": 1,
        "purpose": "血压计",
    }
    made = fund_pb2.Spending(**(values | changes))
    return {"parent": LEDGER, "spending_id": spending_id, "spending": made}


def rotation(scene: Scene, word: str = "t2") -> dict[str, Any]:
    """Fields by which a till changes its key."""
    name, old = terminal(word), scene.till.key
    old_key_id = key_id_of(old.public_key().public_bytes_raw())
    public = NEW_KEY.public_key().public_bytes_raw()
    text = rotation_text(name, old_key_id, public)
    proofs = {"old_proof": old.sign(text), "proof": NEW_KEY.sign(text)}
    return {"name": name, "old_key_id": old_key_id, "public_key": public, **proofs}


def _sale(payer: str, *, quoted: bool = False) -> Callable[[Scene], dict[str, Any]]:
    """Fields of a sale, with a new reference but for a quote."""

    def fields(scene: Scene) -> dict[str, Any]:
        values = {
            "parent": merchant("shop"),
            "terminal": terminal("t1"),
            "offer": offer("coffee"),
            "quantity": 1,
            "payment_code": scene.codes.get(payer, ""),
        }
        return values if quoted else values | {"merchant_ref": scene.till.ref()}

    return fields


def _named(name: str, **fields: Any) -> Callable[[Scene], dict[str, Any]]:
    return lambda scene: {"name": name, **fields}


def _about(word: str, **fields: Any) -> Callable[[Scene], dict[str, Any]]:
    """Fields of a call about something that the scene has named."""
    return lambda scene: {"name": scene.names.get(word, ""), **fields}


def _parent(name: str = LEDGER, **fields: Any) -> Callable[[Scene], dict[str, Any]]:
    return lambda scene: {"parent": name, **fields}


_SHOP = merchant("shop")
_NEW_MERCHANT = M(display_name="新店", category=M.CATEGORY_CULTURE, budget=budget("b"))
_NEW_OFFER = merchant_pb2.Offer(title="茶", unit=merchant_pb2.UNIT_POINTS, price=10)
_CONTROL = merchant_pb2.VelocityControl(
    name=f"{LEDGER}/velocityControls/new",
    scope=merchant_pb2.VelocityControl.SCOPE_DEVICE,
    window=merchant_pb2.VelocityControl.WINDOW_DAY,
    amount_max=1_000,
)
_BUDGET = fund_pb2.Budget(name=budget("new"), display_name="助餐", limit_fen=500)
_TILL = merchant_pb2.Terminal(display_name="新")
_DAYS = {"start_date": YESTERDAY, "end_date": YESTERDAY}
_PAID = Timestamp(seconds=1_772_400_000)
_BATCH = f"{_SHOP}/batches/{YESTERDAY}-1"
VALID: dict[str, Callable[[Scene], dict[str, Any]]] = {
    "CreateMerchant": _parent(merchant_id="new", merchant=_NEW_MERCHANT),
    "GetMerchant": _named(_SHOP),
    "ListMerchants": _parent(),
    "UpdateMerchant": lambda s: {
        "merchant": M(name=merchant("spare"), display_name="别名"),
        "update_mask": {"paths": ["display_name"]},
    },
    "SuspendMerchant": _named(merchant("spare")),
    "ResumeMerchant": _named(merchant("asleep")),
    "LeaveMerchant": _named(merchant("spare-two")),
    "CreateTerminal": _parent(_SHOP, terminal_id="new", terminal=_TILL),
    "GetTerminal": _named(terminal("t1")),
    "ListTerminals": _parent(_SHOP),
    "UpdateTerminal": lambda s: {
        "terminal": merchant_pb2.Terminal(name=terminal("t2"), display_name="二号"),
        "update_mask": {"paths": ["display_name"]},
    },
    "EnrollTerminal": lambda s: enrolment(s, "fresh", s.codes.get("fresh", "ABCDEFGH")),
    "RenewEnrolment": _named(terminal("t2")),
    "RotateTerminalKey": rotation,
    "SuspendTerminal": _named(terminal("small")),
    "ResumeTerminal": _named(terminal("stolen")),
    "CreateOffer": _parent(_SHOP, offer_id="new", offer=_NEW_OFFER),
    "GetOffer": _named(offer("coffee")),
    "ListOffers": _parent(_SHOP),
    "UpdateOffer": lambda s: {
        "offer": merchant_pb2.Offer(name=offer("spare"), title="别名"),
        "update_mask": {"paths": ["title"]},
    },
    "PauseOffer": _named(offer("capped")),
    "ResumeOffer": _named(offer("paused")),
    "SetVelocityControl": lambda s: {"velocity_control": _CONTROL},
    "ListVelocityControls": _parent(),
    "SetPin": _named(member("chen"), pin=PIN),
    "ResetPin": _named(member("nopin"), pin=PIN),
    "IssueCard": _parent(member=member("chen")),
    "BlockCard": _about("card of wang"),
    "ListCards": _parent(),
    "QuoteRedemption": _sale("wang", quoted=True),
    "AuthorizeRedemption": _sale("wang"),
    "ConfirmRedemption": _about("pin of wang", pin=PIN),
    "CaptureRedemption": _about("held", op_ref="new", amount=1),
    "RedeemPoints": _sale("zhao"),
    "VoidRedemption": _about("held two"),
    "ReverseRedemption": lambda s: {
        "parent": _SHOP,
        "merchant_ref": s.refs.get("reversible", "none"),
    },
    "RefundRedemption": _about("captured", op_ref="new", amount=1),
    "GetRedemption": _about("captured"),
    "LookupRedemption": lambda s: {"parent": _SHOP, "merchant_ref": s.refs.get("captured", "")},
    "ListRedemptions": _parent(_SHOP),
    "ApproveAssistedRedemption": _about("assisted wang", officer="second"),
    "ConfirmByMember": _about("qr of wang", member=member("wang")),
    "IssueVoucher": _parent(offer=offer("coffee"), member=member("wang"), quantity=1),
    "CollectVoucher": lambda s: {
        "parent": _SHOP,
        "terminal": terminal("t1"),
        "code": s.codes.get("voucher", ""),
    },
    "GetVoucher": _about("voucher"),
    "IssuePaymentCode": _named(member("chen"), device="phone"),
    "CloseBatch": _parent(merchant("spare"), business_date=YESTERDAY),
    "GetBatch": _named(_BATCH),
    "ListBatches": _parent(_SHOP),
    "DownloadBatchFile": _named(_BATCH),
    "GetBatchFile": _named(_BATCH),
    "ResolveReconciliationItem": _about("item", owner="li"),
    "SubmitMerchantJournal": _parent(_SHOP, content=JOURNAL, **_DAYS),
    "SubmitPayoutAdvice": _parent(content=ADVICE),
    "RecordPayout": _named(_BATCH, paid_fen=10, paid_time=_PAID),
    "ListReconciliationItems": _parent(_SHOP),
    "GetMerchantStatement": _named(_SHOP, **_DAYS),
    "RecordIncome": lambda s: income("i2"),
    "SetBudget": lambda s: {"budget": _BUDGET},
    "GetBudget": _named(budget("b")),
    "ListBudgets": _parent(),
    "ProposeSpending": lambda s: spending(),
    "ApproveSpending": _named(f"{LEDGER}/spendings/proposed"),
    "RejectSpending": _named(f"{LEDGER}/spendings/proposed-two"),
    "GetSpending": _named(f"{LEDGER}/spendings/proposed"),
    "ListSpendings": _parent(),
    "GetFundStatement": _parent(year=2026, quarter=1),
}
"""Fields of the calls, in an order in which each may follow those before it."""
