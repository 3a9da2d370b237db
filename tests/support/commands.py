"""Commands for tests: builders of valid ones, in the words of the ledger.

Owns the moment at which the clock of every test stands. A test changes the one field it is about.
"""

import uuid
from typing import Any, cast

from google.protobuf.timestamp_pb2 import Timestamp

from timebank.ledger.v1 import account_pb2, command_pb2, entry_pb2, hold_pb2, ledger_pb2

START_US = 1_772_323_200_000_000
"""2026-03-01T00:00:00Z, 08:00 in Shanghai: where the clock of every test stands."""
DAY_S = 86_400
ZONE = "Asia/Shanghai"
HOURS, TIME, POINTS, FUND = (
    ledger_pb2.UNIT_HOURS,
    ledger_pb2.UNIT_TIME,
    ledger_pb2.UNIT_POINTS,
    ledger_pb2.UNIT_FUND,
)
MEMBER, ISSUANCE, POOL = (
    account_pb2.ACCOUNT_KIND_MEMBER,
    account_pb2.ACCOUNT_KIND_ISSUANCE,
    account_pb2.ACCOUNT_KIND_POOL,
)
MERCHANT, CLEARING = account_pb2.ACCOUNT_KIND_MERCHANT, account_pb2.ACCOUNT_KIND_CLEARING
FUND_KIND, EXPIRED = account_pb2.ACCOUNT_KIND_FUND, account_pb2.ACCOUNT_KIND_EXPIRED
OPENING = entry_pb2.ENTRY_KIND_OPENING_BALANCE
REDEMPTION = entry_pb2.ENTRY_KIND_REDEMPTION
TRANSFER = entry_pb2.ENTRY_KIND_TRANSFER
PAYMENT = entry_pb2.ENTRY_KIND_SERVICE_PAYMENT
SETTLEMENT = entry_pb2.ENTRY_KIND_SETTLEMENT
TILL, SERVICE = hold_pb2.HOLD_KIND_TILL, hold_pb2.HOLD_KIND_SERVICE


def new_id() -> str:
    """A request id that was never used."""
    return str(uuid.uuid4())


def at(time_us: int) -> Timestamp:
    """A time on the wire."""
    return Timestamp(seconds=time_us // 1_000_000, nanos=time_us % 1_000_000 * 1_000)


def later(*, seconds: int = 0, days: int = 0) -> Timestamp:
    """A time after the start of the clock."""
    return at(START_US + (seconds + days * DAY_S) * 1_000_000)


def us(time: Timestamp) -> int:
    """Microseconds of a time on the wire."""
    return time.seconds * 1_000_000 + time.nanos // 1_000


def leg(
    account: str, amount: int, unit: int = POINTS, expires: Timestamp | None = None
) -> command_pb2.PostingDraft:
    """One posting."""
    unit_ = cast("ledger_pb2.Unit.ValueType", unit)
    return command_pb2.PostingDraft(account=account, unit=unit_, amount=amount, expire_time=expires)


def post(
    kind: int,
    debited: str,
    credited: str,
    amount: int,
    unit: int = POINTS,
    *,
    expires: Timestamp | None = None,
    **fields: Any,
) -> command_pb2.PostCommand:
    """A movement between two accounts."""
    legs = [leg(debited, -amount, unit), leg(credited, amount, unit, expires)]
    return command_pb2.PostCommand(kind=cast(Any, kind), postings=legs, **fields)


def hold(
    account: str, amount: int, unit: int = POINTS, *, seconds: int = 3_600, **fields: Any
) -> command_pb2.CreateHoldCommand:
    """A hold at a till that lives an hour from the start of the clock."""
    values: dict[str, Any] = {"kind": TILL, "expire_time": later(seconds=seconds)} | fields
    return command_pb2.CreateHoldCommand(
        account=account, amount=amount, unit=cast(Any, unit), **values
    )


def capture(
    hold_name: str, to_account: str, amount: int, *, kind: int = REDEMPTION, **fields: Any
) -> command_pb2.CaptureHoldCommand:
    """A capture."""
    return command_pb2.CaptureHoldCommand(
        hold=hold_name,
        to_account=to_account,
        amount=amount,
        entry_kind=cast(Any, kind),
        **fields,
    )


def opening(
    holder: str, unit: int = POINTS, kind: int = MEMBER, natural_key: str = "", **limits: Any
) -> command_pb2.OpenAccountCommand:
    """An account to open."""
    account = account_pb2.Account(
        holder=holder, unit=cast(Any, unit), kind=cast(Any, kind), **limits
    )
    return command_pb2.OpenAccountCommand(account=account, natural_key=natural_key)


def command(message: Any) -> command_pb2.Command:
    """A command of a chain."""
    names = {
        command_pb2.PostCommand: "post",
        command_pb2.CreateHoldCommand: "create_hold",
        command_pb2.CaptureHoldCommand: "capture_hold",
        command_pb2.VoidHoldCommand: "void_hold",
        command_pb2.ReverseCommand: "reverse",
        command_pb2.RefundCommand: "refund",
        command_pb2.OpenAccountCommand: "open_account",
    }
    return command_pb2.Command(**{names[type(message)]: message})
