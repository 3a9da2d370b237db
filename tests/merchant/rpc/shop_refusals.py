"""What MerchantService refuses of merchants, tills, offers and limits."""

from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf.timestamp_pb2 import Timestamp

from tests.merchant.rpc.scene_shops import enrolment
from tests.merchant.rpc.scenes import Refusal, Scene, budget, merchant, offer, terminal
from tests.merchant.rpc.signature_refusals import V, fixed, row
from tests.merchant.rpc.valid_requests import NEW_KEY
from tests.merchant.till_world import LEDGER
from timebank.errors import Reason as R
from timebank.merchant.v1 import merchant_pb2

STALE = "999"
INVALID, SIGNATURE = R.ENROLMENT_CODE_INVALID, R.TERMINAL_SIGNATURE_INVALID


def _created(reason: R, about: str, **fields: Any) -> Refusal:
    return row("CreateMerchant", reason, about, **fields)


def _merchant(method: str, reason: R, word: str) -> Refusal:
    return Refusal(method, reason, word, fixed(name=merchant(word)))


MERCHANT_REFUSALS: tuple[Refusal, ...] = (
    _created(R.MERCHANT_EXISTS, "another shop's id", merchant_id="shop"),
    _created(R.BUDGET_NOT_FOUND, "an unknown budget", merchant__budget=budget("none")),
    _created(V, "a budget of another ledger", merchant__budget="ledgers/other/budgets/b"),
    _created(V, "no budget", merchant__budget="", merchant__fen_per_hundred_points=1),
    _created(V, "no id", merchant_id="-"),
    _created(V, "capitals", merchant_id="Shop"),
    _created(V, "a category of no contract", merchant__category=9),
    _created(V, "a negative rate", merchant__fen_per_hundred_points=-1),
    _created(V, "a 25th hour", merchant__cut_off_minute=1_440),
    _created(V, "negative debt", merchant__debt_points_max=-1),
    _merchant("GetMerchant", R.MERCHANT_NOT_FOUND, "none"),
    row("ListMerchants", V, "a category of no contract", category=9),
    row("ListMerchants", V, "a state of no contract", state=9),
    row("UpdateMerchant", R.MERCHANT_NOT_FOUND, "none", merchant__name=merchant("none")),
    row("UpdateMerchant", R.MERCHANT_NOT_ACTIVE, "gone", merchant__name=merchant("gone")),
    row("UpdateMerchant", R.ETAG_MISMATCH, "an old etag", merchant__etag=STALE),
    row("UpdateMerchant", R.ETAG_MISMATCH, "another's etag", merchant__etag="W/x"),
    row("UpdateMerchant", V, "a field that is not changed", update_mask__paths=["state"]),
    row(
        "UpdateMerchant",
        R.BUDGET_NOT_FOUND,
        "an unknown budget",
        update_mask__paths=["budget"],
        merchant__budget=budget("none"),
    ),
    *(
        _merchant(f"{verb}Merchant", reason, word)
        for verb in ("Suspend", "Resume", "Leave")
        for reason, word in ((R.MERCHANT_NOT_FOUND, "none"), (R.MERCHANT_NOT_ACTIVE, "gone"))
    ),
    _merchant("SuspendMerchant", R.MERCHANT_NOT_ACTIVE, "leaving"),
)


def _enrolled(reason: R, about: str, **fields: Any) -> Refusal:
    return Refusal("EnrollTerminal", reason, about, fixed(**fields))


def _used_code(scene: Scene) -> dict[str, Any]:
    """An enrolment by a code that was used."""
    return enrolment(scene, "t1", "ABCDEFGH")


def _used_by_itself(scene: Scene) -> dict[str, Any]:
    """An enrolment with another code, and the request id with which the till enrolled before."""
    return enrolment(scene, "t2", scene.codes["till t2"]) | {"request_id": scene.used_id}


def _third_key(scene: Scene) -> dict[str, Any]:
    """A rotation that another key allows than the till has."""
    return {"old_proof": Ed25519PrivateKey.generate().sign(b"x")}


TERMINAL_REFUSALS: tuple[Refusal, ...] = (
    row("CreateTerminal", R.MERCHANT_NOT_FOUND, "none", parent=merchant("none")),
    row("CreateTerminal", R.MERCHANT_NOT_ACTIVE, "resting", parent=merchant("resting")),
    row("CreateTerminal", R.TERMINAL_EXISTS, "taken", terminal_id="t1"),
    row("CreateTerminal", V, "no id", terminal_id="-"),
    row("CreateTerminal", V, "below zero", terminal__points_per_transaction_max=-1),
    row("GetTerminal", R.TERMINAL_NOT_FOUND, "none", name=terminal("none")),
    row("ListTerminals", R.MERCHANT_NOT_FOUND, "none", parent=merchant("none")),
    row("ListTerminals", V, "a state of no contract", state=9),
    row("UpdateTerminal", R.TERMINAL_NOT_FOUND, "none", terminal__name=terminal("none")),
    row("UpdateTerminal", R.ETAG_MISMATCH, "an old etag", terminal__etag=STALE),
    row("UpdateTerminal", V, "a field that is not changed", update_mask__paths=["keys"]),
    _enrolled(INVALID, "an unknown till", name=terminal("none")),
    _enrolled(INVALID, "a wrong code", enrolment_code="22222222"),
    _enrolled(SIGNATURE, "another's proof", proof=b"p" * 64),
    _enrolled(SIGNATURE, "another key", public_key=NEW_KEY.public_key().public_bytes_raw()),
    _enrolled(V, "half a key", public_key=b"k" * 31),
    _enrolled(V, "a long proof", proof=b"p" * 65),
    _enrolled(V, "half a code", enrolment_code="2222"),
    Refusal("EnrollTerminal", INVALID, "a used code", _used_code),
    Refusal("EnrollTerminal", R.REQUEST_ID_REUSED, "its own", _used_by_itself),
    _enrolled(R.RATE_LIMITED, "many wrong codes", name=terminal("guessed")),
    row("RenewEnrolment", R.TERMINAL_NOT_FOUND, "none", name=terminal("none")),
    row("RenewEnrolment", R.MERCHANT_NOT_ACTIVE, "resting", name=terminal("t1", "resting")),
    row("RotateTerminalKey", R.TERMINAL_NOT_FOUND, "none", name=terminal("none")),
    row("RotateTerminalKey", R.TERMINAL_SUSPENDED, "lost", name=terminal("lost")),
    row("RotateTerminalKey", SIGNATURE, "another till", name=terminal("t1")),
    row("RotateTerminalKey", SIGNATURE, "an unknown key", old_key_id="0" * 16),
    row("RotateTerminalKey", SIGNATURE, "no proof of the new one", proof=b"p" * 64),
    Refusal("RotateTerminalKey", SIGNATURE, "a third key", _third_key),
    row("RotateTerminalKey", V, "no key's id", old_key_id="x"),
    *(
        row(f"{verb}Terminal", R.TERMINAL_NOT_FOUND, "none", name=terminal("none"))
        for verb in ("Suspend", "Resume")
    ),
    row("ResumeTerminal", R.MERCHANT_NOT_ACTIVE, "resting", name=terminal("t1", "resting")),
)
OFFER_REFUSALS: tuple[Refusal, ...] = (
    row("CreateOffer", R.MERCHANT_NOT_FOUND, "none", parent=merchant("none")),
    row("CreateOffer", R.MERCHANT_NOT_ACTIVE, "resting", parent=merchant("resting")),
    row("CreateOffer", R.OFFER_EXISTS, "taken", offer_id="coffee"),
    row(
        "CreateOffer", R.MOVEMENT_NOT_ALLOWED, "TIME in a shop", offer__unit=merchant_pb2.UNIT_TIME
    ),
    row("CreateOffer", V, "a unit of no contract", offer__unit=9),
    row("CreateOffer", V, "too dear", offer__price=1_000_001),
    row("CreateOffer", V, "a price below zero", offer__price=-1),
    row("CreateOffer", V, "less than no stock", offer__stock=-1),
    row("CreateOffer", V, "before 1970", offer__valid_from_time=Timestamp(seconds=-1)),
    row("GetOffer", R.OFFER_NOT_FOUND, "none", name=offer("none")),
    row("ListOffers", R.MERCHANT_NOT_FOUND, "none", parent=merchant("none")),
    row("ListOffers", V, "a state of no contract", state=9),
    row("UpdateOffer", R.OFFER_NOT_FOUND, "none", offer__name=offer("none")),
    row("UpdateOffer", R.MERCHANT_NOT_ACTIVE, "resting", offer__name=offer("coffee", "resting")),
    row("UpdateOffer", R.ETAG_MISMATCH, "an old etag", offer__etag=STALE),
    row("UpdateOffer", V, "a field that is not changed", update_mask__paths=["unit"]),
    *(
        row(f"{verb}Offer", R.OFFER_NOT_FOUND, "none", name=offer("none"))
        for verb in ("Pause", "Resume")
    ),
    row("ResumeOffer", R.MERCHANT_NOT_ACTIVE, "resting", name=offer("coffee", "resting")),
    row("SetVelocityControl", V, "a scope of no contract", velocity_control__scope=9),
    row("SetVelocityControl", V, "a window of no contract", velocity_control__window=6),
    row("SetVelocityControl", V, "below zero", velocity_control__count_max=-1),
    row(
        "SetVelocityControl",
        V,
        "no id",
        velocity_control__name=f"{LEDGER}/velocityControls/-",
    ),
    row("ListVelocityControls", V, "fewer than none", page_size=-1),
)
