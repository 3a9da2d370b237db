"""Which failures a call survives, and what callers learn of the others."""

import grpc
import pytest

from tests.timebank.client.fakes import LEDGER, PARENT, FakeLedger, Pauses, patient
from timebank.client import LedgerClient, Repetition, Unit
from timebank.errors import Reason, TimebankError

REPEATED = [
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.UNKNOWN,
    TimebankError(Reason.DEADLINE_PASSED, "the deadline passed before the batch was taken"),
]
GIVEN_BACK = [
    (TimebankError(Reason.ETAG_MISMATCH, "the account changed"), Reason.ETAG_MISMATCH),
    (TimebankError(Reason.LEDGER_NOT_FOUND, "no such ledger"), Reason.LEDGER_NOT_FOUND),
    (TimebankError(Reason.QUEUE_FULL, "too many writes wait"), Reason.QUEUE_FULL),
    (grpc.StatusCode.PERMISSION_DENIED, Reason.SCOPE_MISSING),
    (grpc.StatusCode.INVALID_ARGUMENT, Reason.VALIDATION_FAILED),
    (grpc.StatusCode.INTERNAL, Reason.DATABASE_UNAVAILABLE),
]


@pytest.mark.parametrize("failure", REPEATED, ids=str)
async def test_a_call_is_repeated_after(
    failure: grpc.StatusCode | TimebankError, fake: FakeLedger, client: LedgerClient, pauses: Pauses
) -> None:
    fake.failures = [failure]
    assert (await client.get_ledger()).name == PARENT
    assert (len(fake.requests), len(pauses.seconds)) == (2, 1)


@pytest.mark.parametrize(("failure", "reason"), GIVEN_BACK, ids=lambda value: str(value))
async def test_a_call_is_given_back_at_once_after(
    failure: grpc.StatusCode | TimebankError, reason: Reason, fake: FakeLedger, client: LedgerClient
) -> None:
    fake.failures = [failure]
    with pytest.raises(TimebankError) as caught:
        await client.get_ledger()
    assert caught.value.reason is reason
    assert len(fake.requests) == 1


async def test_unavailable_is_repeated_by_the_channel_with_the_same_request_id(
    fake: FakeLedger, client: LedgerClient, pauses: Pauses
) -> None:
    fake.failures = [TimebankError(Reason.READ_ONLY, "a moment")]
    await client.create_account(holder="zhang", unit=Unit.POINTS)
    first, second = fake.requests
    assert first.request_id == second.request_id
    assert pauses.seconds == []


async def test_attempts_are_limited_and_the_last_failure_is_raised(
    fake: FakeLedger, address: str, pauses: Pauses
) -> None:
    fake.failures = [grpc.StatusCode.ABORTED] * 3
    repetition = patient(pauses, attempts_max=3)
    async with LedgerClient.connect(address, ledger=LEDGER, repetition=repetition) as client:
        with pytest.raises(TimebankError, match="not known: ask again"):
            await client.get_ledger()
    assert (len(fake.requests), len(pauses.seconds)) == (3, 2)


async def test_an_answer_that_is_too_late_is_asked_for_again(
    fake: FakeLedger, address: str, pauses: Pauses
) -> None:
    fake.open_gate.clear()
    repetition = patient(pauses, attempts_max=2)
    async with LedgerClient.connect(
        address, ledger=LEDGER, timeout_s=0.1, repetition=repetition
    ) as client:
        with pytest.raises(TimebankError) as caught:
            await client.get_ledger()
    assert caught.value.reason is Reason.DEADLINE_PASSED
    assert len(fake.requests) == 2


def test_pauses_double_up_to_their_limit() -> None:
    repetition = Repetition(pause_s=0.1, pause_max_s=0.5)
    for attempt, full_s in enumerate([0.1, 0.2, 0.4, 0.5, 0.5], start=1):
        assert full_s / 2 <= repetition.pause_after(attempt) <= full_s


async def test_calls_say_who_asks_for_whom_in_which_language(
    fake: FakeLedger, address: str
) -> None:
    tokens = iter(["first", "second"])
    async with LedgerClient.connect(
        address, ledger=LEDGER, token=lambda: next(tokens), actor="MEMBER/zhang", language="zh-CN"
    ) as client:
        await client.get_ledger()
        await client.get_ledger()
    first, second = fake.metadata
    assert (first["authorization"], second["authorization"]) == ("Bearer first", "Bearer second")
    assert (first["timebank-actor"], first["accept-language"]) == ("MEMBER/zhang", "zh-CN")


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    async with LedgerClient.connect("127.0.0.1:1", ledger=LEDGER) as client:
        with pytest.raises(TimebankError) as caught:
            await client.get_ledger()
    assert caught.value.code is grpc.StatusCode.UNAVAILABLE


async def test_violations_reach_the_caller(fake: FakeLedger, client: LedgerClient) -> None:
    refusal = TimebankError(
        Reason.VALIDATION_FAILED, "2 fields", violations=[("amount", "at least 1"), ("unit", "?")]
    )
    fake.failures = [refusal]
    with pytest.raises(TimebankError) as caught:
        await client.get_ledger()
    assert caught.value.violations == refusal.violations
