"""Races of records: whoever comes at the same time, one wins, and no cap is ever exceeded."""

import asyncio
import pathlib
from collections import Counter
from collections.abc import Awaitable, Sequence
from contextlib import AsyncExitStack
from typing import Any

import grpc.aio
import pytest

from ledger.audit.run import audit_database
from tests.conftest import ServerFactory
from tests.ledger.hours.recorders import MINUTES, Recorders
from tests.ledger.hours.test_edge_cases_members import pool_minutes
from tests.ledger.hours.test_edge_cases_time import give
from tests.support.hours import (
    BASE_US,
    DAY_US,
    HOUR_US,
    MATCHING,
    OFFICER,
    C,
    HoursWorld,
    State,
    policy,
)
from tests.support.keys import make_key
from timebank.auth import Principal, PrincipalKind
from timebank.config import DatabaseConfig
from timebank.errors import Reason, from_rpc_error
from timebank.ledger.v1 import hours_service_pb2

CALLERS = 40
SERVERS = 4
MINUTE_US = 60_000_000


async def outcomes(calls: Sequence[Awaitable[Any]]) -> tuple[list[Any], Counter[Reason]]:
    """Makes all calls at once and gives the answers, and the refusals by reason."""
    found = await asyncio.gather(*calls, return_exceptions=True)
    answers, reasons = [], Counter[Reason]()
    for item in found:
        if isinstance(item, grpc.aio.AioRpcError):
            reasons[from_rpc_error(item).reason] += 1
        else:
            assert not isinstance(item, BaseException), item
            answers.append(item)
    return answers, reasons


async def test_of_forty_overlapping_records_at_once_exactly_one_wins(city: HoursWorld) -> None:
    calls = [
        city.submit(city.record("wang", start_us=BASE_US + late * MINUTE_US), once=True)
        for late in range(CALLERS)
    ]
    answers, reasons = await outcomes(calls)
    assert len(answers) == 1
    assert reasons == {Reason.RECORD_OVERLAPS: CALLERS - 1}
    assert await city.balances("wang") == (60, 60, 1)


async def test_of_forty_overlapping_records_of_two_duplicates_exactly_one_wins(
    city: HoursWorld,
) -> None:
    await city.register("wang-2")
    into = city.member_name("wang")
    await city.call("MergeMember", name=city.member_name("wang-2"), into=into)
    calls = [
        city.submit(
            city.record(("wang", "wang-2")[late % 2], start_us=BASE_US + late * MINUTE_US),
            once=True,
        )
        for late in range(CALLERS)
    ]
    answers, reasons = await outcomes(calls)
    assert len(answers) == 1
    assert reasons == {Reason.RECORD_OVERLAPS: CALLERS - 1}
    assert await city.balances("wang") == (60, 60, 1)


async def test_of_forty_organizations_one_posts_and_the_others_are_disputed(
    city: HoursWorld,
) -> None:
    calls = [
        city.submit(city.record("wang", organizer=f"org-{number}"), once=True)
        for number in range(CALLERS)
    ]
    answers, reasons = await outcomes(calls)
    states = Counter(answer.state for answer in answers)
    assert states == {State.STATE_POSTED: 1, State.STATE_DISPUTED: CALLERS - 1}
    assert not reasons
    assert await city.balances("wang") == (60, 60, 1)


async def test_the_cap_of_an_officers_day_holds_when_all_is_typed_at_once(
    city: HoursWorld,
) -> None:
    names = [f"v-{number}" for number in range(CALLERS)]
    for name in names:
        await city.register(name)
    calls = [city.submit(city.record(x, minutes=50, evidence=C), OFFICER, once=True) for x in names]
    answers, reasons = await outcomes(calls)
    assert sum(answer.minutes for answer in answers) == 450
    assert reasons == {Reason.LIMIT_EXCEEDED: CALLERS - 9}


async def test_the_store_cap_is_shared_out_to_the_minute_when_all_comes_at_once(
    bare: HoursWorld,
) -> None:
    await bare.adopt(policy(earn={"caps": {"store_minutes": 1_000}}))
    await bare.register("wang")
    calls = [
        bare.submit(bare.record("wang", start_us=BASE_US + number * HOUR_US), once=True)
        for number in range(CALLERS)
    ]
    answers, _ = await outcomes(calls)
    assert len(answers) == CALLERS
    assert sum(answer.time_minutes for answer in answers) == 1_000
    assert sum(answer.pool_minutes for answer in answers) == CALLERS * 60 - 1_000
    assert (await bare.balances("wang"))[:2] == (CALLERS * 60, 1_000)
    assert await pool_minutes(bare) == CALLERS * 60 - 1_000


async def test_a_beneficiary_never_pays_more_than_there_is(bare: HoursWorld) -> None:
    await bare.adopt(policy(time_payer="BENEFICIARY"))
    elder = bare.member_name("li-elder")
    for name in ("li-elder", *(f"v-{number}" for number in range(CALLERS))):
        await bare.register(name)
    await give(bare, "li-elder", 100)
    calls = [
        bare.submit(bare.record(f"v-{number}", minutes=7, beneficiary=elder), once=True)
        for number in range(CALLERS)
    ]
    answers, reasons = await outcomes(calls)
    assert len(answers) == 14
    assert reasons == {Reason.INSUFFICIENT_BALANCE: CALLERS - 14}
    assert (await bare.balances("li-elder"))[1] == 2


async def test_the_same_record_from_twenty_callers_posts_once(city: HoursWorld) -> None:
    record = city.record("wang")
    callers = [Principal(PrincipalKind.SERVICE, f"matching-{number}") for number in range(20)]
    calls = [city.submit(record, caller, record_id="r-same", once=True) for caller in callers]
    answers, reasons = await outcomes(calls)
    assert not reasons
    assert all(answer == answers[0] for answer in answers)
    assert len(answers) == 20
    assert await city.balances("wang") == (60, 60, 1)


async def test_of_twenty_records_of_one_number_that_differ_one_posts(city: HoursWorld) -> None:
    calls = [
        city.submit(
            city.record("wang", start_us=BASE_US + number * DAY_US // 4),
            record_id="r-same",
            once=True,
        )
        for number in range(20)
    ]
    answers, reasons = await outcomes(calls)
    assert len(answers) == 1
    assert reasons == {Reason.RECORD_EXISTS: 19}
    assert await city.balances("wang") == (60, 60, 1)


async def test_of_twenty_corrections_at_once_one_takes_effect(city: HoursWorld) -> None:
    await city.submit(city.record("wang", minutes=600), record_id="r-long")
    old = city.record_name("r-long")
    calls = [
        city.submit(city.record("wang", minutes=10 + number, supersedes=old), once=True)
        for number in range(20)
    ]
    answers, reasons = await outcomes(calls)
    assert len(answers) == 1
    assert reasons == {Reason.RECORD_STATE: 19}
    assert (await city.balances("wang"))[0] == answers[0].minutes


async def test_a_merge_and_the_records_of_both_never_let_one_service_count_twice(
    city: HoursWorld,
) -> None:
    await city.register("wang-2")
    into = city.member_name("wang")
    merge = city.call("MergeMember", name=city.member_name("wang-2"), into=into, once=True)
    first = [city.submit(city.record("wang"), once=True)]
    second = [city.submit(city.record("wang-2"), once=True)]
    await outcomes([*first, merge, *second])
    assert await city.balances("wang") == (60, 60, 1)
    assert await city.balances("wang-2") == (0, 0, 0)
    assert (await city.star("wang")).hours_minutes == 60


@pytest.mark.slow
@pytest.mark.postgresql
async def test_four_servers_on_one_database_let_one_record_win_and_exceed_no_cap(
    tmp_path: pathlib.Path, start_server: ServerFactory, postgresql_url: str
) -> None:
    make_key(tmp_path)
    settings = {
        "keys": {"directory": str(tmp_path / "data" / "keys")},
        "database": {"url": postgresql_url},
    }
    recorders = Recorders()
    first = start_server(settings)
    await first.serving()  # the first one makes the secret that the others share
    servers = [first, *(start_server(settings) for _ in range(SERVERS - 1))]
    async with AsyncExitStack() as channels:
        open_ = [await channels.enter_async_context(server.channel()) for server in servers]
        for server in servers:
            await server.serving()
        await recorders.create(open_[0], volunteers=4 + CALLERS)
        submit = recorders.submit
        overlapping = Counter(
            await asyncio.gather(
                *(
                    submit(open_[number % SERVERS], f"o-{number}", recorders.record(0, 0))
                    for number in range(CALLERS)
                )
            )
        )
        same = Counter(
            await asyncio.gather(
                *(
                    submit(open_[number % SERVERS], "s-same", recorders.record(1, 0))
                    for number in range(CALLERS)
                )
            )
        )
        typed = Counter(
            await asyncio.gather(
                *(
                    submit(open_[number % SERVERS], f"t-{number}", recorders.typed(number, 0))
                    for number in range(4, 4 + CALLERS)
                )
            )
        )
    assert overlapping == {"STATE_POSTED": 1, "RECORD_OVERLAPS": CALLERS - 1}
    assert same == {"STATE_POSTED": CALLERS}
    fitting = 480 // MINUTES
    assert typed == {"STATE_POSTED": fitting, "LIMIT_EXCEEDED": CALLERS - fitting}
    report = await audit_database(DatabaseConfig(url=postgresql_url))
    assert report.ok, report.difference


async def test_a_batch_holds_its_own_records_to_the_same_rules(city: HoursWorld) -> None:
    overlapping = [city.record("wang", start_us=BASE_US + late * MINUTE_US) for late in range(3)]
    fine = [city.record("wang", start_us=BASE_US + day * DAY_US) for day in range(1, 4)]
    items = [
        hours_service_pb2.SubmitRecordItem(record_id=f"b-{number}", record=record)
        for number, record in enumerate([*overlapping, *fine, fine[0]])
    ]
    again = hours_service_pb2.SubmitRecordItem(record_id="b-3", record=fine[0])
    answer = await city.call(
        "BatchSubmitRecords", MATCHING, parent=city.name, items=[*items, again]
    )
    states = [result.ok.state for result in answer.results]
    assert states == [State.STATE_POSTED, 0, 0, *(State.STATE_POSTED,) * 3, 0, State.STATE_POSTED]
    assert await city.balances("wang") == (240, 240, 4)
