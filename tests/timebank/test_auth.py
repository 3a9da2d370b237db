"""Identities: tokens, certificates, the development identity, and what each may do."""

import json
import pathlib
from collections.abc import Iterator
from typing import Any, TextIO

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from tests.timebank.probes import ANYBODY, MATCHING, MEMBER, TILL, TILLS
from timebank import tokens as tokens_module
from timebank.auth import (
    Permission,
    Principal,
    PrincipalKind,
    actor_of,
    calling,
    current_principal,
    permit,
)
from timebank.clock import ManualClock
from timebank.errors import Reason, TimebankError
from timebank.identity import DEVELOPER, Authenticator, principal_from_spiffe
from timebank.telemetry import open_logger
from timebank.tokens import LEEWAY_SECONDS, RELOAD_US, TokenVerifier, read_keys

DOMAIN = "city.example"
NOW_S = 1_800_000_000
ISSUER = "https://id.example"
AUDIENCE = "timebank"


class Keys:
    """Private keys by id, and the key file that tells their public halves."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path
        self.private: dict[str, tuple[str, Any]] = {}
        self.add_ed25519("a")

    def add_ed25519(self, key_id: str) -> None:
        self.private[key_id] = ("EdDSA", Ed25519PrivateKey.generate())
        self.write()

    def write(self) -> None:
        kinds: dict[str, Any] = {"EdDSA": OKPAlgorithm, "ES256": ECAlgorithm, "RS256": RSAAlgorithm}
        rows = [
            {**kinds[alg].to_jwk(key.public_key(), as_dict=True), "kid": key_id, "alg": alg}
            for key_id, (alg, key) in self.private.items()
        ]
        self.path.write_text(json.dumps({"keys": rows}), encoding="utf-8")

    def token(self, key_id: str = "a", **changes: Any) -> str:
        """A valid token with some claims changed; None leaves a claim out."""
        claims: dict[str, Any] = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": "till-1",
            "nbf": NOW_S,
            "exp": NOW_S + 600,
            "kind": "terminal",
            "ledgers": ["weihai"],
        }
        claims = {key: value for key, value in {**claims, **changes}.items() if value is not None}
        alg, private = self.private[key_id]
        return jwt.encode(claims, private, algorithm=alg, headers={"kid": key_id})


@pytest.fixture
def keys(tmp_path: pathlib.Path) -> Keys:
    return Keys(tmp_path / "jwks.json")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW_S * 1_000_000)


@pytest.fixture
def verifier(keys: Keys, clock: ManualClock, log: TextIO) -> TokenVerifier:
    logger = open_logger(log, level="info", format="json")
    return TokenVerifier(keys.path, issuer=ISSUER, audience=AUDIENCE, clock=clock, logger=logger)


@pytest.fixture
def log(tmp_path: pathlib.Path) -> Iterator[TextIO]:
    with open(tmp_path / "log", "w+", encoding="utf-8") as file:
        yield file


def refused(verifier: TokenVerifier, token: str) -> str:
    """The message of a refused token; it must be refused."""
    with pytest.raises(TimebankError) as caught:
        verifier.principal(token)
    assert caught.value.reason is Reason.TOKEN_INVALID
    return caught.value.message


def test_a_token_becomes_its_principal(keys: Keys, verifier: TokenVerifier) -> None:
    token = keys.token(kind="officer", sub="li", ledgers=["a", "b"], units=["street-3"])
    assert verifier.principal(token) == Principal(
        PrincipalKind.OFFICER, "li", frozenset({"a", "b"}), frozenset({"street-3"})
    )


def test_a_token_for_every_ledger_says_so(keys: Keys, verifier: TokenVerifier) -> None:
    principal = verifier.principal(keys.token(ledgers="*"))
    assert principal.ledgers is None
    assert principal.may_use("any")


def test_a_token_of_one_ledger_may_use_no_other(keys: Keys, verifier: TokenVerifier) -> None:
    principal = verifier.principal(keys.token())
    assert principal.may_use("weihai")
    assert not principal.may_use("yantai")


@pytest.mark.parametrize("alg", ["ES256", "RS256"])
def test_the_other_allowed_algorithms_verify(
    keys: Keys, verifier: TokenVerifier, clock: ManualClock, alg: str
) -> None:
    private = generate_ec(SECP256R1()) if alg == "ES256" else generate_rsa(65_537, 2_048)
    keys.private["other"] = (alg, private)
    keys.write()
    clock.advance(us=RELOAD_US)
    assert verifier.principal(keys.token("other")).name == "terminal/till-1"


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://other.example"},
        {"aud": "other"},
        {"sub": ""},
        {"sub": 7},
        {"kind": "root"},
        {"kind": ["terminal"]},
        {"ledgers": "weihai"},
        {"ledgers": [7]},
        {"units": "street"},
        {"nbf": NOW_S + LEEWAY_SECONDS + 1},
        {"exp": NOW_S - LEEWAY_SECONDS},
        {"nbf": "now"},
        {"exp": True},
        *({claim: None} for claim in tokens_module.REQUIRED_CLAIMS),
    ],
    ids=str,
)
def test_a_token_with_a_wrong_or_missing_claim_is_refused(
    keys: Keys, verifier: TokenVerifier, changes: dict[str, Any]
) -> None:
    assert refused(verifier, keys.token(**changes)).startswith("token: ")


def test_a_clock_that_differs_within_the_leeway_is_forgiven(
    keys: Keys, verifier: TokenVerifier
) -> None:
    assert verifier.principal(keys.token(nbf=NOW_S + LEEWAY_SECONDS))
    assert verifier.principal(keys.token(exp=NOW_S - LEEWAY_SECONDS + 1))


def test_a_token_signed_by_another_key_is_refused(
    keys: Keys, verifier: TokenVerifier, tmp_path: pathlib.Path
) -> None:
    assert "InvalidSignature" in refused(verifier, Keys(tmp_path / "other.json").token())


def test_a_token_of_an_unknown_key_is_refused(keys: Keys, verifier: TokenVerifier) -> None:
    token = keys.token()
    head = jwt.encode({}, "x" * 32, algorithm="HS256", headers={"kid": "b"}).split(".")[0]
    assert "key id" in refused(verifier, ".".join([head, *token.split(".")[1:]]))


def test_an_unsigned_token_is_refused(keys: Keys, verifier: TokenVerifier) -> None:
    claims = jwt.decode(keys.token(), options={"verify_signature": False})
    refused(verifier, jwt.encode(claims, "", algorithm="none", headers={"kid": "a"}))


def test_the_public_key_is_no_shared_secret(keys: Keys, verifier: TokenVerifier) -> None:
    claims = jwt.decode(keys.token(), options={"verify_signature": False})
    secret = keys.private["a"][1].public_key().public_bytes_raw()
    refused(verifier, jwt.encode(claims, secret, algorithm="HS256", headers={"kid": "a"}))


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "é.é.é", "a" * 8_193, "e30.e30."])
def test_nonsense_is_refused(verifier: TokenVerifier, token: str) -> None:
    refused(verifier, token)


def test_a_known_token_ends_when_it_says(
    keys: Keys, verifier: TokenVerifier, clock: ManualClock
) -> None:
    token = keys.token()
    verifier.principal(token)
    clock.advance(seconds=600 + LEEWAY_SECONDS)
    assert "still valid" in refused(verifier, token)


def test_a_new_key_counts_and_an_old_one_counts_no_more_after_a_second(
    keys: Keys, verifier: TokenVerifier, clock: ManualClock
) -> None:
    old = keys.token()
    verifier.principal(old)
    del keys.private["a"]
    keys.add_ed25519("b")
    clock.advance(us=RELOAD_US)
    assert verifier.principal(keys.token("b")).name == "terminal/till-1"
    refused(verifier, old)


def test_a_broken_new_key_file_leaves_the_keys_as_they_were(
    keys: Keys, verifier: TokenVerifier, clock: ManualClock, log: TextIO
) -> None:
    keys.path.write_text("{", encoding="utf-8")
    clock.advance(us=RELOAD_US)
    assert verifier.principal(keys.token())
    log.seek(0)
    assert "not taken over" in log.read()


def test_the_memory_for_tokens_is_bounded(
    keys: Keys, verifier: TokenVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens_module, "TOKENS_CACHED_MAX", 2)
    for number in range(5):
        verifier.principal(keys.token(sub=f"till-{number}"))
    assert len(verifier._known) == 2


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"keys": []}',
        '{"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "a", "alg": "HS256"}]}',
        '{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "AA", "kid": "a"}]}',
    ],
)
def test_a_key_file_without_a_usable_key_is_refused(tmp_path: pathlib.Path, text: str) -> None:
    path = tmp_path / "jwks.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(TimebankError, match=r"identity.jwks_file .*jwks.json: expected"):
        read_keys(path)


def test_a_missing_key_file_is_named(tmp_path: pathlib.Path) -> None:
    with pytest.raises(TimebankError, match="No such file"):
        read_keys(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("uri", "principal"),
    [
        ("spiffe://city.example/terminal/till-1", TILL),
        ("spiffe://city.example/service/matching", MATCHING),
        (
            "spiffe://city.example/ledgers/weihai/credit-platform/city",
            Principal(PrincipalKind.CREDIT_PLATFORM, "city", frozenset({"weihai"})),
        ),
    ],
)
def test_a_certificate_becomes_its_principal(uri: str, principal: Principal) -> None:
    authenticator = Authenticator(tokens=None, trust_domain=DOMAIN, development=False)
    context = {"peer_spiffe_id": [uri.encode()]}
    for _ in range(2):
        assert authenticator.principal(None, lambda: context) == principal


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "spiffe://",
        "spiffe:///terminal/till-1",
        "spiffe://city.example/terminal",
        "spiffe://city.example/terminal/",
        "spiffe://city.example/root/x",
        "spiffe://city.example/terminal/till-1/more",
        "spiffe://city.example/ledgers//terminal/till-1",
        "https://city.example/terminal/till-1",
        "spiffe://other.example/terminal/till-1",
    ],
)
def test_a_certificate_with_another_uri_is_refused(uri: str) -> None:
    with pytest.raises(TimebankError) as caught:
        principal_from_spiffe(uri, DOMAIN)
    assert caught.value.reason is Reason.TOKEN_INVALID


def test_a_certificate_counts_only_where_certificates_are_asked_for() -> None:
    authenticator = Authenticator(tokens=None, trust_domain="", development=False)
    context = {"peer_spiffe_id": [b"spiffe://city.example/operator/x"]}
    assert authenticator.principal(None, lambda: context) is None


def test_a_token_wins_over_the_certificate_of_a_proxy(keys: Keys, verifier: TokenVerifier) -> None:
    authenticator = Authenticator(tokens=verifier, trust_domain=DOMAIN, development=False)
    context = {"peer_spiffe_id": [b"spiffe://city.example/service/proxy"]}
    principal = authenticator.principal(f"bearer {keys.token()}", lambda: context)
    assert principal is not None
    assert principal.name == "terminal/till-1"


def test_in_development_who_sends_no_token_is_an_operator_and_a_token_is_verified(
    verifier: TokenVerifier, keys: Keys
) -> None:
    authenticator = Authenticator(tokens=verifier, trust_domain="", development=True)
    assert authenticator.principal(None) == DEVELOPER
    principal = authenticator.principal(f"Bearer {keys.token()}")
    assert principal is not None
    assert principal.kind is PrincipalKind.TERMINAL
    with pytest.raises(TimebankError):
        authenticator.principal("Bearer forged")


@pytest.mark.parametrize("authorization", ["", "Basic eDp5", "Bearer", "Bearer x"])
def test_without_tokens_every_authorization_is_refused(authorization: str) -> None:
    authenticator = Authenticator(tokens=None, trust_domain="", development=False)
    with pytest.raises(TimebankError) as caught:
        authenticator.principal(authorization)
    assert caught.value.reason is Reason.TOKEN_INVALID


@pytest.mark.parametrize(
    ("principal", "permission", "reason"),
    [
        (None, ANYBODY, None),
        (MEMBER, ANYBODY, None),
        (TILL, TILLS, None),
        (None, TILLS, Reason.TOKEN_INVALID),
        (MEMBER, TILLS, Reason.SCOPE_MISSING),
        (TILL, Permission(), Reason.SCOPE_MISSING),
    ],
)
def test_the_permission_decides_who_may_call(
    principal: Principal | None, permission: Permission, reason: Reason | None
) -> None:
    if reason is None:
        permit(principal, permission)
        return
    with pytest.raises(TimebankError) as caught:
        permit(principal, permission)
    assert caught.value.reason is reason


@pytest.mark.parametrize(
    ("principal", "claimed", "actor"),
    [
        (None, "member/x", ""),
        (MEMBER, None, "member/zhang"),
        (MEMBER, "member/other", "member/zhang"),
        (MATCHING, None, "service/matching"),
        (MATCHING, "member/other", "member/other"),
        (DEVELOPER, "member/other", "member/other"),
    ],
)
def test_everybody_acts_for_themselves_unless_they_may_act_for_others(
    principal: Principal | None, claimed: str | None, actor: str
) -> None:
    assert actor_of(principal, claimed) == actor


@pytest.mark.parametrize("claimed", ["", "a\nb", "m" * 129])
def test_an_actor_that_cannot_be_a_name_is_refused(claimed: str) -> None:
    with pytest.raises(TimebankError, match="timebank-actor"):
        actor_of(MATCHING, claimed)


def test_outside_a_call_there_is_no_principal() -> None:
    assert calling() is None
    with pytest.raises(LookupError):
        current_principal()
