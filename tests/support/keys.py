"""Signing keys for the ledgers of a test, made in the folder of its server."""

import pathlib

from timebank.signing import KeyRing

ORIGIN = "timebank.example/test"


def make_key(folder: pathlib.Path, origin: str = ORIGIN) -> str:
    """Makes the first key of an origin in `folder`/data/keys and returns its verifier key."""
    return KeyRing(folder / "data" / "keys").create(origin).vkey
