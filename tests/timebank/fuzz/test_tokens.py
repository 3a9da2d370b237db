"""Hostile bearer tokens and key sets: refused with TOKEN_INVALID and VALIDATION_FAILED, never
otherwise.
"""

import base64
import json
import pathlib
from typing import Any

import jwt
import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from jwt.algorithms import ECAlgorithm, OKPAlgorithm

from tests.timebank.fuzz.mutations import accepted, damaged_bytes, damaged_text
from timebank.clock import ManualClock
from timebank.errors import Reason
from timebank.tokens import TokenVerifier, read_keys

NOW_S = 1_800_000_000
PRIVATE = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
CLAIMS: dict[str, Any] = {
    "iss": "https://id.example",
    "aud": "timebank",
    "sub": "till-1",
    "nbf": NOW_S,
    "exp": NOW_S + 600,
    "kind": "terminal",
    "ledgers": ["weihai"],
}
SHARED_FOLDER = [HealthCheck.function_scoped_fixture]


def key_set() -> list[dict[str, Any]]:
    ec = generate_ec(SECP256R1())
    okp: dict[str, Any] = OKPAlgorithm.to_jwk(PRIVATE.public_key(), as_dict=True)
    other: dict[str, Any] = ECAlgorithm.to_jwk(ec.public_key(), as_dict=True)
    rsa = {"kty": "RSA", "n": "sXch" * 85 + "w", "e": "AQAB"}
    return [
        okp | {"kid": "a", "alg": "EdDSA"},
        other | {"kid": "b", "alg": "ES256"},
        rsa | {"kid": "c", "alg": "RS256", "use": "sig"},
    ]


KEYS = key_set()


def token(**changes: Any) -> str:
    return jwt.encode(CLAIMS | changes, PRIVATE, algorithm="EdDSA", headers={"kid": "a"})


@pytest.fixture(scope="module")
def verifier(tmp_path_factory: pytest.TempPathFactory) -> TokenVerifier:
    path = tmp_path_factory.mktemp("keys") / "jwks.json"
    path.write_text(json.dumps({"keys": KEYS[:2]}), encoding="utf-8")
    return TokenVerifier(
        path,
        issuer="https://id.example",
        audience="timebank",
        clock=ManualClock(NOW_S * 1_000_000),
        logger=structlog.get_logger("test"),
    )


def part(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


@settings(max_examples=250, deadline=None)
@given(text=damaged_text(token()))
def test_a_damaged_token_is_refused(verifier: TokenVerifier, text: str) -> None:
    found = accepted(lambda: verifier.principal(text), Reason.TOKEN_INVALID)
    assert found is None or found == verifier.principal(token())


@settings(max_examples=250, deadline=None)
@given(header=damaged_text('{"alg":"EdDSA","kid":"a","typ":"JWT"}'))
def test_a_hostile_header_is_refused(verifier: TokenVerifier, header: str) -> None:
    made = part(header.encode(errors="replace").decode()) + token()[token().index(".") :]
    found = accepted(lambda: verifier.principal(made), Reason.TOKEN_INVALID)
    assert found is None or found.id == "till-1"


@pytest.mark.parametrize(
    "header",
    [
        "[" * 6_000,
        '{"a":' * 1_100,
        '{"alg":"EdDSA","kid":"a","x":' + "[" * 3_000 + "]" * 2_000,
        '{"alg":"EdDSA","kid":' + "9" * 5_000 + "}",
        '{"alg":"none","kid":"a"}',
        '{"alg":["EdDSA"],"kid":"a"}',
        '{"alg":"EdDSA","kid":["a"]}',
        '{"alg":"EdDSA","kid":"a","b64":false,"crit":["b64"]}',
        "null",
        "[]",
        "",
    ],
)
def test_an_extreme_header_is_refused(verifier: TokenVerifier, header: str) -> None:
    made = f"{part(header)}.{part('{}')}.{part('x' * 64)}"
    assert accepted(lambda: verifier.principal(made), Reason.TOKEN_INVALID) is None


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        *[(claim, value) for claim in ("exp", "nbf") for value in (float("nan"), float("inf"))],
        *[(claim, value) for claim in ("exp", "nbf") for value in (1e308, -1e308, 10**400, "1")],
        *[("sub", value) for value in ("", "\n", 5, ["a"], None)],
        *[("kind", value) for value in ("", "king", 5, ["member"], {"a": 1})],
        *[("ledgers", value) for value in ("weihai", 5, [5], {"weihai": 1}, [["a"]])],
        *[("aud", value) for value in ([], [5], 5, {"timebank": 1})],
        *[("iss", value) for value in (5, ["https://id.example"])],
        *[("units", value) for value in ("POINTS", [5], {"a": 1})],
    ],
)
def test_a_signed_claim_of_another_kind_is_refused_or_read(
    verifier: TokenVerifier, claim: str, value: Any
) -> None:
    payload = json.dumps(CLAIMS | {claim: value})
    signed = f"{part(json.dumps({'alg': 'EdDSA', 'kid': 'a'}))}.{part(payload)}"
    signature = base64.urlsafe_b64encode(PRIVATE.sign(signed.encode())).rstrip(b"=").decode()
    accepted(lambda: verifier.principal(f"{signed}.{signature}"), Reason.TOKEN_INVALID)


@settings(max_examples=250, deadline=None, suppress_health_check=SHARED_FOLDER)
@given(data=damaged_bytes(json.dumps({"keys": KEYS}).encode()))
def test_hostile_key_sets_are_only_ever_refused(tmp_path: pathlib.Path, data: bytes) -> None:
    path = tmp_path / "jwks.json"
    path.write_bytes(data)
    keys = accepted(lambda: read_keys(path))
    assert keys is None or all(keys)


@pytest.mark.parametrize(
    "field", ["kid", "kty", "alg", "use", "crv", "x", "y", "n", "e", "key_ops", "d", "k", "oth"]
)
@pytest.mark.parametrize("value", [None, 5, "", "AQ", [1], {"a": [1]}, True, 1.5, "\ud800", [[]]])
def test_a_key_with_a_field_of_another_kind_is_refused_or_left_out(
    tmp_path: pathlib.Path, field: str, value: Any
) -> None:
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps({"keys": [key | {field: value} for key in KEYS]}), encoding="utf-8")
    keys = accepted(lambda: read_keys(path))
    assert keys is None or set(keys) <= {"a", "b", "c", "AQ", "\ud800"}


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"keys":' * 20_000, '{"keys":' + "[" * 100_000, "9" * 5_000, "\ufeff{}"],
)
def test_an_extreme_key_set_is_refused(tmp_path: pathlib.Path, text: str) -> None:
    path = tmp_path / "jwks.json"
    path.write_text(text, encoding="utf-8")
    assert accepted(lambda: read_keys(path)) is None
