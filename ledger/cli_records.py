"""`timebank record`: submitting service records, reading them, and their life after.

Owns: the command line of these. Refuses: every rule, which the server keeps; many records at once
are `timebank import records`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Coroutine, Mapping
from datetime import datetime, timedelta, tzinfo
from typing import Annotated

import typer
from rich.console import Console

from ledger.cli_hours_options import (
    EvidenceName,
    Memo,
    RecordId,
    RecordStateName,
    RequestId,
    Yes,
    ask_back,
    refusal,
)
from ledger.cli_hours_shown import record_table, records_table
from ledger.cli_options import (
    LEDGER,
    ROWS_SHOWN,
    SERVER,
    Connection,
    LedgerId,
    Limit,
    Server,
    Token,
    ask,
    first,
    moment,
    zone_of,
)
from timebank.client import EvidenceClass, LedgerClient, RecordDraft, RecordView

DAY_MINUTES = 24 * 60
RECORD_MINUTES_MAX = 2 * DAY_MINUTES
DRAFT_FIELDS = frozenset(field.name for field in dataclasses.fields(RecordDraft))

app = typer.Typer(
    name="record",
    help="Submit, attest and correct service records 志愿服务记录.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

Volunteer = Annotated[str, typer.Option("--volunteer", help="Who served 志愿者.")]
Activity = Annotated[str, typer.Option("--activity", help="Name of the activity 活动.")]
Organizer = Annotated[str, typer.Option("--organizer", help="Id of the organization 组织者.")]
Start = Annotated[
    str,
    typer.Option("--start", help="Start, e.g. `2026-11-24 09:00`; with --date-only a day 开始."),
]
End = Annotated[str, typer.Option("--end", help="End; else --start and --minutes 结束.")]
Evidence = Annotated[EvidenceName, typer.Option("--evidence", help="Class, A best 证据等级.")]
DateOnly = Annotated[bool, typer.Option("--date-only", help="Only the day is known 仅知日期.")]
Claimed = Annotated[
    int,
    typer.Option(
        "--minutes", min=0, max=RECORD_MINUTES_MAX, help="Minutes claimed; 0: all 时长（分钟）."
    ),
]
Breaks = Annotated[
    int, typer.Option("--break-minutes", min=0, max=RECORD_MINUTES_MAX, help="Breaks 休息.")
]
Planned = Annotated[
    int, typer.Option("--planned-minutes", min=0, max=RECORD_MINUTES_MAX, help="Planned 计划时长.")
]
Beneficiary = Annotated[str, typer.Option("--beneficiary", help="Who was served 服务对象.")]
Place = Annotated[str, typer.Option("--place", help="Where 地点.")]
Content = Annotated[str, typer.Option("--content", help="What; kept outside the log 内容.")]
Recorder = Annotated[str, typer.Option("--recorder", help="Officer who recorded it 记录人.")]
TeamLead = Annotated[str, typer.Option("--team-lead", help="Id of the team lead 负责人.")]
Quality = Annotated[
    int, typer.Option("--quality-tenths", min=0, max=50, help="10 to 50; 0: not rated 质量.")
]
QualityFailed = Annotated[bool, typer.Option("--quality-failed", help="Failed 质量不合格.")]
NeedType = Annotated[str, typer.Option("--need-type", help="Kind of need 需求类型.")]
Skill = Annotated[str, typer.Option("--skill", help="Skill used 技能.")]
Urgent = Annotated[bool, typer.Option("--urgent", help="The need was urgent 紧急.")]
Group = Annotated[bool, typer.Option("--group", help="A group activity 集体活动.")]
Relative = Annotated[bool, typer.Option("--relative", help="They are relatives 亲属.")]
Reward = Annotated[str, typer.Option("--reward", help="TIME or POINTS, if there is a choice 回报.")]
Verifiers = Annotated[
    list[str] | None,
    typer.Option("--verifier", help="Officer, or members/NUMBER, who attested; repeatable 核实人."),
]
Supersedes = Annotated[str, typer.Option("--supersedes", help="Record that it corrects 更正.")]
Bonuses = Annotated[
    list[str] | None, typer.Option("--bonus", help="TEAM_LEAD or REFERRAL; repeatable 加分.")
]
ExternalIds = Annotated[
    list[str] | None, typer.Option("--external-id", help="Its id elsewhere; repeatable 外部编号.")
]
Publicised = Annotated[
    bool, typer.Option("--publicised", help="Was publicised elsewhere already 已公示.")
]
_Change = Callable[[LedgerClient], Coroutine[None, None, RecordView]]


@app.command(
    epilog="Examples: `timebank record submit r-2026-1 --volunteer wang-01 --activity 送药上门 "
    "--organizer community --start '2026-11-24 09:00' --end '2026-11-24 10:30' --evidence A`, "
    "`timebank record submit r-2 --volunteer wang-01 --activity 清雪 --organizer community "
    "--start 2026-11-20 --date-only --minutes 90 --evidence D --external-id zyh-17`"
)
def submit(
    record: RecordId,
    volunteer: Volunteer,
    activity: Activity,
    organizer: Organizer,
    start: Start,
    evidence: Evidence,
    end: End = "",
    date_only: DateOnly = False,
    minutes: Claimed = 0,
    break_minutes: Breaks = 0,
    planned_minutes: Planned = 0,
    beneficiary: Beneficiary = "",
    place: Place = "",
    content: Content = "",
    recorder: Recorder = "",
    team_lead: TeamLead = "",
    quality_tenths: Quality = 0,
    quality_failed: QualityFailed = False,
    need_type: NeedType = "",
    skill: Skill = "",
    urgent: Urgent = False,
    group: Group = False,
    relative: Relative = False,
    reward: Reward = "",
    verifiers: Verifiers = None,
    supersedes: Supersedes = "",
    bonuses: Bonuses = None,
    external_ids: ExternalIds = None,
    publicised: Publicised = False,
    request_id: RequestId = "",
    server: Server = SERVER,
    token: Token = None,
    ledger: LedgerId = LEDGER,
) -> None:
    """Submits a record; the same record again changes nothing. 提交记录."""
    said = {name: value for name, value in locals().items() if name in DRAFT_FIELDS}

    async def send(client: LedgerClient) -> RecordView:
        zone = zone_of((await client.get_ledger()).time_zone)
        draft = _draft(record, said, *_times(start, end, zone, minutes, date_only=date_only))
        return await client.submit_record(draft, request_id=request_id)

    _show(Connection(server, token, ledger), send)


@app.command(epilog="Example: `timebank record show r-2026-1`")
def show(
    record: RecordId, server: Server = SERVER, token: Token = None, ledger: LedgerId = LEDGER
) -> None:
    """Shows a record and what it credited. 查询记录."""
    _show(Connection(server, token, ledger), lambda client: client.get_record(record))


@app.command(
    name="list",
    epilog="Examples: `timebank record list --volunteer wang-01`, "
    "`timebank record list --state CLAIMED`, `timebank record list --alarm`",
)
def list_records(
    volunteer: Annotated[str, typer.Option("--volunteer", help="Only of this one 志愿者.")] = "",
    state: Annotated[
        RecordStateName | None, typer.Option("--state", help="Only those that stand so 状态.")
    ] = None,
    alarm: Annotated[
        bool, typer.Option("--alarm", help="Only those that raised the back-entry alarm 预警.")
    ] = False,
    limit: Limit = ROWS_SHOWN,
    server: Server = SERVER,
    token: Token = None,
    ledger: LedgerId = LEDGER,
) -> None:
    """Lists records, the last changed first. 列出记录."""

    async def collect(client: LedgerClient) -> tuple[list[RecordView], str]:
        found = client.list_records(
            volunteer=volunteer, state=None if state is None else state.state, alarm=alarm
        )
        return await first(found, limit), (await client.get_ledger()).time_zone

    records, name = ask(Connection(server, token, ledger), collect)
    title = f"Records 记录 of {ledger} ({name})"
    Console().print(records_table(records, zone_of(name), title))


@app.command(
    epilog="Examples: `timebank record verify r-17`, "
    "`timebank record verify r-17 --as members/li-02`"
)
def verify(
    record: RecordId,
    verifier: Annotated[
        str, typer.Option("--as", help="Who attests, if not the caller 核实人.")
    ] = "",
    request_id: RequestId = "",
    server: Server = SERVER,
    token: Token = None,
    ledger: LedgerId = LEDGER,
) -> None:
    """Attests a record: a second officer, or the beneficiary. 核实."""
    _show(
        Connection(server, token, ledger),
        lambda c: c.verify_record(record, verifier=verifier, request_id=request_id),
    )


@app.command(epilog="Example: `timebank record dispute r-17 --memo 时间不对`")
def dispute(
    record: RecordId,
    memo: Memo = "",
    request_id: RequestId = "",
    server: Server = SERVER,
    token: Token = None,
    ledger: LedgerId = LEDGER,
) -> None:
    """Disputes a record that is not credited yet. 提出异议."""
    connection = Connection(server, token, ledger)
    _show(connection, lambda c: c.dispute_record(record, memo=memo, request_id=request_id))


@app.command(epilog="Examples: `timebank record resolve r-17 --stands`, `... --void --memo 属实`")
def resolve(
    record: RecordId,
    upheld: Annotated[
        bool,
        typer.Option(
            "--void/--stands",
            help="The objection is right 异议成立, or the record stands 异议不成立.",
            show_default=False,
        ),
    ],
    memo: Memo = "",
    request_id: RequestId = "",
    server: Server = SERVER,
    token: Token = None,
    ledger: LedgerId = LEDGER,
) -> None:
    """Resolves a dispute. 处理异议."""
    _show(
        Connection(server, token, ledger),
        lambda c: c.resolve_dispute(record, upheld=upheld, memo=memo, request_id=request_id),
    )


@app.command(epilog="Example: `timebank record void r-17 --memo 重复 --yes`")
def void(
    record: RecordId,
    memo: Memo = "",
    request_id: RequestId = "",
    yes: Yes = False,
    server: Server = SERVER,
    token: Token = None,
    ledger: LedgerId = LEDGER,
) -> None:
    """Declares a record void; what it credited is taken back. 作废."""
    ask_back(f"Void record {record} for ever? 作废记录，不可撤销？", yes=yes)
    connection = Connection(server, token, ledger)
    _show(connection, lambda c: c.void_record(record, memo=memo, request_id=request_id))


@app.command(
    name="spot-check",
    epilog="Examples: `timebank record spot-check r-17 --passed`, `... --failed --memo 查无此事`",
)
def spot_check(
    record: RecordId,
    passed: Annotated[
        bool,
        typer.Option(
            "--passed/--failed", help="It is good 通过, or void 不通过.", show_default=False
        ),
    ],
    memo: Memo = "",
    request_id: RequestId = "",
    server: Server = SERVER,
    token: Token = None,
    ledger: LedgerId = LEDGER,
) -> None:
    """Says how the spot check of a back-entry went. 抽查."""
    _show(
        Connection(server, token, ledger),
        lambda c: c.resolve_spot_check(record, passed=passed, memo=memo, request_id=request_id),
    )


def _times(
    start: str, end: str, zone: tzinfo, minutes: int, *, date_only: bool
) -> tuple[datetime, datetime | None]:
    """Reads start and end; an end that is left out follows from the minutes, unless a day is all
    that is known or nobody checked out.
    """
    started = moment(start, "--start", zone)
    if date_only:
        if end:
            raise refusal("--end: expected none with --date-only", "end")
        return started, None
    if end:
        return started, moment(end, "--end", zone)
    return started, started + timedelta(minutes=minutes) if minutes else None


def _draft(
    record: str, said: Mapping[str, object], started: datetime, ended: datetime | None
) -> RecordDraft:
    """Makes the record of the options, which have the names of its fields."""
    values = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in said.items()
        if value is not None
    }
    values["evidence"] = EvidenceClass[str(values["evidence"])]
    return RecordDraft(
        record_id=record,
        start_time=started,
        end_time=ended,
        **values,  # type: ignore[arg-type]  # each option has the type of its field
    )


def _show(connection: Connection, change: _Change) -> None:
    """Carries a change out and shows the record as it is then."""

    async def carry_out(client: LedgerClient) -> tuple[RecordView, str]:
        return await change(client), (await client.get_ledger()).time_zone

    record, zone = ask(connection, carry_out)
    Console().print(record_table(record, zone_of(zone)))
