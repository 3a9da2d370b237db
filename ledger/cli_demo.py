"""`timebank demo`: the story of the sample city, told by real calls to a running server.

Owns: the steps, their order and their words. Refuses: pretending: what is not built is said to be
so, and every figure shown is the server's answer.
Rules: each run brings medicine on another hour of a Wednesday, so that running it again works.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import AsyncExitStack
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ledger.cli_demo_till import tell_till
from ledger.cli_options import SERVER, TLS, Connection, Server, Token, run
from ledger.cli_shown import accounts_table, amount_text
from ledger.sample.city import LEDGER, ORIGIN
from ledger.sample.people import ELDERS_HOME, WANG, officer_of
from ledger.sample.records import NIGHT_OFFICER, WEDNESDAY, ZONE, Service, night_services
from ledger.sample_client import SampleClient, ServiceRecord, state_name
from timebank.channels import TlsFiles, open_channel
from timebank.client import AccountKind, LedgerClient, Unit
from timebank.client.calls import Caller
from timebank.client.views import LedgerView
from timebank.dev_tokens import PEOPLE, token_file
from timebank.errors import Reason, TimebankError
from timebank.verify_certificates import (
    CertificateInputs,
    find_certificate,
    parse_found,
    verify_certificate,
)

WAIT_S, WAITS_MAX, WAITS_WITHOUT_LEDGER_MAX = 0.5, 360, 6
"""How long the demo waits for the city to be loaded: three minutes, three seconds for its ledger,
which is made first.
"""
HOURS = range(14, 20)
"""When medicine is brought in the demo: 王阿姨 has done with everything else by one o'clock."""
SERVICE_MINUTES = 60
WEEKS_MAX = 50
MINUTES_PER_HOUR = 60
NOT_BUILT = "not built yet 尚未实现"
CERTIFICATE = "wang-ayi.certificate"

app = typer.Typer(rich_markup_mode="markdown")


@app.command(epilog="Example: `timebank demo`, while `make run` runs in another terminal")
def demo(
    server: Server = SERVER,
    token: Token = None,
    data_directory: Annotated[
        Path,
        typer.Option("--data-dir", help="The server's: tokens, keys; certificates 数据目录."),
    ] = Path("data"),
) -> None:
    """Tells the story of the sample city against a running server. 演示."""
    connection = Connection(server, token, LEDGER)
    run(_tell(connection, data_directory))


async def _tell(connection: Connection, directory: Path) -> None:
    console = Console()
    async with connection.open() as client, AsyncExitStack() as stack:
        ledger = await _loaded(client, console)
        tls = TlsFiles() if connection.server.startswith(TLS) else None
        channel = open_channel(connection.server.removeprefix(TLS), tls=tls)
        await stack.enter_async_context(channel)
        city = SampleClient(channel, LEDGER, Caller(token=connection.token))
        word = token_file(directory, "officer")
        officer = None
        if word.is_file():
            officer_token = word.read_text(encoding="utf-8").strip()
            officer = SampleClient(channel, LEDGER, Caller(token=officer_token))
        story = _Story(console, client, city, officer, ledger)
        await story.elders()
        await story.medicine()
        await story.credit()
        await story.star()
        await story.certificate(directory)
        await story.shops(connection, directory)
        await story.night()


async def _loaded(client: LedgerClient, console: Console) -> LedgerView:
    """Waits until the city is loaded. Raises LEDGER_NOT_FOUND when there is none."""
    for waited in range(WAITS_MAX):
        try:
            ledger = await client.get_ledger()
            if ledger.opening_closed:
                return ledger
        except TimebankError as error:
            missing = error.reason is Reason.LEDGER_NOT_FOUND
            if not missing or waited >= WAITS_WITHOUT_LEDGER_MAX:
                raise
        if not waited:
            console.print("The sample city is being loaded 示例城市正在载入 ...")
        await asyncio.sleep(WAIT_S)
    raise TimebankError(
        Reason.LEDGER_NOT_FOUND,
        f"ledger {LEDGER} is not loaded yet; start the server with ledger.sample_city = true and"
        " look at its log",
        ledger=LEDGER,
    )


class _Story:
    """The steps of the demo, in the order in which they are told."""

    def __init__(
        self,
        console: Console,
        client: LedgerClient,
        city: SampleClient,
        officer: SampleClient | None,
        ledger: LedgerView,
    ) -> None:
        self._console = console
        self._client = client
        self._city = city
        self._officer = officer
        self._ledger = ledger
        self._number = 0

    def _step(self, title: str) -> None:
        self._number += 1
        self._console.print()
        self._console.rule(Text(f"{self._number}. {title}"), align="left")

    def _say(self, text: str) -> None:
        self._console.print(Text(text))

    def _not_built(self, title: str) -> None:
        self._step(title)
        self._say(NOT_BUILT)

    async def elders(self) -> None:
        """Shows who lives alone in 12栋."""
        self._step("12栋: five elders living alone 五位独居老人")
        table = Table("Member 会员", "Name 姓名", "Home 住址", "Key elder 重点老人")
        for member in await self._city.members_of(ELDERS_HOME):
            member_id = member.name.rpartition("/")[2]
            name = await self._city.name_of(member_id)
            elder = "yes 是" if member.key_elder else "no 否"
            table.add_row(member_id, Text(name), member.home_unit, elder)
        self._console.print(table)
        self._not_built("Matching the need with a volunteer 需求匹配")

    async def medicine(self) -> None:
        """Takes a record of 王阿姨 from claimed to publicised."""
        self._step("The Wednesday medicine run 周三送药: from CLAIMED to PUBLICISED")
        service = await self._next_service()
        self._say(
            f"王阿姨 brought medicine to 12栋 on {service.start:%Y-%m-%d %H:%M}, "
            f"{service.minutes} minutes; officer {service.recorder} writes it down."
        )
        claimed = await self._city.submit(service)
        self._say(f"{service.record_id}: {state_name(claimed)}")
        checked = await self._verified(claimed)
        causes = self._client.list_entries(cause=f"members/{WANG}")
        kinds = []
        async for entry in causes:
            if entry.index <= _index(claimed):
                break
            kinds.append(entry.kind.removeprefix("RECORD_"))
        for kind in reversed(kinds):
            self._say(f"{service.record_id}: {kind}")
        until = checked.publicity_end_time.ToDatetime(tzinfo=ZoneInfo("UTC"))
        zone = ZoneInfo(self._ledger.time_zone)
        self._say(
            f"{state_name(checked)} 公示中 until {until.astimezone(zone):%Y-%m-%d %H:%M}; "
            "balances move when it is POSTED 入账, after that."
        )

    async def _next_service(self) -> Service:
        """Gives the next hour of a Wednesday that no run has taken."""
        today = datetime.now(ZoneInfo(ZONE)).date()
        last = today - timedelta(days=(today.weekday() - WEDNESDAY - 1) % 7 + 1)
        for week in range(WEEKS_MAX):
            for hour in HOURS:
                service = _medicine(last - timedelta(weeks=week), hour)
                if await self._city.find_record(service.record_id) is None:
                    return service
        raise TimebankError(
            Reason.RECORD_EXISTS,
            "every hour of the demo is taken: stop the server, delete its data, start it again",
        )

    async def _verified(self, record: ServiceRecord) -> ServiceRecord:
        """Attests a record as another officer, with the officer's own token when there is one."""
        officer = PEOPLE["officer"][1]
        if self._officer is not None:
            self._say(f"Officer {officer}, with a token of their own, attests it 核实.")
            return await self._officer.verify(record.name)
        self._say(f"The operator attests it 核实 in the name of officer {officer}.")
        return await self._city.verify(record.name, officer)

    async def credit(self) -> None:
        """Shows what 王阿姨 has, and what waits."""
        self._step("Her balances and pending points 余额与待入账积分")
        star = await self._city.star(WANG)
        accounts = [item async for item in self._client.list_accounts(holder=WANG)]
        self._console.print(accounts_table(accounts, f"Accounts 账户 of {WANG}"))
        self._say(f"Points pending until publicity ends 待入账积分: {star.pending_points}")

    async def star(self) -> None:
        """Shows how far the next star is."""
        self._step("Her star 星级")
        star = await self._city.star(WANG)
        need = star.hours_minutes + star.missing_minutes
        missing = amount_text(star.missing_minutes, Unit.HOURS)
        self._say(
            f"王阿姨 holds {star.star} stars ({star.star} 星); {missing} to go 还差 {missing}"
        )
        self._console.print(ProgressBar(total=need or 1, completed=star.hours_minutes, width=60))
        self._console.print()
        for reason in star.reasons_zh:
            self._say(f"  {reason}")

    async def certificate(self, directory: Path) -> None:
        """Issues a certificate, writes it down, and checks it without the server."""
        self._step("A certificate 志愿服务证明, verified offline 离线验证")
        made = await self._city.issue_certificate(
            WANG,
            issuer="环翠区时间银行",
            person_in_charge="丛建国",
            contact="0631-0000000",
            note="示例，无效 sample, void",
        )
        place = directory / "demo"
        place.mkdir(parents=True, exist_ok=True)
        paths = [place / CERTIFICATE, place / f"{CERTIFICATE}.pdf"]
        paths[0].write_bytes(made.document.encode())
        paths[1].write_bytes(made.pdf)
        self._say(f"{made.name}: {amount_text(made.total_minutes, Unit.HOURS)}")
        self._say("Written 已写入: " + ", ".join(map(str, paths)))
        vkey_file = directory / "keys" / f"{ORIGIN.replace('/', '_')}.vkey"
        vkeys, source = self._ledger.verifier_keys, "as the server told it"
        if vkey_file.is_file():
            vkeys = tuple(vkey_file.read_text(encoding="utf-8").split())
            source = str(vkey_file)
        found = find_certificate(paths[0].read_bytes())
        if found is None:
            raise TimebankError(Reason.VALIDATION_FAILED, f"{paths[0]} is no certificate")
        findings = verify_certificate(CertificateInputs(parse_found(found), found, vkeys))
        self._say(f"VERIFIED 验证通过 with the log's key, {source}:")
        for line in findings.proved:
            self._say(f"  {line}")

    async def shops(self, connection: Connection, directory: Path) -> None:
        """Spends points at the till of the barber, and shows what the shops have."""
        self._step("Shops and the fund 商户与专项基金")
        shops = [item async for item in self._client.list_accounts(kind=AccountKind.MERCHANT)]
        funds = [item async for item in self._client.list_accounts(kind=AccountKind.FUND)]
        table = Table("Holder 持有人", "Unit 单位", "Posted 余额")
        for account in [*shops, *funds]:
            shown = amount_text(account.posted, account.unit)
            table.add_row(account.holder or "fund 基金", account.unit.name, shown)
        self._console.print(table)
        before = await self._city.star(WANG)
        self._step("The haircut paid with points at the till 理发店积分兑换, 商户结算")
        if not await tell_till(connection, directory, self._say):
            self._say(
                "  this server has no merchant service with the sample shops: serve with services ="
                ' ["ledger", "merchant"]'
            )
        after = await self._city.star(WANG)
        self._say(f"Her star 星级 before and after 前后: {before.star}, {after.star}")
        self._not_built("Credit points for the city's credit platform 信用平台对接")

    async def night(self) -> None:
        """Shows the night of back-entries, and tries one that four eyes refuse."""
        self._step("The suspicious night 可疑的夜间补录")
        typed = [
            service.record_id for service in night_services(datetime.now(ZoneInfo(ZONE)).date())
        ]
        kept = [name for name in typed if await self._city.find_record(name) is not None]
        self._alarms(await self._city.alarms())
        self._say(
            f"Of {len(typed)} back-entries typed by one officer in one night the ledger took "
            f"{len(kept)}, flagged and without points. Above 480 minutes a day it refused "
            "(LIMIT_EXCEEDED), and so it did what the officer attested alone (FOUR_EYES_REQUIRED)."
        )
        yesterday = datetime.now(ZoneInfo(ZONE)).date() - timedelta(days=1)
        alone = _medicine(yesterday, HOURS.stop)._replace(
            record_id=f"demo-alone-{yesterday:%Y%m%d}",
            evidence="C",
            recorder=NIGHT_OFFICER,
            verifiers=(NIGHT_OFFICER,),
        )
        self._say(f"{NIGHT_OFFICER} tries to attest their own back-entry 自录自核:")
        try:
            await self._city.submit(alone)
        except TimebankError as error:
            if error.reason is not Reason.FOUR_EYES_REQUIRED:
                raise
            self._say(f"  refused 拒绝: {error}")

    def _alarms(self, records: Iterable[ServiceRecord]) -> None:
        table = Table("Record 记录", "Officer 录入人", "Minutes 分钟", "State 状态", "Points 积分")
        for record in records:
            table.add_row(
                record.name.rpartition("/")[2],
                record.recorder,
                str(record.minutes),
                state_name(record),
                str(record.points),
            )
        self._console.print(table)


def _medicine(day: date, hour: int) -> Service:
    start = datetime(day.year, day.month, day.day, hour, tzinfo=ZoneInfo(ZONE))
    return Service(
        f"demo-{day:%Y%m%d}-{hour}",
        WANG,
        start,
        SERVICE_MINUTES,
        "B",
        "周三送药",
        "medicine",
        "顺城里小区12栋",
        "shuncheng-community",
        officer_of("shuncheng", 1),
        beneficiary="elder-1",
        content="为12栋独居老人送药",
    )


def _index(record: ServiceRecord) -> int:
    """Gives the index of the last entry about a record."""
    return int(record.entry.rpartition("/")[2])
