"""`timebank policy`: presets of policies 积分政策, checking one, and trying it on records.

Owns: the command line and what is shown. Refuses: putting a policy into a ledger (see
ledger/cli_policy_versions.py), and everything that a policy means (see ledger/domain/policy.py).
Works without a server.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.table import Table
from rich.text import Text

from ledger.cli_options import zone_of
from ledger.cli_policy_records import RecordFile, SimulatedRecord
from ledger.cli_policy_speed import measure
from ledger.cli_shown import amount_text
from ledger.domain.account import NEVER_US
from ledger.domain.earning import TallyKey, earn
from ledger.domain.policy import Policy, PolicyTimeline, PolicyVersion
from ledger.domain.policy_text import TEXT_BYTES_MAX, parse_policy
from ledger.domain.service_split import policy_version
from ledger.imports.movements import RowError
from ledger.imports.reports import ErrorLog
from ledger.policies import load_preset, preset_names
from timebank.errors import Reason, TimebankError
from timebank.units import Unit

MEMBERS_SHOWN = 50
MEMBERS_SHOWN_MAX = 100_000
BAR_CELLS = 20
VERSION = "simulated"

policy_app = typer.Typer(
    name="policy",
    help="Look at, check and try policies 积分政策: how hours become TIME and POINTS.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

PolicyFile = Annotated[
    str,
    typer.Argument(
        metavar="FILE",
        help="JSON file of a policy, or a preset's name 政策文件.",
        show_default=False,
    ),
]


class _Totals:
    """What one member has earned so far, with the tallies between the services."""

    def __init__(self) -> None:
        self.hours = self.time = self.pool_time = self.points = 0
        self.tallies: dict[TallyKey, int] = {}

    def add(self, timeline: PolicyTimeline, record: SimulatedRecord, zone: str) -> None:
        """Adds a record. Raises what `earn` refuses."""
        earned = earn(
            timeline, record.service, zone=zone, tallies=self.tallies, stored_time=self.time
        )
        self.hours += earned.hours
        self.time += earned.time
        self.pool_time += earned.pool_time
        self.points += earned.points
        for key, count in earned.tallies:
            self.tallies[key] = self.tallies.get(key, 0) + count


@policy_app.command(name="list", epilog="Example: `timebank policy list`")
def list_presets() -> None:
    """Lists the presets of cities. 列出预置政策."""
    table = Table(title="Presets 预置政策", title_justify="left")
    for heading in (
        "Name 名称",
        "Title 说明",
        "Reward 回报",
        "Rounding 取整",
        "Store cap 存储上限",
    ):
        table.add_column(heading, overflow="fold")
    for name in preset_names():
        policy = parse_policy(load_preset(name))
        cap = policy.earn.caps.store_minutes
        table.add_row(
            name,
            Text(policy.name),
            policy.earn.reward,
            policy.earn.rounding,
            "none 无" if cap is None else amount_text(cap, Unit.TIME),
        )
    Console().print(table)


@policy_app.command(epilog="Example: `timebank policy show weihai > weihai.json`")
def show(
    name: Annotated[str, typer.Argument(help="Name of a preset 名称.", show_default=False)],
) -> None:
    """Shows the document of a preset, to be copied and changed. 查看预置政策."""
    typer.echo(load_preset(name), nl=False)


@policy_app.command(epilog="Example: `timebank policy check weihai.json`")
def check(file: PolicyFile) -> None:
    """Checks a policy; says every fault with its place and ends with exit code 1. 检查政策."""
    policy = read_policy(file)
    until = "" if policy.effective_to is None else f" until {policy.effective_to}"
    said = f"{policy.policy_id}: no fault 无误; from {policy.effective_from}{until}"
    Console().print(Text(said))


@policy_app.command(
    epilog="Example: `timebank policy simulate weihai.json --records 服务记录.csv --any-date`"
)
def simulate(
    file: PolicyFile,
    records: Annotated[
        Path,
        typer.Option(
            "--records",
            help="CSV with volunteer, started, ended, minutes, evidence (志愿者, 开始时间, "
            "结束时间, 分钟, 证据等级), and if wanted need_type, skill, urgent, quality, group, "
            "relative, reward ... 服务记录",
            show_default=False,
        ),
    ],
    zone: Annotated[
        str, typer.Option("--zone", help="Time zone of the ledger and of times without one. 时区")
    ] = "Asia/Shanghai",
    any_date: Annotated[
        bool,
        typer.Option(
            "--any-date", help="As if the policy had always been in force. 不论日期，全部适用"
        ),
    ] = False,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=MEMBERS_SHOWN_MAX, help="Most members shown 人数.")
    ] = MEMBERS_SHOWN,
    errors: Annotated[
        Path | None,
        typer.Option("--errors", help="Write every wrong row to this CSV. 错误明细文件"),
    ] = None,
) -> None:
    """Tries a policy on records: what each member would earn; nothing is written. 试算.

    The file may be UTF-8 or GB18030. A record without an end counts on its day. Wrong rows are
    listed, the others still count, and the command ends with exit code 1. Records that overlap
    are not looked for.
    """
    zone_of(zone)
    policy = read_policy(file)
    version = policy_version(VERSION, policy, zone)
    if any_date:
        version = PolicyVersion(VERSION, policy, 0, NEVER_US)
    source = RecordFile(records)
    console = Console(stderr=True)
    with ErrorLog(errors) as log, _progress(console) as progress:
        found = _read(source, zone, log, progress)
        totals = _reckon((version,), found, zone, log, progress)
    shown = Console()
    if log.count:
        shown.print(log.table())
    shown.print(_totals_table(totals, limit, policy.policy_id))
    if log.count:
        raise typer.Exit(1)


def read_policy(file: str) -> Policy:
    """Reads a policy; its faults are shown as a table, and the command ends with exit code 1."""
    try:
        return parse_policy(policy_document(file))
    except TimebankError as error:
        if not error.violations:
            raise
        table = Table(title=f"Faults 错误 of {file}", title_justify="left")
        table.add_column("Place 位置", overflow="fold")
        table.add_column("What is wrong 问题", overflow="fold")
        for place, text in error.violations:
            table.add_row(Text(place), Text(text))
        Console().print(table)
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error


def policy_document(file: str) -> str:
    """Reads a file in UTF-8 or GB18030, or a preset when no such file is there."""
    path = Path(file)
    if not path.exists() and file in preset_names():
        return load_preset(file)
    try:
        with path.open("rb") as opened:
            data = opened.read(2 * TEXT_BYTES_MAX)
    except (OSError, ValueError) as error:
        problem = getattr(error, "strerror", None) or "cannot be read"
        raise TimebankError(
            Reason.VALIDATION_FAILED,
            f"{file}: {problem}; give a JSON file, or one of {', '.join(preset_names())}",
            file=file,
        ) from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("gb18030", errors="replace")


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), console=console
    )


def _read(
    source: RecordFile, zone: str, log: ErrorLog, progress: Progress
) -> list[SimulatedRecord]:
    """Reads every record, in the order in which members served."""
    task = progress.add_task("Reading 读取", total=source.table.size_bytes)
    found: list[SimulatedRecord] = []
    for item in source.read(zone_of(zone), lambda at: progress.update(task, completed=at)):
        if isinstance(item, RowError):
            log.add(item)
        else:
            found.append(item)
    progress.update(task, completed=source.table.size_bytes)
    found.sort(key=lambda record: (record.volunteer, record.service.started_us, record.number))
    return found


def _reckon(
    timeline: PolicyTimeline,
    records: list[SimulatedRecord],
    zone: str,
    log: ErrorLog,
    progress: Progress,
) -> dict[str, _Totals]:
    """Reckons what every member earns; a record that earns nothing by its faults is an error."""
    totals: dict[str, _Totals] = {}
    for record in progress.track(records, description="Reckoning 计算"):
        total = totals.get(record.volunteer) or _Totals()
        try:
            total.add(timeline, record, zone)
            totals[record.volunteer] = total
        except TimebankError as error:
            column = error.metadata.get("field", "").removesuffix("_time")
            log.add(RowError(record.number, column, error.message, "correct the row"))
    return totals


def _totals_table(totals: dict[str, _Totals], limit: int, name: str) -> Table:
    """Shows members, most first, with a bar of POINTS, or of TIME when nobody has POINTS."""
    by_points = any(total.points for total in totals.values())
    sizes = {who: total.points if by_points else total.time for who, total in totals.items()}
    members = sorted(totals, key=lambda who: (-sizes[who], -totals[who].hours, who))
    most = max([1, *sizes.values()])
    shown = f"{min(limit, len(members)):,} of {len(members):,}"
    table = Table(title=Text(f"Simulation 试算 {name}: members 人数 {shown}"), show_footer=True)
    table.title_justify = "left"
    every = totals.values()
    table.add_column("Volunteer 志愿者", "All 合计", overflow="fold")
    for heading, total, unit in (
        ("HOURS\n服务时长", sum(one.hours for one in every), Unit.HOURS),
        ("TIME\n时间币", sum(one.time for one in every), Unit.TIME),
        ("To the pool\n入时间池", sum(one.pool_time for one in every), Unit.TIME),
        ("POINTS\n积分", sum(one.points for one in every), Unit.POINTS),
    ):
        table.add_column(heading, amount_text(total, unit), justify="right", no_wrap=True)
    table.add_column("POINTS 积分" if by_points else "TIME 时间币", no_wrap=True)
    for who in members[:limit]:
        one = totals[who]
        table.add_row(
            Text(who),
            amount_text(one.hours, Unit.HOURS),
            amount_text(one.time, Unit.TIME),
            amount_text(one.pool_time, Unit.TIME),
            amount_text(one.points, Unit.POINTS),
            "█" * (sizes[who] * BAR_CELLS // most),
        )
    return table


policy_app.command(epilog="Example: `timebank policy measure hailin --records 200000`")(measure)
