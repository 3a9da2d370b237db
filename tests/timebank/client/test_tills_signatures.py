"""What the SDK signs is what the shared vectors say, byte for byte."""

import json
from typing import Any

import pytest

from tests.support.processes import ROOT
from timebank.client.till_keys import TillKey
from timebank.client.till_signatures import (
    TillCall,
    call_of,
    call_text,
    clean_code,
    clean_enrolment_code,
    enrolment_text,
    key_id_of,
    rotation_text,
)
from timebank.errors import Reason, TimebankError
from timebank.merchant.v1 import redemption_service_pb2 as service_pb2

VECTORS = json.loads(
    (ROOT / "tests/vectors/merchant/terminal_signatures.json").read_text(encoding="utf-8")
)


def name_of(vector: dict[str, Any]) -> str:
    return str(vector["name"])


@pytest.mark.parametrize("vector", VECTORS["till_calls"], ids=name_of)
def test_a_call_is_signed_as_the_vectors_say(vector: dict[str, Any]) -> None:
    call = TillCall(
        method=vector["method"],
        request_id=vector["request_id"],
        merchant_ref=vector["merchant_ref"],
        amount=int(vector["amount"]),
        code=vector["code"],
        timestamp_s=int(vector["timestamp"]),
        nonce=vector["nonce"],
    )
    key = TillKey.from_seed(bytes.fromhex(vector["seed_hex"]))
    assert key.public_key.hex() == vector["public_key_hex"]
    assert call_text(call).hex() == vector["canonical_hex"]
    assert key.sign(call_text(call)).hex() == vector["signature_hex"]


@pytest.mark.parametrize("vector", VECTORS["enrolments"], ids=name_of)
def test_an_enrolment_is_signed_as_the_vectors_say(vector: dict[str, Any]) -> None:
    key = TillKey.from_seed(bytes.fromhex(vector["seed_hex"]))
    text = enrolment_text(vector["terminal"], vector["code"], key.public_key)
    assert text.hex() == vector["canonical_hex"]
    assert key.sign(text).hex() == vector["signature_hex"]


@pytest.mark.parametrize("vector", VECTORS["rotations"], ids=name_of)
def test_a_rotation_is_signed_as_the_vectors_say(vector: dict[str, Any]) -> None:
    old = TillKey.from_seed(bytes.fromhex(vector["seed_hex"]))
    new = TillKey.from_seed(bytes.fromhex(vector["new_seed_hex"]))
    text = rotation_text(vector["terminal"], vector["old_key_id"], new.public_key)
    assert new.public_key.hex() == vector["new_public_key_hex"]
    assert old.sign(text).hex() == vector["signature_hex"]
    assert new.sign(text).hex() == vector["new_signature_hex"]


def test_the_id_of_a_key_is_the_start_of_its_digest() -> None:
    vector = VECTORS["rotations"][0]
    assert key_id_of(bytes.fromhex(vector["public_key_hex"])) == vector["old_key_id"]


def test_a_call_is_read_out_of_its_request() -> None:
    request = service_pb2.RefundRedemptionRequest(
        name="r", request_id="id", merchant_ref="ref", op_ref="op", amount=7
    )
    call = call_of(request, timestamp_s=5, nonce="n" * 16)
    assert call == TillCall("RefundRedemption", "id", "ref", 7, "", 5, "n" * 16)
    bought = service_pb2.RedeemPointsRequest(request_id="id", card_number="80")
    assert call_of(bought, timestamp_s=5, nonce="n").code == "80"
    collected = service_pb2.CollectVoucherRequest(request_id="id", code="V1")
    assert call_of(collected, timestamp_s=5, nonce="n")[:5] == ("CollectVoucher", "id", "", 0, "V1")


def test_what_people_type_into_a_code_is_dropped() -> None:
    assert clean_code("7000 0000-0000　０００００１\n") == "700000000000000001"
    assert clean_enrolment_code("k7qm-ｚ４p") == "K7QMZ4P"


def test_a_line_feed_in_a_field_is_refused() -> None:
    call = TillCall("RedeemPoints", "id", "a\nb", 1, "", 5, "n" * 16)
    with pytest.raises(TimebankError) as refused:
        call_text(call)
    assert refused.value.reason is Reason.VALIDATION_FAILED
