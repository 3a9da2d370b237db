"""Hostile requests: names, tags, page tokens and whole commands are read or refused."""

from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.domain import commands as c
from ledger.names import child_from_name, index_from_name, ledger_id_from_name, us_from_wire
from ledger.wire import CommandReader, etag_from_wire, ledger_from_wire
from tests.support import commands as builders
from tests.timebank.fuzz.mutations import accepted, damaged_bytes, damaged_text
from timebank.errors import Reason
from timebank.ids import uuid_bytes
from timebank.ledger.v1 import command_pb2, ledger_pb2
from timebank.paging import page_position, page_token

ACCOUNT = "ledgers/weihai/accounts/5gpvw1gdwecned841959fzwhws"
OTHER = "ledgers/weihai/accounts/3bxbwky2txxca7kb5dfaea2amf"
HOLD = "ledgers/weihai/holds/7me8a7eks1cn7xznzarrqpffch"
ENTRY = "ledgers/weihai/entries/12"
COMMANDS = [
    builders.command(message).SerializeToString()
    for message in (
        builders.post(builders.REDEMPTION, ACCOUNT, OTHER, 5, natural_key="receipt/1", memo="谢谢"),
        builders.post(builders.OPENING, ACCOUNT, OTHER, 5, expires=builders.later(days=2)),
        builders.hold(ACCOUNT, 7),
        builders.capture(HOLD, OTHER, 7, final=True),
        command_pb2.VoidHoldCommand(hold=HOLD),
        command_pb2.ReverseCommand(entry=ENTRY, memo="重复录入"),
        command_pb2.RefundCommand(entry=ENTRY, amount=3, natural_key="refund/1"),
        builders.opening("m-1", min_balance=0, max_balance=10, debt_limit=5),
    )
]
REFUSALS = (
    Reason.VALIDATION_FAILED,
    Reason.UNBALANCED_ENTRY,
    Reason.AMOUNT_OVERFLOW,
    Reason.BATCH_TOO_LARGE,
)


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(COMMANDS).flatmap(damaged_bytes), min_size=1, max_size=3))
def test_hostile_commands_are_only_ever_refused_or_fingerprinted(found: list[bytes]) -> None:
    messages = []
    for data in found:
        try:
            messages.append(command_pb2.Command.FromString(data))
        except DecodeError:
            continue
    reader = CommandReader("weihai")
    commands = accepted(lambda: reader.commands_from_wire(messages), *REFUSALS)
    if commands is not None:
        assert c.fingerprint_of(commands) == c.fingerprint_of(tuple(commands))


@settings(deadline=None)
@given(damaged_text(ACCOUNT) | st.text(max_size=60))
def test_hostile_names_are_only_ever_refused_or_spelt_back_the_same(name: str) -> None:
    found = accepted(lambda: child_from_name(name, "accounts"))
    if found is not None:
        assert f"ledgers/{found[0]}/accounts/{found[1]}" == name
    ledger_id = accepted(lambda: ledger_id_from_name(name))
    if ledger_id is not None:
        assert f"ledgers/{ledger_id}" == name


@given(damaged_text(ENTRY))
def test_hostile_names_of_entries_are_only_ever_refused_or_small_numbers(name: str) -> None:
    found = accepted(lambda: index_from_name(name))
    if found is not None:
        assert 0 <= found[1] < 10**18


@given(damaged_text("12") | st.text(max_size=20))
def test_hostile_etags_are_only_ever_refused_or_small_numbers(etag: str) -> None:
    found = accepted(lambda: etag_from_wire(etag))
    assert found is None or 0 <= found < 10**18


@given(damaged_text("4df14000-8000-4000-8000-000000000001"))
def test_hostile_request_ids_are_only_ever_refused_or_16_bytes(text: str) -> None:
    found = accepted(lambda: uuid_bytes(text))
    assert found is None or (len(found) == 16 and found.hex() == text.replace("-", "").lower())


@given(damaged_text(page_token("12", "entries", "weihai")))
def test_a_damaged_page_token_is_refused_or_that_of_its_page(token: str) -> None:
    found = accepted(lambda: page_position(token, "entries", "weihai"), Reason.PAGE_TOKEN_MISMATCH)
    assert found in (None, "", "12")


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**31), 2**31 - 1))
def test_a_time_of_any_numbers_is_refused_or_within_the_calendar(seconds: int, nanos: int) -> None:
    time = Timestamp(seconds=seconds, nanos=nanos)
    found = accepted(lambda: us_from_wire(time, "time"))
    assert found is None or 0 < found < 253_402_300_800_000_000


LEDGER = ledger_pb2.Ledger(
    display_name="威海时间银行", time_zone="Asia/Shanghai", log_origin="timebank.example/test"
)


@settings(deadline=None)
@given(damaged_bytes(LEDGER.SerializeToString()), damaged_text("weihai"))
def test_hostile_ledgers_are_only_ever_refused_or_in_a_known_zone(
    data: bytes, ledger_id: str
) -> None:
    try:
        message = ledger_pb2.Ledger.FromString(data)
    except DecodeError:
        return
    command = accepted(lambda: ledger_from_wire(ledger_id, message))
    assert command is None or command.time_zone == message.time_zone
