"""The sample city of a real server process, killed while it loads, and the story told of it."""

import asyncio
import json
import pathlib
from datetime import UTC, datetime

import pytest

from tests.conftest import ServerFactory
from tests.e2e.test_first_start import paste, printed
from tests.support.command_line import Result, timebank
from tests.support.processes import START_TIMEOUT_S, ServerProcess

SERVICE = "timebank.ledger.v1.LedgerService"
STEPS = (
    "12栋",
    "需求匹配",
    "周三送药",
    "CLAIMED",
    "VERIFIED",
    "PUBLICISED 公示中",
    "王阿姨 holds 2 stars",
    "还差 38h 00m",
    "VERIFIED 验证通过",
    "理发店积分兑换",
    "商户结算",
    "信用平台对接",
    "可疑的夜间补录",
    "the ledger took 3",
    "FOUR_EYES_REQUIRED",
)
NOT_BUILT = 2
SHOWING = ("export", "timebank demo", "timebank balance --ledger", "timebank audit")
"""How the printed commands begin that are about the sample city, or about every ledger."""


async def told(server: ServerProcess) -> Result:
    """Tells the story as a user does, in the server's folder."""
    return await timebank(server.folder, "demo", TIMEBANK_SERVER=server.grpc_address)


async def logged(server: ServerProcess, words: str) -> None:
    """Returns once the server's log says so."""
    async with asyncio.timeout(START_TIMEOUT_S):
        while words not in server.log:
            await server.serving(SERVICE)


def years_without_holidays(folder: pathlib.Path) -> pathlib.Path:
    """Makes this year and the next known, so that the story can be told on any day."""
    folder.mkdir()
    this_year = datetime.now(UTC).year
    for year in (this_year, this_year + 1):
        days = {"year": year, "holidays": [], "workdays": []}
        (folder / f"{year}.json").write_text(json.dumps(days))
    return folder


@pytest.mark.slow
async def test_the_story_is_told_twice_of_a_city_whose_loading_was_killed(
    start_server: ServerFactory, tmp_path: pathlib.Path
) -> None:
    years = years_without_holidays(tmp_path / "holidays")
    server = start_server(
        {
            "": {"services": ["ledger", "merchant"]},
            "ledger": {"sample_city": True, "holidays_directory": str(years)},
        }
    )
    await logged(server, "members")
    server.kill()
    server.start()
    await server.serving(SERVICE)
    first = await told(server)
    assert first.code == 0, first
    for step in STEPS:
        assert step in first.out, step
    assert first.out.count("not built yet 尚未实现") == NOT_BUILT
    assert "积分: 1" in first.out
    assert "DONE" in first.out
    assert "CAPTURED, 20 points" in first.out
    assert "PAYMENT_CODE_INVALID" in first.out
    assert "CAPTURED, 15 points" in first.out
    assert "before and after 前后: 2, 2" in first.out
    commands = await printed(server, 1)
    shown = [line for line in commands if line.startswith(SHOWING)]
    assert any("--ledger huancui --holder wang-ayi" in line for line in shown)
    again = await paste(server, shown)
    assert again.code == 0, again
    assert "积分: 2" in again.out
    assert "562h 00m" in again.out
    assert "Everything agrees" in again.out
    assert "Traceback" not in server.log


async def test_without_the_sample_city_the_demo_says_what_is_missing(
    start_server: ServerFactory,
) -> None:
    server = start_server()
    await server.serving(SERVICE)
    result = await told(server)
    assert result.code == 1
    assert "no ledger huancui" in result.error


async def test_without_a_server_the_demo_says_so(tmp_path: pathlib.Path) -> None:
    result = await timebank(tmp_path, "demo", "--server", "127.0.0.1:1")
    assert result.code == 1
    assert "no server answers" in result.error
