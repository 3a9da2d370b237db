"""Identities for a developer's machine: a key of their own and tokens to try the server with.

Owns: the development key in the data directory. Refuses: being used outside `identity.mode =
"development"`; issuer and audience say so in every token.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm

from timebank.auth import PrincipalKind
from timebank.clock import Clock
from timebank.key_files import PUBLIC_MODE, SECRET_MODE, exclusive, read_secret, write_file
from timebank.tokens import ALL_LEDGERS

ISSUER = "timebank-development"
AUDIENCE = "timebank"
KEY_ID = "development"
LIFE_SECONDS = 30 * 86_400
DIRECTORY = "development"
KEY_FILE = "token.pem"
JWKS_FILE = "jwks.json"
OFFICER_UNITS = ("huancui",)
"""Units of the development officer 环翠区."""
PEOPLE: Mapping[str, tuple[PrincipalKind, str]] = {
    "member": (PrincipalKind.MEMBER, "volunteer-1"),
    "officer": (PrincipalKind.OFFICER, "li"),
    "till": (PrincipalKind.TERMINAL, "till-1"),
    "platform": (PrincipalKind.CREDIT_PLATFORM, "city"),
    "service": (PrincipalKind.SERVICE, "matching"),
    "auditor": (PrincipalKind.AUDITOR, "wang"),
}


def development_jwks(data_directory: Path) -> Path:
    """Gives the file of the public development key; makes the key when there is none.

    Raises: SIGNER_UNAVAILABLE when the files cannot be read or written.
    """
    directory = data_directory / DIRECTORY
    key_file, jwks_file = directory / KEY_FILE, directory / JWKS_FILE
    if not (key_file.exists() and jwks_file.exists()):
        with exclusive(key_file):
            private = Ed25519PrivateKey.generate()
            public: dict[str, Any] = OKPAlgorithm.to_jwk(private.public_key(), as_dict=True)
            public |= {"kid": KEY_ID, "alg": "EdDSA", "use": "sig"}
            write_file(key_file, _pem(private), SECRET_MODE)
            write_file(jwks_file, json.dumps({"keys": [public]}) + "\n", PUBLIC_MODE)
    return jwks_file


def development_token(
    data_directory: Path,
    kind: PrincipalKind,
    id: str,
    *,
    clock: Clock,
    ledgers: Iterable[str] | None = None,
    units: Iterable[str] = (),
    life_seconds: int = LIFE_SECONDS,
) -> str:
    """Makes a token for a principal; `ledgers` None means all. The development key must exist.

    Raises: SIGNING_KEY_MISSING or SIGNER_UNAVAILABLE when the key cannot be read.
    """
    now_s = clock.now_us() // 1_000_000
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": id,
        "nbf": now_s,
        "exp": now_s + life_seconds,
        "kind": kind.value,
        "ledgers": ALL_LEDGERS if ledgers is None else sorted(ledgers),
        "units": sorted(units),
    }
    key = read_secret(data_directory / DIRECTORY / KEY_FILE)
    return jwt.encode(claims, key, algorithm="EdDSA", headers={"kid": KEY_ID})


def development_tokens(data_directory: Path, *, clock: Clock) -> dict[str, str]:
    """Makes a token for each of PEOPLE, by the word for them, and leaves each in its file.

    Raises: SIGNER_UNAVAILABLE when the files cannot be read or written.
    """
    development_jwks(data_directory)
    tokens = {
        word: development_token(
            data_directory,
            kind,
            id,
            clock=clock,
            units=OFFICER_UNITS if kind is PrincipalKind.OFFICER else (),
        )
        for word, (kind, id) in PEOPLE.items()
    }
    for word, token in tokens.items():
        write_file(token_file(data_directory, word), f"{token}\n", SECRET_MODE)
    return tokens


def token_file(data_directory: Path, word: str) -> Path:
    """Gives the file that the token of one of PEOPLE is left in."""
    return data_directory / DIRECTORY / f"{word}.token"


def _pem(private: Ed25519PrivateKey) -> str:
    return private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
