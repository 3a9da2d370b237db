"""A till without gRPC sells for points: the shipped script, curl and openssl, through Envoy."""

import asyncio
import hashlib
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.support.curl_shops import (
    POINTS,
    PRICE,
    SHOP,
    TILL,
    CurlShop,
    base64url,
    sale,
    sale_text,
    signed,
    till_key,
)
from tests.support.envoys import Answer, curl, running_envoy
from tests.support.keys import make_key
from tests.support.processes import TOP, ServerProcess
from timebank.auth import PrincipalKind

Change = Callable[[Ed25519PrivateKey, dict[str, Any]], dict[str, str]]
REDEEM = f"{SHOP}/redemptions:redeem"
SKEW_S = 300
BODY_BYTES_MAX = 4 * 1024 * 1024
STRANGER = Ed25519PrivateKey.from_private_bytes(bytes([7] * 32))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CurlShop]:
    """A shop behind Envoy whose till the script has enrolled."""
    folder = tmp_path_factory.mktemp("envoy-till")
    make_key(folder)
    with ServerProcess(folder, {TOP: {"services": ["ledger", "merchant"]}}) as server:
        asyncio.run(server.serving())
        port = int(server.grpc_address.rpartition(":")[2])
        with running_envoy(folder, port) as base:
            shop = CurlShop(folder, base)
            shop.open()
            enrolled = shop.till("enrol", typed=shop.terminal("till-1")).answer
            assert enrolled["state"] == "STATE_ACTIVE"
            yield shop


@pytest.fixture
def ref() -> str:
    """A reference of a sale, another one for each test."""
    return f"t1-{uuid.uuid4()}"


def redeem(shop: CurlShop, body: bytes, headers: dict[str, str]) -> Answer:
    """Asks to sell, with a till's token."""
    token = shop.token(PrincipalKind.TERMINAL, "barber/till-1")
    bearer = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    return curl(f"{shop.base}/v1/{REDEEM}", body=body, headers=headers | bearer)


def proof(name: str, code: str, key: Ed25519PrivateKey, public_key: bytes) -> str:
    """What proves that a till has its key."""
    digest = hashlib.sha256(code.encode()).hexdigest()
    text = "\n".join(("TB1-ENROL", name, digest, base64url(public_key)))
    return base64url(key.sign(text.encode()))


def enrol(shop: CurlShop, name: str, code: str, key: Ed25519PrivateKey) -> Answer:
    """Asks to enrol a till whose key is STRANGER's; `key` makes the proof."""
    public_key = STRANGER.public_key().public_bytes_raw()
    request = {
        "requestId": str(uuid.uuid4()),
        "enrolmentCode": code,
        "publicKey": base64url(public_key),
        "proof": proof(name, code, key, public_key),
    }
    return curl(f"{shop.base}/v1/{name}:enroll", body=json.dumps(request).encode())


def test_a_sale_is_made_once_looked_up_partly_given_back_and_undone(
    shop: CurlShop, ref: str
) -> None:
    member, barber = shop.balances()
    code = shop.payment_code()
    sold = shop.till("redeem", "shave", "1", ref, typed=code).answer
    assert (sold["state"], sold["capturedAmount"]) == ("STATE_CAPTURED", str(PRICE))
    again = shop.till("redeem", "shave", "1", ref, typed=code).answer
    assert again == sold | {"replayed": True}
    assert shop.balances() == (member - PRICE, barber + PRICE)

    assert shop.till("lookup", ref).answer["name"] == sold["name"]
    for _ in range(2):
        back = shop.till("refund", ref, "3", "r-1").answer
        assert (back["state"], back["refundedAmount"]) == ("STATE_CAPTURED", "3")
    assert shop.balances() == (member - PRICE + 3, barber + PRICE - 3)

    for _ in range(2):
        undone = shop.till("reverse", ref).answer
        assert (undone["state"], undone["refundedAmount"]) == ("STATE_REVERSED", str(PRICE))
    assert shop.till("lookup", ref).answer["state"] == "STATE_REVERSED"
    assert shop.balances() == (member, barber)


def test_a_code_pays_once(shop: CurlShop, ref: str) -> None:
    code = shop.payment_code()
    assert shop.till("redeem", "shave", "1", ref, typed=code).code == 0
    before = shop.balances()
    refused = shop.till("redeem", "shave", "1", f"{ref}-2", typed=code)
    assert (refused.code, refused.reason) == (1, "PAYMENT_CODE_INVALID")
    assert shop.till("lookup", f"{ref}-2").reason == "REDEMPTION_NOT_FOUND"
    assert shop.balances() == before


def test_a_reversal_that_comes_first_keeps_the_late_sale_out(shop: CurlShop, ref: str) -> None:
    before = shop.balances()
    assert shop.till("reverse", ref).answer["state"] == "STATE_REVERSED"
    late = shop.till("redeem", "shave", "1", ref, typed=shop.payment_code())
    assert late.reason == "REVERSED_BEFORE_AUTHORIZATION"
    assert shop.balances() == before


def test_the_script_takes_a_code_as_people_type_it(shop: CurlShop, ref: str) -> None:
    code = shop.payment_code()
    typed = f" {code[:6]} {code[6:12]}-{code[12:]}\r"
    assert shop.till("redeem", "shave", "1", ref, typed=typed).answer["state"] == "STATE_CAPTURED"


def test_the_same_enrolment_again_has_the_same_answer(shop: CurlShop) -> None:
    code = shop.terminal("till-2")
    own = {
        "TIMEBANK_TERMINAL": f"{SHOP}/terminals/till-2",
        "TIMEBANK_TILL_KEY": str(shop.folder / "till-2.pem"),
    }
    answers = [shop.till("enrol", typed=code, **own).answer for _ in range(2)]
    assert answers[0]["state"] == "STATE_ACTIVE"
    assert answers[0] == answers[1]
    assert (shop.folder / "till-2.pem").stat().st_mode & 0o077 == 0


def test_only_who_has_the_key_and_the_code_enrols(shop: CurlShop) -> None:
    code = shop.terminal("till-3")
    name = f"{SHOP}/terminals/till-3"
    other = Ed25519PrivateKey.generate()
    refused = [
        enrol(shop, name, code, other),
        enrol(shop, name, "22222222", STRANGER),
        enrol(shop, f"{SHOP}/terminals/till-9", code, STRANGER),
    ]
    assert [answer.reason for answer in refused] == [
        "TERMINAL_SIGNATURE_INVALID",
        "ENROLMENT_CODE_INVALID",
        "ENROLMENT_CODE_INVALID",
    ]
    assert {answer.status // 100 for answer in refused} == {4}
    assert shop.get(name).json["state"] == "STATE_PENDING"
    assert enrol(shop, name, code, STRANGER).json["state"] == "STATE_ACTIVE"


@pytest.mark.parametrize("words", [("redeem", "shave", "1", 'a"b'), ("lookup",), ("sell", "a")])
def test_the_script_sends_nothing_that_it_does_not_understand(
    shop: CurlShop, words: tuple[str, ...]
) -> None:
    said = shop.till(*words, typed="1", TIMEBANK_HTTP="http://127.0.0.1:9")
    assert (said.code, said.out) == (1, "")
    assert "till" in said.error


class LosesAnswers(BaseHTTPRequestHandler):
    """A line that carries a call to Envoy at `target`, and breaks before the answer is back."""

    target = ""
    statuses: ClassVar[list[int]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = dict(self.headers.items())
        self.statuses.append(curl(self.target + self.path, body=body, headers=headers).status)
        self.close_connection = True


def test_a_sale_whose_answer_was_lost_is_found_by_the_same_command(
    shop: CurlShop, ref: str
) -> None:
    member, barber = shop.balances()
    code = shop.payment_code()
    LosesAnswers.target = shop.base
    with ThreadingHTTPServer(("127.0.0.1", 0), LosesAnswers) as line:
        thread = threading.Thread(target=line.serve_forever)
        thread.start()
        address = f"http://127.0.0.1:{line.server_port}"
        said = shop.till("redeem", "shave", "1", ref, typed=code, TIMEBANK_HTTP=address)
        line.shutdown()
        thread.join()
    assert LosesAnswers.statuses == [200]
    assert (said.code, said.out) == (2, "")
    assert "UNKNOWN 结果未知" in said.error
    assert shop.till("redeem", "shave", "1", ref, typed=code).answer["replayed"]
    assert shop.balances() == (member - PRICE, barber + PRICE)


def without(header: str) -> Change:
    """Signs, and leaves a header out."""

    def change(key: Ed25519PrivateKey, request: dict[str, Any]) -> dict[str, str]:
        headers = signed(key, request)
        del headers[f"timebank-{header}"]
        return headers

    return change


def signs_other(**changes: Any) -> Change:
    """Signs another request than the one that is sent."""
    return lambda key, request: signed(key, request | changes)


def signs_at(offset_s: int) -> Change:
    """Signs with a clock that is off."""

    def change(key: Ed25519PrivateKey, request: dict[str, Any]) -> dict[str, str]:
        stamp, nonce = str(int(time.time()) + offset_s), uuid.uuid4().hex
        signature = base64url(key.sign(sale_text(request, stamp, nonce)))
        own = {"timebank_timestamp": stamp, "timebank_nonce": nonce}
        return signed(key, request, timebank_signature=signature, **own)

    return change


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda key, request: {}, id="nothing is signed"),
        *(
            pytest.param(without(header), id=f"no {header}")
            for header in ("terminal", "timestamp", "nonce", "signature")
        ),
        pytest.param(lambda key, request: signed(STRANGER, request), id="another key"),
        pytest.param(signs_other(merchantRef="t1-other"), id="another reference"),
        pytest.param(signs_other(amount=PRICE + 1), id="another amount"),
        pytest.param(signs_other(paymentCode="701234567890123457"), id="another code"),
        pytest.param(signs_other(requestId=str(uuid.uuid4())), id="another request"),
        pytest.param(
            lambda key, request: signed(key, request, timebank_nonce="b" * 32), id="another nonce"
        ),
        pytest.param(
            lambda key, request: signed(key, request, timebank_signature="A" * 86), id="not signed"
        ),
        pytest.param(
            lambda key, request: signed(key, request, timebank_signature="签名"), id="no base64"
        ),
        pytest.param(
            lambda key, request: signed(key, request, timebank_terminal=f"{SHOP}/terminals/till-8"),
            id="another till",
        ),
        pytest.param(signs_at(-SKEW_S - 60), id="too old"),
        pytest.param(signs_at(SKEW_S + 60), id="too new"),
    ],
)
def test_a_sale_that_the_till_did_not_sign_is_refused_and_leaves_the_code_good(
    shop: CurlShop, ref: str, change: Change
) -> None:
    before = shop.balances()
    key = till_key(shop.key_file)
    request = sale(shop.payment_code(), ref)
    body = json.dumps(request).encode()
    refused = redeem(shop, body, change(key, request))
    assert (refused.status, refused.reason) == (401, "TERMINAL_SIGNATURE_INVALID")
    assert shop.balances() == before
    taken = redeem(shop, body, signed(key, request))
    assert (taken.status, taken.json["state"]) == (200, "STATE_CAPTURED")


def test_a_nonce_signs_one_call_and_its_retry(shop: CurlShop, ref: str) -> None:
    key = till_key(shop.key_file)
    request = sale(shop.payment_code(), ref)
    headers = signed(key, request)
    body = json.dumps(request).encode()
    first, again = (redeem(shop, body, headers).json for _ in range(2))
    assert again == first | {"replayed": True}
    other = sale(shop.payment_code(), f"{ref}-2")
    stamp, nonce = headers["timebank-timestamp"], headers["timebank-nonce"]
    reused = headers | {"timebank-signature": base64url(key.sign(sale_text(other, stamp, nonce)))}
    refused = redeem(shop, json.dumps(other).encode(), reused)
    assert (refused.status, refused.reason) == (401, "TERMINAL_SIGNATURE_INVALID")
    assert "nonce" in refused.json["message"]


def test_the_tills_signature_does_not_stand_for_a_token(shop: CurlShop, ref: str) -> None:
    stranger = shop.token(PrincipalKind.MEMBER, "wang")
    said = shop.till(
        "redeem", "shave", "1", ref, typed=shop.payment_code(), TIMEBANK_TOKEN=stranger
    )
    assert said.reason == "SCOPE_MISSING"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"[{}]",
        b'"text"',
        b"requestId=1",
        b"<sale/>",
        b"\x00" * 100,
        b"\xff\xfe{}",
        b'{"merchantRef": "\xff"}',
        b'{"merchantRef": "\\ud800"}',
        b'{"merchantRef": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"assisted": ' * 50_000 + b"1" + b"}" * 50_000,
        b'{"merchantRef": "' + b"a" * BODY_BYTES_MAX + b'"}',
    ],
    ids=lambda body: f"{len(body)} {body[:24].decode('latin-1')!a}",
)
def test_a_hostile_body_is_the_callers_fault_and_sells_nothing(
    shop: CurlShop, ref: str, body: bytes
) -> None:
    before = shop.balances()
    answer = redeem(shop, body, signed(till_key(shop.key_file), sale("1", ref)))
    assert 400 <= answer.status < 500
    assert answer.content_type == "application/json"
    assert answer.json["message"]
    assert shop.balances() == before


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("quantity", "one"),
        ("quantity", 1.5),
        ("quantity", 0),
        ("quantity", -1),
        ("quantity", 1_001),
        ("quantity", 2**32 + 1),
        ("quantity", [1]),
        ("amount", str(2**63)),
        ("amount", -1),
        ("amount", "1e3x"),
        ("paymentCode", {"code": "1"}),
        ("paymentCode", "1" * 100_000),
        ("cardNumber", "8012345678901230"),
        ("assisted", 7),
        ("terminal", [TILL]),
        ("terminal", "ledgers/weihai/merchants/other/terminals/till-1"),
        ("offer", f"{SHOP}/offers/../offers/shave"),
        ("merchantRef", "a\u202eb"),
        ("merchantRef", "a\nb"),
        ("merchantRef", "a" * 129),
        ("requestId", "1"),
        ("requestId", "a" * 100_000),
        ("parent", "ledgers/weihai/merchants/other"),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_a_sale_with_one_wrong_field_is_refused_and_leaves_the_code_good(
    shop: CurlShop, ref: str, field: str, value: object
) -> None:
    before = shop.balances()
    key = till_key(shop.key_file)
    code = shop.payment_code()
    request = sale(code, ref)
    wrong = request | {field: value}
    texts = request | {name: text for name, text in wrong.items() if isinstance(text, str)}
    refused = redeem(shop, json.dumps(wrong).encode(), signed(key, texts))
    assert refused.status == 400
    assert refused.json["message"]
    assert shop.balances() == before
    assert redeem(shop, json.dumps(request).encode(), signed(key, request)).status == 200


def test_the_points_of_all_are_what_they_were(shop: CurlShop) -> None:
    assert sum(shop.balances()) == POINTS
    assert shop.get(TILL).json["state"] == "STATE_ACTIVE"
