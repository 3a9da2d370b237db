"""The sample city goes into a ledger once, whatever cuts it off, and the rules catch its night."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from ledger.audit.run import audit_database
from ledger.sample.city import FUND_FEN, LEDGER, NAME, ORIGIN, City
from ledger.sample.loading import CALLER, load_city, load_in_background
from ledger.sample.people import WANG
from ledger.sample.records import NIGHT_ACCEPTED, NIGHT_MINUTES, NIGHT_OFFICER, ZONE, Service
from ledger.sample_client import SampleClient, state_name
from tests.support.builders_server import server_config
from tests.support.commands import START_US
from tests.support.hours import DAY_US
from tests.support.keys import make_key
from tests.support.ledgers import LedgerWorld
from tests.support.processes import Value
from timebank.auth import Principal, PrincipalKind
from timebank.client import AccountKind, LedgerClient, Unit
from timebank.client.calls import Caller
from timebank.config import DatabaseConfig
from timebank.errors import Reason, TimebankError
from timebank.local_channels import LocalChannel

VOLUNTEERS = 20
TODAY = datetime.fromtimestamp(START_US // 1_000_000, UTC).astimezone(ZoneInfo(ZONE)).date()
CITY = City.until(TODAY, volunteers=VOLUNTEERS)


class CutOffError(Exception):
    """Stands for the end of the process in the middle of loading."""


class CityInLedger:
    """The city as its operator sees it in a world, and loading it."""

    def __init__(self, world: LedgerWorld) -> None:
        self.world = world
        self.runtime = world.process.runtime
        channel = LocalChannel(self.runtime.interceptors, Principal(PrincipalKind.OPERATOR, "op"))
        call = Caller(timeout_s=60)
        self.client = LedgerClient.on_channel(channel, ledger=LEDGER, call=call)
        self.sample = SampleClient(channel, LEDGER, call)

    async def load(self, cut_off_at: str = "") -> bool:
        def step(what: str, done: int, total: int) -> None:
            if what == cut_off_at:
                raise CutOffError(what)

        return await load_city(self.runtime, volunteers=VOLUNTEERS, step=step)

    async def size(self) -> int:
        return (await self.client.checkpoint()).size

    async def minutes(self) -> dict[str, int]:
        """The posted HOURS of everybody who has some."""
        accounts = self.client.list_accounts(unit=Unit.HOURS, kind=AccountKind.MEMBER)
        return {item.holder: item.posted async for item in accounts if item.posted}

    async def waiting(self) -> set[str]:
        """The numbers of the back-entries that wait for a spot check, which nobody can foresee."""
        records = await self.sample.records()
        found = [record for record in records if state_name(record) == "VERIFIED"]
        return {record.name.rpartition("/")[2] for record in found}

    async def audit(self) -> None:
        report = await audit_database(DatabaseConfig(url=self.world.database_url))
        assert report.ok, report.difference


@pytest.fixture
def city(world: LedgerWorld) -> CityInLedger:
    """A server on each database, without the city yet."""
    return CityInLedger(world)


def summed(services: Iterable[Service], waiting: set[str]) -> dict[str, int]:
    """An independent sum: what is attested and does not wait."""
    total: Counter[str] = Counter()
    for service in services:
        if service.evidence != "E" and service.record_id not in waiting:
            total[service.volunteer] += service.minutes
    return dict(total)


async def check(city: CityInLedger) -> None:
    """The city is in the ledger, whole and once."""
    waiting = await city.waiting()
    accepted = CITY.night[:NIGHT_ACCEPTED]
    assert await city.minutes() == summed((*CITY.services, *accepted), waiting)
    assert len(await city.sample.records()) == len(CITY.services) + NIGHT_ACCEPTED
    funds = city.client.list_accounts(kind=AccountKind.FUND)
    assert [fund.posted async for fund in funds] == [FUND_FEN]
    assert (await city.client.get_ledger()).opening_closed
    await city.audit()


async def test_loading_credits_what_was_served_and_the_audit_passes(city: CityInLedger) -> None:
    assert await city.load()
    await check(city)
    assert (await city.client.get_ledger()).log_origin == ORIGIN
    callers = [entry.caller async for entry in city.client.list_entries(cause=f"members/{WANG}")]
    assert set(callers) == {f"service/{CALLER}"}


async def test_wang_holds_two_stars_and_is_38_hours_below_the_third(city: CityInLedger) -> None:
    await city.load()
    star = await city.sample.star(WANG)
    assert (star.star, star.missing_minutes, star.pending_points) == (2, 38 * 60, 0)
    assert star.quality_tenths >= 35
    assert await city.sample.name_of(WANG) == "王秀兰"


async def test_the_rules_catch_the_night_of_back_entries(city: CityInLedger) -> None:
    await city.load()
    alarms = await city.sample.alarms()
    assert len(alarms) == NIGHT_ACCEPTED
    assert {record.recorder for record in alarms} == {NIGHT_OFFICER}
    assert sum(record.points for record in alarms) == 0
    # The same attempts once more, a day's cap later: what went in is known, the rest as before.
    refused = await city.sample.submit_many(CITY.night, "00000000-0000-4000-8000-000000000001")
    assert Counter(refused) == {
        None: NIGHT_ACCEPTED,
        Reason.LIMIT_EXCEEDED: len(CITY.night) - NIGHT_ACCEPTED - 3,
        Reason.FOUR_EYES_REQUIRED: 3,
    }
    assert NIGHT_ACCEPTED * NIGHT_MINUTES <= 480


async def test_loading_again_changes_nothing(city: CityInLedger) -> None:
    await city.load()
    size = await city.size()
    assert not await city.load()
    assert await city.size() == size


@pytest.mark.parametrize("step", ["members", "night"])
async def test_loading_that_was_cut_off_is_completed_another_day(
    city: CityInLedger, step: str
) -> None:
    with pytest.raises(CutOffError):
        await city.load(cut_off_at=step)
    assert not (await city.client.get_ledger()).opening_closed
    city.world.clock.advance(us=DAY_US)
    assert await city.load()
    await check(city)
    assert len(await city.sample.alarms()) == NIGHT_ACCEPTED


async def test_another_ledger_of_that_id_is_left_alone(city: CityInLedger, tmp_path: Path) -> None:
    make_key(tmp_path, "timebank.example/other")
    await city.client.create_ledger(display_name=NAME, log_origin="timebank.example/other")
    size = await city.size()
    with pytest.raises(TimebankError) as refused:
        await city.load()
    assert refused.value.reason is Reason.VALIDATION_FAILED
    await load_in_background(city.runtime)
    assert await city.size() == size


def test_the_city_is_for_development_alone(tmp_path: Path) -> None:
    settings: dict[str, dict[str, Value]] = {
        "ledger": {"sample_city": True},
        "identity": {"mode": "none"},
    }
    with pytest.raises(TimebankError, match=r"sample_city .*: expected false"):
        server_config(tmp_path, settings)
