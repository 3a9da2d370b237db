"""Detached signatures of settlement files: header, signing input, and what is refused."""

import base64
import hashlib
import json

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from merchant.domain.detached_signatures import (
    detached_jws,
    jws_protected_header,
    jws_signing_input,
    parse_detached_jws,
)
from tests.merchant.domain.settlements import written
from timebank.errors import TimebankError

DIGEST = hashlib.sha256(b"file").hexdigest()
SIGNATURE = bytes(range(64))
GOOD = {"alg": "EdDSA", "b64": False, "crit": ["b64"], "kid": "k1"}


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def with_header(header: str) -> str:
    return f"{base64url(header.encode('utf-8'))}..{base64url(SIGNATURE)}"


def test_the_header_is_the_compact_json_of_its_four_members() -> None:
    header = jws_protected_header("k1")
    text = base64.urlsafe_b64decode(header + "=" * (-len(header) % 4))
    assert text == b'{"alg":"EdDSA","b64":false,"crit":["b64"],"kid":"k1"}'


def test_the_signing_input_is_the_header_a_dot_and_the_unencoded_digest() -> None:
    header = jws_protected_header("k1")
    assert jws_signing_input(header, DIGEST) == f"{header}.{DIGEST}".encode("ascii")


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=200))
def test_what_was_joined_is_parsed_to_the_same_key_input_and_signature(kid: str) -> None:
    header = jws_protected_header(kid)
    found = parse_detached_jws(detached_jws(header, SIGNATURE))
    assert found.kid == kid
    assert found.signature == SIGNATURE
    assert found.signing_input(DIGEST) == jws_signing_input(header, DIGEST)


def test_another_library_verifies_the_signature_of_a_file() -> None:
    key = Ed25519PrivateKey.from_private_bytes(bytes(32))
    digest = hashlib.sha256(written([])).hexdigest()
    header = jws_protected_header("k1")
    text = detached_jws(header, key.sign(jws_signing_input(header, digest)))
    verified = jwt.PyJWS().decode_complete(
        text, key.public_key(), algorithms=["EdDSA"], detached_payload=digest.encode("ascii")
    )
    assert verified["header"]["kid"] == "k1"


def test_another_library_writes_the_same_signature() -> None:
    key = Ed25519PrivateKey.from_private_bytes(bytes(32))
    theirs = jwt.PyJWS().encode(
        DIGEST.encode("ascii"),
        key,
        algorithm="EdDSA",
        headers={"kid": "k1", "b64": False, "crit": ["b64"]},
        is_payload_detached=True,
        sort_headers=True,
    )
    parsed = jwt.get_unverified_header(theirs)
    assert parsed["b64"] is False
    key.public_key().verify(
        base64.urlsafe_b64decode(theirs.rpartition(".")[2] + "=="),
        jws_signing_input(theirs.partition(".")[0], DIGEST),
    )


@pytest.mark.parametrize("digest", ["", "a" * 63, "A" * 64, "a" * 64 + "\n", "g" * 64])
def test_a_digest_of_another_form_is_not_signed(digest: str) -> None:
    with pytest.raises(TimebankError, match="digest"):
        jws_signing_input(jws_protected_header("k1"), digest)


@pytest.mark.parametrize("kid", ["", "a b", "钥", "k" * 201, "k\n"])
def test_a_key_id_that_is_not_visible_ascii_is_refused(kid: str) -> None:
    with pytest.raises(TimebankError, match="kid"):
        jws_protected_header(kid)
    with pytest.raises(TimebankError, match="kid"):
        parse_detached_jws(with_header(json.dumps(GOOD | {"kid": kid})))


@pytest.mark.parametrize("signature", [b"", bytes(63), bytes(65)])
def test_a_signature_of_another_length_is_refused(signature: bytes) -> None:
    header = jws_protected_header("k1")
    with pytest.raises(TimebankError, match="64 bytes"):
        detached_jws(header, signature)
    with pytest.raises(TimebankError, match="64 bytes"):
        parse_detached_jws(f"{header}..{base64url(signature)}")


@pytest.mark.parametrize(
    "header",
    [
        json.dumps(GOOD | {"alg": "none"}),
        json.dumps(GOOD | {"alg": "HS256"}),
        json.dumps(GOOD | {"b64": True}),
        json.dumps(GOOD | {"b64": 0}),
        json.dumps(GOOD | {"b64": "false"}),
        json.dumps(GOOD | {"crit": []}),
        json.dumps(GOOD | {"crit": ["b64", "exp"]}),
        json.dumps(GOOD | {"crit": "b64"}),
        json.dumps(GOOD | {"kid": 1}),
        json.dumps(GOOD | {"kid": {"a": 1}}),
        json.dumps(GOOD | {"jwk": {}}),
        json.dumps({name: GOOD[name] for name in ("alg", "b64", "crit")}),
        '{"alg":"EdDSA","alg":"none","b64":false,"crit":["b64"],"kid":"k1"}',
        '{"alg":"EdDSA","b64":false,"crit":["b64"],"kid":"k1","kid":"k2"}',
        '[["alg","EdDSA"],["b64",false],["crit",["b64"]],["kid","k1"]]',
        "{}",
        "[]",
        "null",
        "",
        "{",
        "[" * 1_000,
    ],
)
def test_any_other_header_is_refused(header: str) -> None:
    with pytest.raises(TimebankError, match="header"):
        parse_detached_jws(with_header(header))


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("..", "."),
        lambda text: text.replace("..", ".e30."),
        lambda text: text + ".",
        lambda text: text + "=",
        lambda text: text + "\n",
        lambda text: " " + text,
        lambda text: text[:-1] + "B",
        lambda text: text.replace("..", "é.."),
        lambda text: "x" * 3_000 + text,
    ],
)
def test_text_of_another_form_is_refused(change: object) -> None:
    assert callable(change)
    with pytest.raises(TimebankError):
        parse_detached_jws(change(with_header(json.dumps(GOOD))))


@given(st.text(max_size=100) | st.text("AQgw-_.=", max_size=100))
def test_any_text_is_refused_and_nothing_else_happens(text: str) -> None:
    with pytest.raises(TimebankError):
        parse_detached_jws(text)
