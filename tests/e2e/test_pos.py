"""A day at a till: enrolled, sold, killed in the middle of a sale, refunded, settled, reconciled.

The till is `timebank pos` in a pseudo-terminal, the set-up is made by the command line too. The day
is over when the server stops: the next one opens the same files with a clock of tomorrow.
"""

import asyncio
import codecs
import json
import os
import pathlib
import pty
import re
import select
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from types import TracebackType
from typing import Any, Self
from zoneinfo import ZoneInfo

import pytest
import structlog

import ledger.service
import merchant.service
from tests.conftest import ServerFactory
from tests.support.builders_server import server_config
from tests.support.command_line import timebank
from tests.support.crowds import elapse
from tests.support.processes import ROOT, TOP, ServerProcess
from timebank.clock import ManualClock
from timebank.merchant.v1 import redemption_pb2, redemption_service_pb2
from timebank.merchant.v1.redemption_service_pb2_grpc import RedemptionServiceStub
from timebank.server import open_server

ORIGIN = "timebank.example/weihai"
SHOP = "ledgers/weihai/merchants/shop"
TILL = f"{SHOP}/terminals/t1"
SEEN_TIMEOUT_S = 60.0
LOOK_S = 0.05
CHUNK_BYTES = 65_536
DAY_US = 86_400_000_000
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
PROMPT = "till 收银> "
CODE_PROMPT = "Payment code 付款码: "
HOURS = (2, 300, 600, 1_000, 1_500)
POLICY: dict[str, object] = {
    "policy_id": "test",
    "effective_from": "2020-01-01",
    "earn": {"reward": "POINTS", "points_per_hour": "50/1"},
    "publicity_days": 0,
    "spot_check_percent": 0,
    "stars": {
        "levels": [
            {"star": star, "hours": hours, "points": 0, "quality_tenths": 0}
            for star, hours in enumerate(HOURS, 1)
        ]
    },
}
HEADER = "merchant_ref,business_date,state,captured_amount,refunded_amount"
DIFFERENCES = (
    *("AMOUNT_MISMATCH", "STATE_MISMATCH", "DUPLICATE_AT_MERCHANT", "CUTOFF_SHIFT"),
    *("LATE_OFFLINE", "MISSING_IN_LEDGER", "MISSING_AT_MERCHANT"),
)


class Screen:
    """`timebank pos` in a pseudo-terminal, as a cashier sees it."""

    def __init__(self, folder: pathlib.Path, *options: str) -> None:
        """Starts the till."""
        self._master, slave = pty.openpty()
        self.text = ""
        self._read_to = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        inherited = {key: text for key, text in os.environ.items() if "TIMEBANK_" not in key}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "timebank", "pos", *options],
            cwd=folder,
            env=inherited | {"PYTHONPATH": str(ROOT), "COLUMNS": "200", "TERM": "dumb"},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        os.close(self._master)

    def type(self, line: str) -> None:
        """Types a line, and Enter."""
        os.write(self._master, f"{line}\n".encode())

    async def says(self, pattern: str) -> re.Match[str]:
        """Returns the first match after the one before, once it is on the screen."""
        return await asyncio.to_thread(self._until, pattern)

    def _until(self, pattern: str) -> re.Match[str]:
        deadline_s = time.monotonic() + SEEN_TIMEOUT_S
        while True:
            found = re.compile(pattern).search(self.text, self._read_to)
            if found:
                self._read_to = found.end()
                return found
            left_s = deadline_s - time.monotonic()
            assert left_s > 0, f"expected {pattern!r}, the screen shows:\n{self.text}"
            # Not select(): a long test run has descriptors beyond its range.
            watch = select.poll()
            watch.register(self._master, select.POLLIN | select.POLLHUP)
            if watch.poll(left_s * 1_000):
                self._take()

    def _take(self) -> None:
        data = b""
        with suppress(OSError):  # the till has gone
            data = os.read(self._master, CHUNK_BYTES)
        assert data, f"the till ended; the screen shows:\n{self.text}"
        self.text += ESCAPES.sub("", self._decoder.decode(data).replace("\r", ""))

    async def ends(self) -> int:
        """Waits for the end of the till and gives its exit code."""
        return await asyncio.to_thread(self._process.wait, SEEN_TIMEOUT_S)


class Line:
    """The till's line to the server: questions arrive, answers may be lost."""

    def __init__(self, address: str) -> None:
        self._host, _, self._port = address.rpartition(":")
        self._writers: set[asyncio.StreamWriter] = set()
        self.answers_pass = True
        self.address = ""

    def cut(self) -> None:
        """Breaks every connection."""
        for writer in self._writers:
            writer.close()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Joins a connection to one to the server."""
        try:
            there, back = await asyncio.open_connection(self._host, int(self._port))
        except OSError:
            writer.close()
            return
        self._writers |= {writer, back}
        await asyncio.gather(
            self._copy(reader, back, is_answer=False), self._copy(there, writer, is_answer=True)
        )
        self._writers -= {writer, back}

    async def _copy(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_answer: bool
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK_BYTES):
                if self.answers_pass or not is_answer:
                    writer.write(data)
                    await writer.drain()
        writer.close()


@asynccontextmanager
async def line_to(address: str) -> AsyncIterator[Line]:
    """Opens a line to a server until the block ends."""
    line = Line(address)
    listening = await asyncio.start_server(line.accept, "127.0.0.1", 0)
    try:
        line.address = f"127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        yield line
    finally:
        listening.close()
        line.cut()


class Office:
    """The command line of the operator, in the server's folder."""

    def __init__(self, folder: pathlib.Path, address: str) -> None:
        self.folder = folder
        self.address = address
        self.zone = noon_zone()

    @property
    def day(self) -> str:
        """The business day of this test."""
        return f"{datetime.now(ZoneInfo(self.zone)):%Y-%m-%d}"

    async def run(self, *arguments: str) -> str:
        """Runs a command that must succeed and gives what it says."""
        result = await timebank(self.folder, *arguments, TIMEBANK_SERVER=self.address)
        assert result.code == 0, (arguments, result)
        return result.out

    async def code(self) -> str:
        """Issues a payment code as the member's phone does."""
        return (await self.run("paycode", "wang", "--bare")).strip()

    async def open(self) -> str:
        """Sets the programme up and gives the till's enrolment code."""
        (self.folder / "policy.json").write_text(json.dumps(POLICY))
        served = datetime.now(UTC) - timedelta(days=3)
        await self.run("keys", "new", ORIGIN)
        await self.run(
            *("ledger", "create", "weihai", "--origin", ORIGIN, "--name", "威海"),
            *("--zone", self.zone),
        )
        await self.run("policy", "adopt", "policy.json")
        await self.run("member", "register", "wang", "--unit", "huancui/12")
        await self.run(
            *("record", "submit", "r-1", "--volunteer", "wang", "--activity", "送药上门"),
            *("--organizer", "community", "--start", f"{served:%Y-%m-%d} 09:00"),
            *("--minutes", "240", "--evidence", "A"),
        )
        await self.run("budget", "set", "2026", "--name", "兑换预算", "--limit-fen", "100000")
        await self.run(
            *("fund", "income", "i-1", "--source", "GOVERNMENT", "--amount-fen", "100000"),
            *("--reference", "BOC-1"),
        )
        await self.run(
            *("merchant", "create", "shop", "--name", "小卖部", "--category", "DISCOUNT"),
            *("--fen-per-100-points", "100", "--budget", "2026"),
        )
        await self.run(
            *("offer", "create", "shop", "coffee", "--title", "咖啡", "--price", "10"),
            *("--stock", "20"),
        )
        made = await self.run("terminal", "create", "shop", "t1", "--name", "一号", "--bare")
        return made.strip()

    async def outcomes(self, file: str, *options: str) -> Counter[str]:
        """Compares a journal and gives how often each outcome came."""
        days = ("--start", self.day, "--end", self.day)
        said = await self.run("reconcile", file, "--merchant", "shop", *days, *options)
        table = said.partition("Result 对账结果")[2]
        rows = re.findall(r"│ ([A-Z_]+) \S+ +│ +([\d,]+) │", table)
        return Counter({name: int(count) for name, count in rows})


def noon_zone() -> str:
    """Names a zone in which it is about noon, so that no day ends while the test runs."""
    ahead = 12 - datetime.now(UTC).hour
    return f"Etc/GMT{-ahead:+d}" if ahead else "Etc/GMT"


@asynccontextmanager
async def next_morning(folder: pathlib.Path) -> AsyncIterator[str]:
    """Serves the same files in this event loop, a day later, and gives the address."""
    now_us = int(datetime.now(UTC).timestamp() * 1_000_000)
    process = await open_server(
        server_config(folder),
        [ledger.service.register, merchant.service.register],
        clock=ManualClock(now_us + DAY_US),
        logger=structlog.get_logger("test"),
        http=False,
    )
    try:
        yield f"127.0.0.1:{process.grpc_port}"
    finally:
        await process.stop(0)


async def captured(server: ServerProcess, ref: str) -> None:
    """Returns when the server has sold what stands under a reference."""
    async with server.channel() as channel, asyncio.timeout(SEEN_TIMEOUT_S):
        stub: Any = RedemptionServiceStub(channel)
        request = redemption_service_pb2.ListRedemptionsRequest(
            parent=SHOP, state=redemption_pb2.Redemption.STATE_CAPTURED
        )
        while True:
            page = await stub.ListRedemptions(request)
            if any(one.merchant_ref == ref for one in page.redemptions):
                return
            await elapse(LOOK_S)


async def sell_all_day(
    office: Office, server: ServerProcess, line: Line, screen: Screen, enrolment_code: str
) -> list[str]:
    """What the cashier does and sees; gives the references of five sales."""
    await screen.says(PROMPT)
    screen.type(f"enrol {enrolment_code}")
    await screen.says("ENROLLED 已登记: .* is ACTIVE")
    screen.type(f"redeem coffee 2 --code {await office.code()}")
    first = (await screen.says(r"DONE 成功 REDEEM 兑换 (t1-\d{8}-000001): CAPTURED .*20 points"))[1]
    stem = first[:-1]

    code = await office.code()
    screen.type("redeem coffee")
    await screen.says(CODE_PROMPT)
    line.answers_pass = False
    screen.type(code)
    await captured(server, f"{stem}2")
    server.kill()
    line.cut()
    await screen.says(f"UNKNOWN 结果未知 {stem}2: hand nothing out yet")
    line.answers_pass = True
    server.start()
    await server.serving()
    await screen.says(f"DONE 成功 REDEEM 兑换 {stem}2: CAPTURED .*10 points")

    code = await office.code()
    screen.type("redeem coffee")
    await screen.says(CODE_PROMPT)
    server.kill()
    screen.type(code)
    await screen.says(f"UNKNOWN 结果未知 {stem}3: hand nothing out yet")
    server.start()
    await server.serving()
    await screen.says(f"UNKNOWN 结果未知 {stem}3: the server has not got it")
    screen.type("again 3")
    await screen.says(f"DONE 成功 REDEEM 兑换 {stem}3: CAPTURED .*10 points")

    screen.type(f"redeem coffee --code {code}")
    await screen.says(f"REFUSED 已拒绝 REDEEM 兑换 {stem}4: .*PAYMENT_CODE_INVALID")
    screen.type("refund 2 3")
    await screen.says(f"DONE 成功 REFUND 退款 {stem}2: CAPTURED .*refunded 已退 3")
    for number in (5, 6):
        screen.type(f"redeem coffee --code {await office.code()}")
        await screen.says(f"DONE 成功 REDEEM 兑换 {stem}{number}: CAPTURED .*10 points")
    screen.type("pending")
    await screen.says("Nothing is pending 没有待发")
    screen.type(f"export {office.day} journal.csv")
    await screen.says("EXPORTED 已导出: 5 rows to journal.csv")
    screen.type("quit")
    assert await screen.ends() == 0
    return [f"{stem}{number}" for number in (1, 2, 3, 5, 6)]


async def settle_next_morning(office: Office, refs: list[str]) -> None:
    """Closes the day, reconciles what the till exported, and then what it never said."""
    said = await office.run("settle", "shop", "--date", office.day, "--file", "settled.csv")
    batch = f"{SHOP}/batches/{office.day}-1"
    for words in (batch, "CLOSED 已结算", "57 points 积分 = ¥0.57", "Signature 签名: valid"):
        assert words in said
    settled = (office.folder / "settled.csv").read_text()
    assert all(ref in settled for ref in refs)
    advice = office.folder / "advice.csv"
    advice.write_text(f"batch,paid_fen,paid_date\n{batch},57,{office.day}\n")
    matched = await office.outcomes("journal.csv", "--advice", "advice.csv")
    assert matched == {"MATCHED": 6}
    day, before = office.day, date.fromisoformat(office.day) - timedelta(days=1)
    rows = [
        f"{refs[0]},{day},CAPTURED,20,5",
        f"{refs[1]},{day},VOIDED,0,0",
        f"{refs[1]},{day},CAPTURED,10,3",
        f"{refs[3]},{before},CAPTURED,10,0",
        f"{refs[4]},{before},CAPTURED,10,0,true",
        f"t1-ghost,{day},CAPTURED,10,0",
    ]
    (office.folder / "crafted.csv").write_text("\n".join([f"{HEADER},offline", *rows, ""]))
    crafted = {"MATCHED": 0} | dict.fromkeys(DIFFERENCES, 1)
    for paid_fen, outcome in ((56, "UNPAID"), (58, "OVERPAID")):
        advice.write_text(f"batch,paid_fen,paid_date\n{batch},{paid_fen},{day}\n")
        found = await office.outcomes("crafted.csv", "--advice", "advice.csv")
        assert found == crafted | {outcome: 1}


@pytest.mark.slow
async def test_a_day_at_the_till_from_the_enrolment_to_the_reconciliation(
    start_server: ServerFactory,
) -> None:
    server = start_server({TOP: {"services": ["ledger", "merchant"]}})
    await server.serving()
    office = Office(server.folder, server.grpc_address)
    enrolment_code = await office.open()
    star = await office.run("stars", "show", "wang")
    assert "★☆☆☆☆" in star
    async with line_to(server.grpc_address) as line:
        options = ("--terminal", TILL, "--zone", office.zone, "--server", line.address)
        with Screen(server.folder, *options) as screen:
            refs = await sell_all_day(office, server, line, screen, enrolment_code)
    assert server.terminate() == 0
    async with next_morning(server.folder) as office.address:
        await settle_next_morning(office, refs)
        assert await office.run("stars", "show", "wang") == star
        assert "143" in await office.run("balance", "--holder", "wang")
        budgets = await office.run("budget", "list")
        assert re.search(r"2026 .*¥1,000\.00 │ +¥0\.00 │ +¥0\.57 │ +¥0\.00 │ +¥999\.43", budgets)
        assert "Everything agrees" in await office.run("audit")
    assert "Traceback" not in server.log + screen.text
