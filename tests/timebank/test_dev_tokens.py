"""Development identities work on the machine that made them, and say what they are."""

import io
import pathlib
import stat

import jwt
import pytest

from timebank.auth import PrincipalKind
from timebank.clock import ManualClock
from timebank.dev_tokens import (
    AUDIENCE,
    ISSUER,
    LIFE_SECONDS,
    PEOPLE,
    development_jwks,
    development_token,
    development_tokens,
)
from timebank.errors import Reason, TimebankError
from timebank.telemetry import open_logger
from timebank.tokens import TokenVerifier

NOW_US = 1_800_000_000_000_000


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW_US)


@pytest.fixture
def verifier(tmp_path: pathlib.Path, clock: ManualClock) -> TokenVerifier:
    logger = open_logger(io.StringIO(), level="error", format="json")
    jwks_file = development_jwks(tmp_path)
    return TokenVerifier(jwks_file, issuer=ISSUER, audience=AUDIENCE, clock=clock, logger=logger)


def test_each_token_is_for_the_person_it_is_named_after(
    tmp_path: pathlib.Path, clock: ManualClock, verifier: TokenVerifier
) -> None:
    tokens = development_tokens(tmp_path, clock=clock)
    assert set(tokens) == set(PEOPLE)
    for word, (kind, id) in PEOPLE.items():
        principal = verifier.principal(tokens[word])
        assert (principal.kind, principal.id, principal.ledgers) == (kind, id, None)


def test_a_token_may_be_limited_to_ledgers_and_units(
    tmp_path: pathlib.Path, clock: ManualClock, verifier: TokenVerifier
) -> None:
    token = development_token(
        tmp_path, PrincipalKind.OFFICER, "li", clock=clock, ledgers=["weihai"], units=["street-3"]
    )
    principal = verifier.principal(token)
    assert principal.ledgers == frozenset({"weihai"})
    assert principal.units == {"street-3"}


def test_a_token_ends(tmp_path: pathlib.Path, clock: ManualClock, verifier: TokenVerifier) -> None:
    token = development_tokens(tmp_path, clock=clock)["till"]
    clock.advance(seconds=LIFE_SECONDS + 60)
    with pytest.raises(TimebankError) as caught:
        verifier.principal(token)
    assert caught.value.reason is Reason.TOKEN_INVALID


def test_the_key_is_made_once_and_nobody_else_can_read_it(
    tmp_path: pathlib.Path, clock: ManualClock
) -> None:
    first = development_jwks(tmp_path).read_text(encoding="utf-8")
    assert development_jwks(tmp_path).read_text(encoding="utf-8") == first
    private = next(tmp_path.rglob("*.pem"))
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert '"d"' not in first


def test_a_token_says_that_it_is_for_development(
    tmp_path: pathlib.Path, clock: ManualClock
) -> None:
    for token in development_tokens(tmp_path, clock=clock).values():
        claims = jwt.decode(token, options={"verify_signature": False})
        assert claims["iss"] == "timebank-development"


def test_without_the_key_no_token_is_made(tmp_path: pathlib.Path, clock: ManualClock) -> None:
    with pytest.raises(TimebankError) as caught:
        development_token(tmp_path, PrincipalKind.MEMBER, "zhang", clock=clock)
    assert caught.value.reason is Reason.SIGNING_KEY_MISSING
