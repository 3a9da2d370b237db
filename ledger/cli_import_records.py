"""`timebank import records`: service records 志愿服务记录 out of a CSV file into a ledger.

Owns: the options and the last line. Refuses: everything else (see ledger/imports/records.py and
ledger/imports/record_runs.py).
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ledger.cli_hours_options import EvidenceName
from ledger.cli_options import LEDGER, SERVER, Connection, LedgerId, Server, Token, run, zone_of
from ledger.imports.record_runs import RecordRunOptions, run_records
from ledger.imports.records import RecordRows
from timebank.errors import Reason, TimebankError

CONTINUE = (
    "Nothing is lost: run the same command again to continue where it stopped. 再次运行即可继续"
)

app = typer.Typer(rich_markup_mode="markdown")


File = Annotated[Path, typer.Argument(help="The file to import 文件.", show_default=False)]
Activity = Annotated[str, typer.Option("--activity", help="Activity of rows that name none 活动.")]
Organizer = Annotated[
    str, typer.Option("--organizer", help="Organization of rows that name none 组织.")
]
Evidence = Annotated[
    EvidenceName | None, typer.Option("--evidence", help="Class of rows without one 证据.")
]
Register = Annotated[
    bool, typer.Option("--register", help="Register members that are missing 登记会员.")
]
HomeUnit = Annotated[
    str, typer.Option("--unit", help="Unit of the members that are registered 所属.")
]
Zone = Annotated[str, typer.Option("--zone", help="Time zone of times without one. 时区")]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Check every row, write nothing; needs no server. 试运行"),
]
Errors = Annotated[
    Path | None,
    typer.Option("--errors", help="Write every row not imported to this CSV. 错误明细文件"),
]
Encoding = Annotated[
    str | None,
    typer.Option("--encoding", help="Encoding of the file; by itself UTF-8 or GB18030. 编码"),
]


@app.command(
    epilog="Examples: `timebank import records 服务记录.csv --dry-run`, "
    "`timebank import records records.csv --register --unit huancui --errors refused.csv`"
)
def records(
    file: File,
    activity: Activity = "",
    organizer: Organizer = "",
    evidence: Evidence = None,
    register: Register = False,
    unit: HomeUnit = "",
    zone: Zone = "Asia/Shanghai",
    dry_run: DryRun = False,
    errors: Errors = None,
    encoding: Encoding = None,
    server: Server = SERVER,
    token: Token = None,
    ledger: LedgerId = LEDGER,
) -> None:
    """Imports service records. 导入志愿服务记录.

    Columns: record_id 编号, volunteer 志愿者, activity 活动, organizer 组织, started 开始,
    ended 结束, minutes 时长, evidence 证据 (A to E); if wanted date 日期, hours, place 地点,
    content 内容, beneficiary 服务对象, recorder 记录人, verifiers 核实人, external_ids 外部编号,
    team_lead, need_type, skill, urgent, group, relative, quality, reward, supersedes ... Without an
    end and without a clock only the day is known, and minutes are needed.

    Rows are independent: what is right is sent, what is wrong is listed, and the command ends with
    exit code 1. The same file can be imported again: a record is known by its number.
    """
    source = RecordRows(
        file,
        encoding=encoding,
        zone=zone_of(zone),
        now=datetime.now(UTC),
        defaults={
            "activity": activity,
            "organizer": organizer,
            "evidence": evidence.value if evidence is not None else "",
        },
    )
    options = RecordRunOptions(errors=errors, dry_run=dry_run, register=register, home_unit=unit)
    work = run_records(
        source,
        options,
        Connection(server, token, ledger).open,
        shown=Console(),
        progress_shown=Console(stderr=True),
    )
    try:
        refused = run(work, interrupted=f"interrupted. {CONTINUE}")
    except TimebankError as error:
        if error.reason in (Reason.DATABASE_UNAVAILABLE, Reason.DEADLINE_PASSED):
            typer.echo(CONTINUE, err=True)
        raise
    if refused:
        raise typer.Exit(1)
