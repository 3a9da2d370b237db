"""Requests carry what the caller said; answers come back in Python words."""

import dataclasses
import enum
import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest

from tests.timebank.client.fakes import PARENT, FakeLedger
from timebank.client import (
    CHAINED_HOLD,
    AccountKind,
    AccountState,
    CaptureHold,
    Chain,
    ChainResult,
    Command,
    CreateHold,
    EntryKind,
    HoldKind,
    HoldState,
    LedgerClient,
    Leg,
    OpenAccount,
    Post,
    Refund,
    Reverse,
    Unit,
    VoidHold,
    move,
)
from timebank.client.answers import account_from_wire, hold_from_wire
from timebank.client.entries import entry_from_wire
from timebank.client.names import Names
from timebank.client.requests import command_to_wire
from timebank.errors import Reason, TimebankError
from timebank.ledger.v1 import account_pb2, entry_pb2, hold_pb2, ledger_pb2
from timebank.ledger.v1.ledger_service_pb2 import LoggedEntry

NAMES = Names("weihai")
SHANGHAI = timezone(timedelta(hours=8))
NOON = datetime(2026, 11, 24, 12, 0, 0, 123_456, tzinfo=SHANGHAI)
DECLINE = TimebankError(Reason.HOLD_NOT_FOUND, "no such hold")
REQUEST_ID = str(uuid.UUID(int=7))

COMMANDS: list[tuple[Command, str, dict[str, object]]] = [
    (
        Post(
            kind=EntryKind.REDEMPTION,
            postings=move(debit="a", credit="b", unit=Unit.POINTS, amount=5),
            natural_key="k",
            cause="c",
            policy_version="p",
            memo="m",
        ),
        "post",
        {"kind": 28, "natural_key": "k", "cause": "c", "policy_version": "p", "memo": "m"},
    ),
    (
        CreateHold(
            account="a", kind=HoldKind.TILL, unit=Unit.POINTS, amount=3, expire_time=NOON, cause="c"
        ),
        "create_hold",
        {"account": f"{PARENT}/accounts/a", "kind": 1, "unit": 3, "amount": 3, "cause": "c"},
    ),
    (
        CaptureHold(
            hold=CHAINED_HOLD,
            to_account="b",
            amount=2,
            entry_kind=EntryKind.SERVICE_PAYMENT,
            final=True,
        ),
        "capture_hold",
        {"hold": f"{PARENT}/holds/-", "amount": 2, "final": True, "entry_kind": 27},
    ),
    (VoidHold(hold="h"), "void_hold", {"hold": f"{PARENT}/holds/h"}),
    (Reverse(entry=9, memo="m"), "reverse", {"entry": f"{PARENT}/entries/9", "memo": "m"}),
    (Refund(entry=9, amount=1), "refund", {"entry": f"{PARENT}/entries/9", "amount": 1}),
    (OpenAccount(holder="z", unit=Unit.TIME), "open_account", {"natural_key": ""}),
]


@pytest.mark.parametrize(("command", "field", "values"), COMMANDS, ids=lambda v: type(v).__name__)
def test_a_command_becomes_its_message(
    command: Command, field: str, values: dict[str, object]
) -> None:
    message = command_to_wire(command, NAMES)
    assert message.WhichOneof("command") == field
    inner = getattr(message, field)
    assert {name: getattr(inner, name) for name in values} == values


@pytest.mark.parametrize(("command", "field", "_values"), COMMANDS, ids=lambda v: type(v).__name__)
def test_every_field_of_a_command_has_its_place_in_the_message(
    command: Command, field: str, _values: object
) -> None:
    message = getattr(command_to_wire(command, NAMES), field)
    names = {descriptor.name for descriptor in message.DESCRIPTOR.fields}
    if field == "open_account":
        names |= {descriptor.name for descriptor in account_pb2.Account.DESCRIPTOR.fields}
    assert {part.name for part in dataclasses.fields(command)} <= names


def test_a_movement_has_two_legs_that_sum_to_zero() -> None:
    debit, credit = move(debit="a", credit="b", unit=Unit.TIME, amount=90, expire_time=NOON)
    assert debit == Leg(account="a", unit=Unit.TIME, amount=-90)
    assert credit == Leg(account="b", unit=Unit.TIME, amount=90, expire_time=NOON)


def test_times_keep_their_microseconds_and_lose_their_zone() -> None:
    hold = CreateHold(account="a", kind=HoldKind.TILL, unit=Unit.POINTS, amount=3, expire_time=NOON)
    sent = command_to_wire(hold, NAMES).create_hold.expire_time
    assert sent.ToDatetime(tzinfo=UTC) == NOON
    assert sent.nanos == 123_456_000


@pytest.mark.parametrize(
    "command",
    [
        dataclasses.replace(
            CreateHold(
                account="a", kind=HoldKind.TILL, unit=Unit.POINTS, amount=3, expire_time=NOON
            ),
            expire_time=NOON.replace(tzinfo=None),
        ),
        Post(kind=EntryKind.UNKNOWN, postings=()),
        Refund(entry=9, amount=2**63),
    ],
    ids=["naive time", "unknown kind", "over 64 bits"],
)
def test_what_the_contract_cannot_carry_is_refused(command: Command) -> None:
    with pytest.raises(TimebankError) as caught:
        command_to_wire(command, NAMES)
    assert caught.value.reason is Reason.VALIDATION_FAILED


def test_whole_names_are_taken_as_they_are() -> None:
    assert NAMES.account("ledgers/x/accounts/y") == "ledgers/x/accounts/y"
    assert Names("ledgers/weihai").account("y") == f"{PARENT}/accounts/y"


def test_a_client_without_a_ledger_says_so() -> None:
    with pytest.raises(TimebankError, match="pass ledger="):
        Names("").account("y")


@pytest.mark.parametrize(
    ("kinds", "numbers", "prefix"),
    [
        (EntryKind, entry_pb2.EntryKind, "ENTRY_KIND_"),
        (AccountKind, account_pb2.AccountKind, "ACCOUNT_KIND_"),
        (AccountState, account_pb2.Account.State, "STATE_"),
        (HoldKind, hold_pb2.HoldKind, "HOLD_KIND_"),
        (HoldState, hold_pb2.Hold.State, "STATE_"),
        (Unit, ledger_pb2.Unit, "UNIT_"),
    ],
)
def test_kinds_are_those_of_the_contract(
    kinds: type[enum.Enum], numbers: object, prefix: str
) -> None:
    contract = {name.removeprefix(prefix) for name in dict(numbers.items())}  # type: ignore[attr-defined]  # an enum wrapper
    assert set(kinds.__members__) - {"UNKNOWN"} == contract - {"UNSPECIFIED"}


async def test_a_post_with_a_receipt_travels_alone(fake: FakeLedger, client: LedgerClient) -> None:
    result = await client.post(
        kind=EntryKind.REDEMPTION,
        postings=move(debit="a", credit="b", unit=Unit.POINTS, amount=5),
        request_id=REQUEST_ID,
        receipt=True,
    )
    assert (result.receipt, result.index) == ("receipt", 7)
    request = fake.requests[0]
    assert (request.DESCRIPTOR.name, request.request_id) == ("PostEntryRequest", REQUEST_ID)
    assert request.receipt
    assert [leg.amount for leg in request.post.postings] == [-5, 5]


async def test_a_chain_with_receipts_travels_alone(fake: FakeLedger, client: LedgerClient) -> None:
    chain = await client.execute([VoidHold(hold="h"), Reverse(entry=1)], receipt=True)
    assert chain.receipts == ("receipt", "receipt")
    assert [result.index for result in chain.results] == [0, 1]


async def test_request_ids_are_made_when_none_is_given(
    fake: FakeLedger, client: LedgerClient
) -> None:
    await client.execute([VoidHold(hold="h")])
    await client.create_account(holder="zhang", unit=Unit.HOURS)
    made = [fake.requests[0].items[0].request_id, fake.requests[1].request_id]
    assert [uuid.UUID(id_).version for id_ in made] == [4, 4]
    assert made[0] != made[1]


async def test_a_batch_gives_results_and_refusals_in_order(
    fake: FakeLedger, client: LedgerClient
) -> None:
    fake.declines[REQUEST_ID] = DECLINE
    void = [VoidHold(hold="h")]
    first, second = await client.batch_execute(
        [Chain(commands=void), Chain(commands=void, request_id=REQUEST_ID)]
    )
    assert isinstance(first, ChainResult)
    assert isinstance(second, TimebankError)
    assert second.reason is Reason.HOLD_NOT_FOUND


async def test_a_list_pages_by_itself(fake: FakeLedger, client: LedgerClient) -> None:
    fake.accounts = [
        account_pb2.Account(name=f"{PARENT}/accounts/{number}", unit=ledger_pb2.UNIT_TIME)
        for number in range(5)
    ]
    found = [view.id async for view in client.list_accounts(unit=Unit.TIME, page_size=2)]
    assert found == ["0", "1", "2", "3", "4"]
    assert [request.page_token for request in fake.requests] == ["", "2", "4"]
    assert {request.unit for request in fake.requests} == {ledger_pb2.UNIT_TIME}


async def test_a_page_is_asked_for_only_when_needed(fake: FakeLedger, client: LedgerClient) -> None:
    fake.accounts = [account_pb2.Account(unit=ledger_pb2.UNIT_TIME) for _ in range(5)]
    await anext(client.list_accounts(page_size=2))
    assert len(fake.requests) == 1


async def test_a_balance_is_asked_as_of_one_point_at_most(
    fake: FakeLedger, client: LedgerClient
) -> None:
    assert (await client.get_balance("a", as_of_log_size=0)).unit is Unit.POINTS
    assert fake.requests[0].WhichOneof("as_of") == "as_of_log_size"
    with pytest.raises(TimebankError, match="at most one"):
        await client.get_balance("a", as_of_log_size=0, as_of_recorded_time=NOON)


def test_unset_limits_and_times_read_as_none() -> None:
    message = account_pb2.Account(unit=ledger_pb2.UNIT_TIME, kind=account_pb2.ACCOUNT_KIND_POOL)
    view = account_from_wire(message)
    assert (view.min_balance, view.max_balance, view.create_time) == (None, None, None)
    message.min_balance = 0
    assert account_from_wire(message).min_balance == 0


def test_what_a_hold_still_reserves_is_what_is_neither_captured_nor_released() -> None:
    message = hold_pb2.Hold(unit=ledger_pb2.UNIT_TIME, amount=10, captured=3, released=2)
    view = hold_from_wire(message)
    assert (view.remaining, view.state, view.kind) == (5, HoldState.UNKNOWN, HoldKind.UNKNOWN)


def test_an_entry_keeps_everything_it_states() -> None:
    entry = entry_pb2.Entry(
        ledger_id="weihai",
        index=3,
        kind=entry_pb2.ENTRY_KIND_REDEMPTION,
        recorded_time_us=1_000_001,
        effective_time_us=1_000_000,
        request_id=uuid.UUID(REQUEST_ID).bytes,
        original_index=0,
    )
    posting = entry.postings.add(account_id="a", unit=ledger_pb2.UNIT_POINTS, amount=-5)
    posting.lots.add(expire_time_us=0, remaining=-5)
    change = entry.hold_changes.add(hold_id="h", account_id="a", held=-5, captured=5)
    change.state = hold_pb2.Hold.STATE_CAPTURED
    entry.account.account_id = "a"
    entry.account.unit = ledger_pb2.UNIT_POINTS
    entry.ledger.display_name = "威海"
    view = entry_from_wire(LoggedEntry(name="n", leaf=b"leaf", entry=entry))
    assert view.recorded_time - view.effective_time == timedelta(microseconds=1)
    assert (view.request_id, view.original_index, view.natural_key) == (REQUEST_ID, 0, None)
    assert view.postings[0].account == f"{PARENT}/accounts/a"
    assert view.postings[0].lots[0].expire_time is None
    assert view.hold_changes[0].state is HoldState.CAPTURED
    assert view.account is not None
    assert view.account.unit is Unit.POINTS
    assert view.ledger is not None
    assert view.ledger.display_name == "威海"


def test_kinds_of_a_newer_contract_read_as_unknown() -> None:
    entry = entry_pb2.Entry(ledger_id="weihai")
    entry.MergeFromString(b"\x20\xff\x01")  # field 4, kind: 255
    view = entry_from_wire(LoggedEntry(entry=entry))
    assert view.kind is EntryKind.UNKNOWN
