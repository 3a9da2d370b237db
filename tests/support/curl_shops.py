"""A shop whose office and till speak HTTP/JSON alone, by curl and openssl, through Envoy.

Owns: a small programme with one volunteer and one shop, opened over HTTP, and the shipped till.sh.
What it signs by itself, so as to sign it wrongly, it joins itself: no code of the product's takes
part.
"""

import base64
import hashlib
import json
import os
import pathlib
import subprocess
import time
import uuid
from datetime import UTC, datetime
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.support.envoys import CALL_TIMEOUT_S, OPERATOR, Answer, curl, program
from tests.support.keys import ORIGIN
from tests.support.processes import ROOT
from timebank.auth import PrincipalKind
from timebank.clock import SystemClock
from timebank.dev_tokens import development_token

TILL_SCRIPT = ROOT / "deploy" / "envoy" / "till.sh"
LEDGER = "ledgers/weihai"
SHOP = f"{LEDGER}/merchants/barber"
OFFER = f"{SHOP}/offers/shave"
TILL = f"{SHOP}/terminals/till-1"
PRICE = 10
POINTS = 1_000


class Said(NamedTuple):
    """What the till's script did."""

    code: int
    out: str
    error: str

    @property
    def answer(self) -> dict[str, Any]:
        """What it shows of a call that went well."""
        assert self.code == 0, self
        return dict(json.loads(self.out))

    @property
    def reason(self) -> str:
        """Why the server refused."""
        assert self.code == 1, self
        return Answer(0, "", self.error.encode()).reason


class CurlShop:
    """An office that calls as an operator, and a till with a token and a key of its own."""

    def __init__(self, folder: pathlib.Path, base: str) -> None:
        """Takes the server's folder and Envoy's address."""
        self.base = base
        self.folder = folder
        self.key_file = folder / "till.pem"
        self.points_account = ""
        self.shop_account = ""

    def token(self, kind: PrincipalKind, id: str) -> str:
        """A token for somebody, as the development key signs it."""
        return development_token(self.folder / "data", kind, id, clock=SystemClock())

    def get(self, path: str, token: str = OPERATOR, **query: str) -> Answer:
        """Reads."""
        words = [word for pair in query.items() for word in ("--data-urlencode", "=".join(pair))]
        return curl(f"{self.base}/v1/{path}", "--get", *words, headers=_bearer(token))

    def post(self, path: str, token: str = OPERATOR, **fields: Any) -> dict[str, Any]:
        """Does what must go well, with a request id of its own."""
        body = json.dumps({"requestId": str(uuid.uuid4())} | fields).encode()
        answer = curl(f"{self.base}/v1/{path}", body=body, headers=_bearer(token))
        assert answer.status == 200, (path, answer)
        return answer.json

    def open(self) -> None:
        """Makes the ledger, a volunteer who has POINTS, and the shop with its offer."""
        # A zone in which no day ends while the test runs.
        zone = "Asia/Shanghai" if datetime.now(UTC).hour in (23, 0) else "Etc/UTC"
        named = {"displayName": "威海时间银行", "timeZone": zone, "logOrigin": ORIGIN}
        self.post("ledgers", ledgerId="weihai", ledger=named)
        member = self.post(f"{LEDGER}/members", memberId="wang", member={"homeUnit": "huancui/12"})
        self.points_account = str(member["pointsAccount"])
        query = {"unit": "UNIT_POINTS", "kind": "ACCOUNT_KIND_ISSUANCE"}
        (issuance,) = self.get(f"{LEDGER}/accounts", **query).json["accounts"]
        postings = [
            {"account": account, "unit": "UNIT_POINTS", "amount": amount}
            for account, amount in ((issuance["name"], -POINTS), (self.points_account, POINTS))
        ]
        opening = {"kind": "ENTRY_KIND_OPENING_BALANCE", "postings": postings}
        self.post(f"{LEDGER}/entries", post=opening)
        budget = {"displayName": "兑换预算", "limitFen": "100000"}
        self.post(f"{LEDGER}/budgets/2026:set", budget=budget)
        terms = {"fenPerHundredPoints": "100", "budget": f"{LEDGER}/budgets/2026"}
        merchant = {"displayName": "幸福理发店", "category": "CATEGORY_SERVICE"} | terms
        made = self.post(f"{LEDGER}/merchants", merchantId="barber", merchant=merchant)
        self.shop_account = str(made["pointsAccount"])
        offer = {"title": "修面", "unit": "UNIT_POINTS", "price": PRICE}
        self.post(f"{SHOP}/offers", offerId="shave", offer=offer)

    def terminal(self, terminal_id: str) -> str:
        """Creates a till and gives its enrolment code."""
        made = {"displayName": "收银台"}
        answer = self.post(f"{SHOP}/terminals", terminalId=terminal_id, terminal=made)
        return str(answer["enrolmentCode"])

    def payment_code(self) -> str:
        """Issues a payment code as a phone of the volunteer's does."""
        device = uuid.uuid4().hex
        return str(self.post(f"{LEDGER}/members/wang:issuePaymentCode", device=device)["code"])

    def balances(self) -> tuple[int, int]:
        """POINTS of the volunteer and of the shop."""
        accounts = (self.points_account, self.shop_account)
        posted = [self.get(f"{account}:balance").json["posted"] for account in accounts]
        return int(posted[0]), int(posted[1])

    def till(self, *words: str, typed: str = "", **variables: str) -> Said:
        """Runs the till's script; what is typed comes on its standard input."""
        program("curl"), program("openssl")
        settings = {
            "TIMEBANK_HTTP": self.base,
            "TIMEBANK_TERMINAL": TILL,
            "TIMEBANK_TILL_KEY": str(self.key_file),
            "TIMEBANK_TOKEN": self.token(PrincipalKind.TERMINAL, "barber/till-1"),
        }
        done = subprocess.run(
            [program("bash"), str(TILL_SCRIPT), *words],
            input=f"{typed}\n",
            env=os.environ | settings | variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=CALL_TIMEOUT_S,
        )
        return Said(done.returncode, done.stdout, done.stderr)


def sale(code: str, merchant_ref: str, **changes: Any) -> dict[str, Any]:
    """A request to sell one shave."""
    till = {"terminal": TILL, "offer": OFFER, "quantity": 1, "paymentCode": code}
    return {"requestId": str(uuid.uuid4()), "merchantRef": merchant_ref} | till | changes


def till_key(key_file: pathlib.Path) -> Ed25519PrivateKey:
    """The private key that the script made."""
    key = load_pem_private_key(key_file.read_bytes(), password=None)
    assert isinstance(key, Ed25519PrivateKey)
    return key


def signed(key: Ed25519PrivateKey, request: dict[str, Any], **changes: str) -> dict[str, str]:
    """The headers of a sale that a till signs; `changes` are to the headers, unsigned."""
    stamp, nonce = str(int(time.time())), uuid.uuid4().hex
    signature = key.sign(sale_text(request, stamp, nonce))
    headers = {
        "timebank-terminal": TILL,
        "timebank-timestamp": stamp,
        "timebank-nonce": nonce,
        "timebank-signature": base64url(signature),
    }
    return headers | {key.replace("_", "-"): value for key, value in changes.items()}


def sale_text(request: dict[str, Any], timestamp: str, nonce: str) -> bytes:
    """The lines of TB1 for RedeemPoints."""
    digest = hashlib.sha256(request["paymentCode"].encode()).hexdigest()
    amount = str(request.get("amount", 0))
    named = (request["requestId"], request["merchantRef"], amount)
    return "\n".join(("TB1", "RedeemPoints", *named, digest, timestamp, nonce)).encode()


def base64url(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"} if token else {}
