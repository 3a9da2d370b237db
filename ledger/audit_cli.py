"""`timebank audit`: rebuilds everything from the log, compares it with the database, and says what
differs; then audits the other services that the configuration serves.

Owns: the options, the progress bars and the tables. Refuses: every rule, which ledger.audit and the
audits of other services keep. Rules: it only reads, beside a server that runs. Exit code 0 is
agreement, 1 is a difference (or a refusal: one line on stderr).
"""

from __future__ import annotations

import asyncio
import functools
import gc
import json as json_module
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from timebank.config import Config, load_config
from timebank.errors import Reason, TimebankError
from timebank.tlog.note import KNOWN_KEYS_MAX, NOTE_BYTES_MAX
from timebank.tlog.vkey import VKEY_CHARACTERS_MAX, parse_vkey

if TYPE_CHECKING:
    from ledger.audit.run import Kept
    from timebank.audits import Difference, Report, ServiceAudit

EPILOG = (
    "Examples: `timebank audit`, or with what was kept elsewhere `timebank audit --ledger weihai "
    "--checkpoint kept.checkpoint --vkey timebank.example_weihai.vkey`"
)
LEDGER = "ledger"
DIFFERENT = 1
INTERRUPTED = 130
_VKEY_FILE_BYTES_MAX = KNOWN_KEYS_MAX * (4 * VKEY_CHARACTERS_MAX + 1)
_WHAT = {
    "entries": "Entries of the log 条目: bytes, times, keys, hashes, root",
    "tiles": "Tiles 哈希块",
    "heads": "Heads 日志头",
    "invariants": "Accounts that keep every invariant 账户恒等式",
    "ledgers": "Ledgers 账本",
    "accounts": "Accounts 账户",
    "balances": "Balances 余额",
    "postings": "Postings 分录",
    "lots": "Lots 批次",
    "holds": "Holds 预授权",
    "corrections": "Corrections 更正",
    "earnings": "Earnings 年度所得",
    "texts": "Texts and their commitments 文本承诺",
    "checkpoint": "Kept checkpoint 留存的检查点",
}

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", envvar="TIMEBANK_CONFIG", help="TOML file. 配置文件"),
]
DatabaseUrl = Annotated[
    str | None, typer.Option("--database", help="Database instead of the configured one 数据库.")
]
LedgerId = Annotated[
    str | None,
    typer.Option("--ledger", help="Id of one ledger; else all of them 账本.", show_default=False),
]
CheckpointFile = Annotated[
    Path | None,
    typer.Option(
        "--checkpoint",
        help="A signed checkpoint kept from before: finds a log that was cut or rewritten 检查点.",
    ),
]
VerifierKey = Annotated[
    str | None,
    typer.Option(
        "--vkey",
        help="Verifier key of the log, as text or file; else the log's own word counts 公钥.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object 输出 JSON.")]


def command(
    environment: Mapping[str, str], *, others: Sequence[ServiceAudit] = ()
) -> Callable[..., None]:
    """Makes the command; settings come from the file, the environment given, and --database.
    `others` are the audits of the other services.
    """

    def audit(
        config: ConfigFile = None,
        database: DatabaseUrl = None,
        ledger: LedgerId = None,
        checkpoint: CheckpointFile = None,
        vkey: VerifierKey = None,
        json: AsJson = False,
    ) -> None:
        """Rebuilds all balances from the log, compares everything that is stored, and audits the
        merchant service's documents, budgets, batches and files (审计).

        Exit code 0: everything agrees. 1: what differs is shown.
        """
        loaded = load_config(config, environment, {"database.url": database})
        audits = [other for other in others if other.service in loaded.services]
        reports = _run(loaded, audits, ledger, _kept(checkpoint, vkey), quiet=json)
        if json:
            typer.echo(_as_json(reports))
        else:
            labels = {LEDGER: _WHAT, **{other.service: other.labels for other in audits}}
            for service, report in reports.items():
                _show(report, labels[service], "" if service == LEDGER else f"{service}: ")
        if not all(report.ok for report in reports.values()):
            raise typer.Exit(DIFFERENT)

    return audit


def _run(
    config: Config,
    others: Sequence[ServiceAudit],
    ledger: str | None,
    kept: Kept | None,
    *,
    quiet: bool,
) -> dict[str, Report]:
    """Audits with the progress on stderr when somebody watches; gives the reports by service."""
    # Nothing here makes cycles; looking for some among all rows would cost a third of the time.
    collecting = gc.isenabled()
    gc.disable()
    console = Console(stderr=True, quiet=quiet)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    try:
        with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
            return asyncio.run(_audit(config, others, ledger, kept, _Bars(progress)))
    except KeyboardInterrupt as error:
        typer.echo("interrupted: nothing was found so far, and nothing was proved", err=True)
        raise typer.Exit(INTERRUPTED) from error
    finally:
        if collecting:
            gc.enable()


async def _audit(
    config: Config,
    others: Sequence[ServiceAudit],
    ledger: str | None,
    kept: Kept | None,
    bars: _Bars,
) -> dict[str, Report]:
    """Audits the ledger, unless others are served without it, and then these."""
    from ledger.audit.payments import read_payments
    from ledger.audit.run import audit_database

    reports = {}
    served = LEDGER in config.services or not others
    if served:
        report = await audit_database(config.database, ledger_id=ledger, kept=kept, watcher=bars)
        if report.ok and not report.checked:
            raise TimebankError(
                Reason.LEDGER_NOT_FOUND,
                f"{config.database.url}: no ledger in this database, nothing was checked; name the "
                "right one with --config or --database",
            )
        reports[LEDGER] = report
    payments_of = functools.partial(read_payments, config.database) if served else None
    for other in others:
        rows = _RowBar(bars, other.service)
        reports[other.service] = await other.run(config, ledger, payments_of, rows)
    return reports


def _as_json(reports: Mapping[str, Report]) -> str:
    """Writes one JSON object: the ledger's own report, and those of others by their service."""
    ok = all(report.ok for report in reports.values())
    document: dict[str, object] = {}
    for service, report in reports.items():
        if service == LEDGER:
            document |= report.as_json()
        else:
            found = [difference.as_json() for difference in report.differences]
            document[service] = report.as_json() | {"differences": found}
    return json_module.dumps(document | {"ok": ok}, ensure_ascii=False)


class _Bars:
    """Two bars a ledger: what is hashed, and what is folded."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._hashed: TaskID | None = None
        self._folded: TaskID | None = None

    def start(self, ledger_id: str, size: int) -> None:
        """Adds the bars of a ledger."""
        name = _plain(ledger_id)
        self._hashed = self._progress.add_task(f"{name}: log 日志", total=size)
        self._folded = self._progress.add_task(f"{name}: balances 余额", total=size)

    def add(self, name: str, size: int) -> TaskID:
        """Adds a bar."""
        return self._progress.add_task(name, total=size)

    def advance(self, task: TaskID, count: int) -> None:
        """Moves a bar."""
        self._progress.advance(task, count)

    def hashed(self, count: int) -> None:
        """Moves the first bar."""
        if self._hashed is not None:
            self._progress.advance(self._hashed, count)

    def folded(self, count: int) -> None:
        """Moves the second bar."""
        if self._folded is not None:
            self._progress.advance(self._folded, count)


class _RowBar:
    """One bar a ledger: the rows of another service."""

    def __init__(self, bars: _Bars, service: str) -> None:
        self._bars = bars
        self._service = service
        self._task: TaskID | None = None

    def start(self, name: str, size: int) -> None:
        """Adds the bar of a ledger."""
        self._task = self._bars.add(f"{_plain(name)}: {self._service}", size)

    def walked(self, count: int) -> None:
        """Moves it."""
        if self._task is not None:
            self._bars.advance(self._task, count)


def _show(report: Report, labels: Mapping[str, str], service: str) -> None:
    """Shows what was checked, or what differs."""
    console = Console(highlight=False)
    for difference in report.differences:
        console.print(_difference_table(difference, service))
    if report.ok:
        table = Table("Checked 已核对", "Rows 行数", title=f"{service}Everything agrees 全部一致")
        table.columns[1].justify = "right"
        for what, label in labels.items():
            if what in report.checked:
                table.add_row(label, f"{report.checked[what]:,}")
        console.print(table)
    if report.ok or service:
        for note in report.notes:
            console.print(Text(note), soft_wrap=True)
    rows = "documents" if service else "entries"
    speed = f"{report.entries:,} {rows} in {report.seconds:.1f} s"
    if report.ok:
        console.print(Text(f"{speed}, {report.rate_per_s:,.0f} a second"))


def _difference_table(difference: Difference, service: str) -> Table:
    """Shows a difference; of a log, the first is the only one."""
    what = f"{service}a difference" if service else "the first difference"
    table = Table(title=f"DIFFERENT 不一致: {what}", show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    key = ", ".join(f"{name} = {value}" for name, value in difference.key.items())
    for label, value in (
        ("Table 表", difference.table),
        ("Row 行", key),
        ("Column 列", difference.column),
        ("Expected 应为", difference.expected),
        ("Got 实为", difference.got),
    ):
        table.add_row(label, Text(_plain(value)))
    return table


def _kept(checkpoint: Path | None, vkey: str | None) -> Kept | None:
    """Reads the checkpoint and its keys. Raises VALIDATION_FAILED when they cannot be used."""
    if checkpoint is None:
        if vkey is not None:
            raise _refusal("--vkey: expected --checkpoint too, which it verifies", "vkey")
        return None
    from ledger.audit.run import Kept

    kept = Kept(_read(checkpoint, NOTE_BYTES_MAX, "--checkpoint"), _vkeys(vkey))
    kept.claim()
    return kept


def _vkeys(argument: str | None) -> tuple[str, ...]:
    """Reads verifier keys from a text, or from a file with one a line."""
    if argument is None:
        return ()
    if "+" in argument and not Path(argument[:255]).exists():
        texts = [argument.strip()]
    else:
        text = _read(Path(argument), _VKEY_FILE_BYTES_MAX, "--vkey")
        texts = [line.strip() for line in text.splitlines()]
        texts = [line for line in texts if line and not line.startswith("#")]
    for item in texts:
        parse_vkey(item)
    if not texts:
        raise _refusal(f"--vkey {argument}: expected at least one verifier key, got none", "vkey")
    return tuple(texts)


def _read(path: Path, bytes_max: int, option: str) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(bytes_max + 1)
        text = data.decode()
    except OSError as error:
        raise _refusal(f"{option} {path}: {error.strerror}", option) from error
    except ValueError as error:
        raise _refusal(f"{option} {path}: expected UTF-8 text, got other bytes", option) from error
    if len(data) > bytes_max:
        raise _refusal(f"{option} {path}: expected at most {bytes_max} bytes, got more", option)
    return text


def _plain(text: str) -> str:
    """Replaces every character that could command the terminal."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def _refusal(message: str, field: str) -> TimebankError:
    return TimebankError(Reason.VALIDATION_FAILED, message, field=field.lstrip("-"))
