"""Bearer tokens: JSON web tokens checked against a file of public keys.

Owns: which algorithms and claims count. Refuses: fetching keys over the network and tokens signed
with a shared secret.
Rules: a token names its key, issuer, audience, subject, start and end, and what it may do; a
changed key file counts within a second, and tokens of a key that left it count no more; a broken
new file leaves the keys as they were.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jwt
import structlog
from jwt import PyJWK, PyJWKSet
from jwt.exceptions import PyJWTError

from timebank.auth import Principal, PrincipalKind
from timebank.clock import Clock
from timebank.errors import Reason, TimebankError

ALGORITHMS = ("EdDSA", "ES256", "RS256")
REQUIRED_CLAIMS = ("iss", "aud", "sub", "nbf", "exp", "kind", "ledgers")
LEEWAY_SECONDS = 5
TOKEN_CHARACTERS_MAX = 8_192
KEYS_MAX = 100
KEY_FILE_BYTES_MAX = 1_048_576
TOKENS_CACHED_MAX = 10_000
RELOAD_US = 1_000_000
SECONDS_MAX = 2**53
"""Times beyond it are no times: neither whole seconds nor numbers at all."""
ALL_LEDGERS = "*"
UNREADABLE = (PyJWTError, ValueError, KeyError, TypeError, AttributeError, RecursionError)
"""What a file that is no key set may raise while it is read."""


class TokenVerifier:
    """Turns bearer tokens into principals; a token that was good is remembered until it ends."""

    def __init__(
        self,
        jwks_file: Path,
        *,
        issuer: str,
        audience: str,
        clock: Clock,
        logger: structlog.typing.FilteringBoundLogger,
    ) -> None:
        """Reads the key file. Raises: VALIDATION_FAILED when it cannot be used."""
        self._jwks_file = jwks_file
        self._issuer = issuer
        self._audience = audience
        self._clock = clock
        self._logger = logger
        self._known: dict[str, tuple[Principal, int]] = {}
        self._stamp = _stamp(jwks_file)
        self._keys = read_keys(jwks_file)
        self._checked_us = clock.now_us()

    def principal(self, token: str) -> Principal:
        """Gives the principal of a token.

        Raises: TOKEN_INVALID when it is malformed, unsigned by a known key, for somebody else, or
        not valid now.

        """
        now_us = self._clock.now_us()
        if not 0 <= now_us - self._checked_us < RELOAD_US:
            self._reload(now_us)
        known = self._known.get(token)
        if known is not None and now_us < known[1]:
            return known[0]
        self._known.pop(token, None)
        principal, ends_us = self._verify(token, now_us)
        if len(self._known) >= TOKENS_CACHED_MAX:
            del self._known[next(iter(self._known))]
        self._known[token] = (principal, ends_us)
        return principal

    def _reload(self, now_us: int) -> None:
        """Takes over the key file when it changed."""
        self._checked_us = now_us
        stamp = _stamp(self._jwks_file)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._keys = read_keys(self._jwks_file)
        except TimebankError as error:
            self._logger.error("key file of tokens not taken over", error=error.message)
            return
        self._known.clear()
        self._logger.info("key file of tokens taken over", keys=len(self._keys))

    def _verify(self, token: str, now_us: int) -> tuple[Principal, int]:
        """Checks a token for the first time; returns its principal and its end in microseconds."""
        if len(token) > TOKEN_CHARACTERS_MAX:
            raise _invalid(f"expected at most {TOKEN_CHARACTERS_MAX} characters, got {len(token)}")
        if not token.isascii():
            raise _invalid("expected a token of ASCII characters")
        try:
            key_id = jwt.get_unverified_header(token).get("kid")
            key = self._keys.get(key_id) if isinstance(key_id, str) else None
            if key is None:
                raise _invalid("expected a key id (kid) of the key file, got an unknown one")
            claims = jwt.decode(
                token,
                key,
                algorithms=[key.algorithm_name],
                issuer=self._issuer,
                audience=self._audience,
                options={
                    "require": list(REQUIRED_CLAIMS),
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
        except PyJWTError as error:
            raise _invalid(f"{type(error).__name__}: {str(error)[:200]}") from error
        ends_us = _check_times(claims, now_us)
        return _principal(claims), ends_us


def read_keys(jwks_file: Path) -> dict[str, PyJWK]:
    """Reads a JSON web key set: the public signing keys by key id.

    Raises: VALIDATION_FAILED when the file is missing, malformed, or holds no usable key.
    """
    try:
        with open(jwks_file, "rb") as file:
            text = file.read(KEY_FILE_BYTES_MAX + 1)
    except OSError as error:
        raise _unusable(jwks_file, f"cannot be read ({error.strerror})") from error
    if len(text) > KEY_FILE_BYTES_MAX:
        raise _unusable(jwks_file, f"expected at most {KEY_FILE_BYTES_MAX} bytes, got more")
    try:
        found = PyJWKSet.from_json(text.decode()).keys
    except UNREADABLE as error:
        raise _unusable(jwks_file, "expected a JSON web key set, got something else") from error
    keys = {
        key.key_id: key
        for key in found
        if key.key_id
        and isinstance(key.key_id, str)
        and key.algorithm_name in ALGORITHMS
        and key.public_key_use in (None, "sig")
    }
    if not keys or len(found) > KEYS_MAX:
        kinds = " or ".join(ALGORITHMS)
        raise _unusable(jwks_file, f"expected 1 to {KEYS_MAX} keys with a kid for {kinds}")
    return keys


def _check_times(claims: Mapping[str, Any], now_us: int) -> int:
    """Checks start and end of a token; returns its end in microseconds, leeway included."""
    starts_s, ends_s = claims["nbf"], claims["exp"]
    for name, value in (("nbf", starts_s), ("exp", ends_s)):
        if type(value) not in (int, float) or not abs(value) < SECONDS_MAX:
            raise _invalid(f"claim {name}: expected seconds since 1970")
    if now_us < (starts_s - LEEWAY_SECONDS) * 1_000_000:
        raise _invalid("expected a token that is valid already; check the clocks")
    ends_us = int((ends_s + LEEWAY_SECONDS) * 1_000_000)
    if now_us >= ends_us:
        raise _invalid("expected a token that is still valid; get a new one")
    return ends_us


def _principal(claims: Mapping[str, Any]) -> Principal:
    """Reads kind, id, ledgers and units out of verified claims."""
    words = {kind.value: kind for kind in PrincipalKind}
    kind = words.get(claims["kind"]) if isinstance(claims["kind"], str) else None
    if kind is None:
        raise _invalid(f"claim kind: expected one of {', '.join(words)}")
    subject = claims["sub"]
    if not isinstance(subject, str) or not subject or not subject.isprintable():
        raise _invalid("claim sub: expected the id of the caller")
    ledgers = None
    if claims["ledgers"] != ALL_LEDGERS:
        ledgers = _texts("ledgers", claims["ledgers"])
    return Principal(kind, subject, ledgers, _texts("units", claims.get("units", [])))


def _texts(name: str, value: object) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _invalid(f"claim {name}: expected a list of ids")
    return frozenset(value)


def _stamp(path: Path) -> tuple[int, ...]:
    """Gives what changes when a file is written or replaced; empty when there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return ()
    return (status.st_ino, status.st_size, status.st_mtime_ns)


def _invalid(message: str) -> TimebankError:
    return TimebankError(Reason.TOKEN_INVALID, f"token: {message}")


def _unusable(path: Path, what: str) -> TimebankError:
    return TimebankError(Reason.VALIDATION_FAILED, f"identity.jwks_file {path}: {what}")
