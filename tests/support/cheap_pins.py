"""PINs in tests: the real Argon2id at the smallest cost that it takes, so that many are quick."""

import functools

import pytest
from argon2 import PasswordHasher

from merchant.usecases import pin_hashing, wallets


def hash_cheaply(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes every service that starts from now on hash PINs at the smallest cost."""
    cheap = functools.partial(PasswordHasher, time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(pin_hashing, "PasswordHasher", cheap)
    monkeypatch.setattr(wallets, "PIN_OF_NOBODY", cheap().hash("nobody's"))
