"""The audit log of calls that are cancelled: nobody was told what became of them, but a line says
who asked for what.
"""

import asyncio
import pathlib
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

import merchant.service
from merchant.domain.payment_codes import PREFIX_DEFAULT, RANDOM_BYTES, make_code
from merchant.ledger_client import Ledger
from merchant.usecases.wallets import Wallets
from tests.merchant.flaky_ledgers import Fault, FlakyLedger, Weather
from tests.merchant.till_world import COFFEE, OPERATOR, SHOP, TILL, TillWorld, till_world
from tests.support.ledgers import refused
from timebank.errors import Reason
from timebank.local_channels import LocalChannel
from timebank.merchant.v1 import redemption_pb2, redemption_service_pb2
from timebank.merchant.v1.redemption_service_pb2_grpc import RedemptionServiceStub

State = redemption_pb2.Redemption.State
DEADLINE_S = 0.05
"""The ledger, which is asked within it, does not answer."""
LINE_WITHIN_S = 10


@pytest.fixture
def weather(monkeypatch: pytest.MonkeyPatch) -> Weather:
    """What the merchant service of the test asks its ledger in."""
    weather = Weather()

    def in_the_weather(*parts: Any) -> Ledger:
        return FlakyLedger(Ledger(*parts), weather)

    monkeypatch.setattr(merchant.service, "Ledger", in_the_weather)
    return weather


@pytest.fixture
async def till(
    tmp_path: pathlib.Path, sqlite_url: str, weather: Weather
) -> AsyncIterator[TillWorld]:
    """A shop with a till, and 王阿姨 with a hundred points."""
    async with till_world(tmp_path, sqlite_url) as found:
        await found.open_shop()
        await found.member("wang", 100)
        yield found
        weather.clear_up()
        await weather.deliver()


class Logged:
    """What is logged after the shop was opened."""

    def __init__(self) -> None:
        self.events: list[EventDict] = []
        self.lined = asyncio.Event()
        """The audit log has a line."""

    def see(self, _: object, __: str, event: EventDict) -> EventDict:
        """Takes an event and passes it on."""
        self.events.append(dict(event))
        if event.get("logger") == "audit":
            self.lined.set()
        return event

    @property
    def lines(self) -> list[EventDict]:
        """The lines of the audit log."""
        return [event for event in self.events if event.get("logger") == "audit"]


@pytest.fixture
def logged(till: TillWorld) -> Iterator[Logged]:
    found = Logged()
    with capture_logs(processors=[found.see]):
        yield found


async def sale(till: TillWorld, **fields: Any) -> redemption_service_pb2.RedeemPointsRequest:
    """A request by which the till sells a coffee to 王阿姨."""
    values: dict[str, Any] = {
        "parent": SHOP,
        "request_id": str(uuid.uuid4()),
        "merchant_ref": till.ref(),
        "terminal": TILL,
        "offer": COFFEE,
        "quantity": 1,
    }
    if "payment_code" not in fields:
        values["payment_code"] = await till.code("wang")
    return redemption_service_pb2.RedeemPointsRequest(**(values | fields))


def sell(till: TillWorld, channel: Any, request: Any, **options: Any) -> Any:
    """Begins a call, which the till has signed."""
    stub: Any = RedemptionServiceStub(channel)
    metadata = till.signature("RedeemPoints", request)
    return stub.RedeemPoints(request, metadata=metadata, **options)


def locally(till: TillWorld) -> LocalChannel:
    """A channel to the service within its process."""
    return LocalChannel(till.world.process.runtime.interceptors, OPERATOR)


async def test_a_caller_who_goes_away_leaves_a_line_and_its_effect(
    till: TillWorld, weather: Weather, logged: Logged
) -> None:
    request = await sale(till)
    weather.faults.append(Fault.LATE)
    call = sell(till, till.world.channel, request)
    await weather.parking.wait()
    call.cancel()
    async with asyncio.timeout(LINE_WITHIN_S):
        await logged.lined.wait()
    [line] = logged.lines
    told = ("event", "outcome", "method", "merchant", "terminal", "merchant_ref", "request_id")
    assert [line[name] for name in told] == [
        *("call cancelled", "cancelled", "RedeemPoints", "shop", TILL),
        *(request.merchant_ref, request.request_id),
    ]
    await weather.deliver()
    found = await till.call("LookupRedemption", parent=SHOP, merchant_ref=request.merchant_ref)
    assert (found.state, found.captured_amount) == (State.STATE_CAPTURED, 10)
    assert logged.lines == [line]
    assert request.payment_code not in repr(logged.events)
    assert "wang" not in repr(line)


async def test_a_call_whose_deadline_passes_leaves_a_line_and_is_refused_as_before(
    till: TillWorld, weather: Weather, logged: Logged
) -> None:
    request = await sale(till)
    weather.faults.append(Fault.LATE)
    late = sell(till, locally(till), request, timeout=DEADLINE_S)
    assert await refused(late) is Reason.DEADLINE_PASSED
    [line] = logged.lines
    assert (line["event"], line["merchant_ref"]) == ("call cancelled", request.merchant_ref)


async def test_a_cancelled_call_stays_cancelled(
    till: TillWorld, weather: Weather, logged: Logged
) -> None:
    request = await sale(till)
    weather.faults.append(Fault.LATE_ANSWER)
    call = sell(till, locally(till), request)
    await weather.parking.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert call.task.cancelled()
    assert [line["outcome"] for line in logged.lines] == ["cancelled"]


async def test_who_guesses_a_code_and_hangs_up_leaves_a_line(
    till: TillWorld, logged: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    looking = asyncio.Event()

    async def look_for_ever(*_: object) -> bool:
        looking.set()
        await asyncio.get_running_loop().create_future()
        return False

    monkeypatch.setattr(Wallets, "is_of_another_ledger", look_for_ever)
    code = make_code(PREFIX_DEFAULT, bytes(RANDOM_BYTES))
    call = sell(till, locally(till), await sale(till, payment_code=code))
    await looking.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    [line] = logged.lines
    assert (line["event"], line["terminal"]) == ("call cancelled", TILL)
    assert code not in repr(logged.events)


async def test_a_call_that_is_answered_has_no_such_line(till: TillWorld, logged: Logged) -> None:
    sold = await sell(till, locally(till), await sale(till))
    assert sold.state == State.STATE_CAPTURED
    assert logged.lines == []
