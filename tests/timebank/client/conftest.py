"""A fake ledger server and a client of it."""

from collections.abc import AsyncIterator

import pytest

from tests.timebank.client.fakes import LEDGER, FakeLedger, Pauses, patient, served
from timebank.client import LedgerClient


@pytest.fixture
def fake() -> FakeLedger:
    return FakeLedger()  # type: ignore[abstract]  # what it leaves out answers UNIMPLEMENTED


@pytest.fixture
def pauses() -> Pauses:
    return Pauses()


@pytest.fixture
async def address(fake: FakeLedger) -> AsyncIterator[str]:
    async with served(fake) as address:
        yield address


@pytest.fixture
async def client(address: str, pauses: Pauses) -> AsyncIterator[LedgerClient]:
    async with LedgerClient.connect(address, ledger=LEDGER, repetition=patient(pauses)) as client:
        yield client
