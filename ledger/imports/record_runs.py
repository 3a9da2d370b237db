"""One import of service records from file to sums, with its progress shown.

Owns: the order of the steps, which volunteers are registered on the way, and what a refused row is
advised. Refuses: options of the command line (see ledger/cli_import_records.py).
Rules: rows are independent: what is right is sent, what is wrong is listed; a record's number makes
sending it again harmless, so that a run that ended early is simply run again; a dry run writes
nothing and needs no server.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from ledger.cli_shown import amount_text
from ledger.imports.movements import RowError
from ledger.imports.records import RecordRow, RecordRows
from ledger.imports.reports import ErrorLog
from timebank.client.drafts import RecordDraft
from timebank.client.hours_views import MemberView, RecordView
from timebank.client.kinds import RecordState
from timebank.client.records import CHUNK_RECORDS, SubmitResult
from timebank.errors import Reason, TimebankError
from timebank.units import Unit

REGISTRATIONS_AT_ONCE = 32
UNREGISTERED_SHOWN = 10
UNREGISTERED_KEPT = 10_000
"""So many members that are not registered are remembered for the last lines, no more."""
ADVICE = {
    Reason.MEMBER_NOT_FOUND: "register the member, or run again with --register",
    Reason.MEMBER_NOT_ACTIVE: "reinstate the member, or leave the row out",
    Reason.RECORD_EXISTS: "give it a number of its own, or say what it corrects in supersedes",
    Reason.RECORD_OVERLAPS: "correct the times: the volunteer served elsewhere then",
    Reason.EVIDENCE_TOO_WEAK: "give better evidence, or the verifiers and external ids it needs",
    Reason.FOUR_EYES_REQUIRED: "volunteer, recorder and verifiers must be different persons",
    Reason.LIMIT_EXCEEDED: "correct the minutes, or import what exceeds the limit elsewhere",
    Reason.POLICY_NOT_FOUND: "adopt a policy of that time: `timebank policy adopt`",
}
RETRIED = frozenset({Reason.DATABASE_UNAVAILABLE, Reason.QUEUE_FULL, Reason.DEADLINE_PASSED})


class RecordLedger(Protocol):
    """What a run needs of the ledger's client."""

    async def submit_records(self, drafts: Iterable[RecordDraft]) -> tuple[SubmitResult, ...]:
        """Submits records, each by itself."""

    def list_members(self) -> AsyncIterator[MemberView]:
        """Yields the members."""

    async def register_member(self, member_id: str, *, home_unit: str) -> MemberView:
        """Registers a member."""


Connect = Callable[[], AbstractAsyncContextManager[RecordLedger]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRunOptions:
    """What a run is told. `register`: members that are missing are registered, in `home_unit`."""

    errors: Path | None = None
    dry_run: bool = False
    register: bool = False
    home_unit: str = ""


@dataclass(slots=True)
class RecordSums:
    """What a run did so far; minutes and points are of records sent by it."""

    rows: int = 0
    sound: int = 0
    repeated: int = 0
    replayed: int = 0
    registered: int = 0
    states: dict[RecordState, int] = field(default_factory=dict)
    hours_minutes: int = 0
    time_minutes: int = 0
    points: int = 0
    unregistered: dict[str, None] = field(default_factory=dict)

    def add(self, record: RecordView) -> None:
        """Counts a record that is in the ledger now."""
        self.states[record.state] = self.states.get(record.state, 0) + 1
        self.hours_minutes += record.hours_minutes
        self.time_minutes += record.time_minutes
        self.points += record.points


class RecordRun:
    """Sends the records of one file."""

    def __init__(self, source: RecordRows, options: RecordRunOptions, log: ErrorLog) -> None:
        self.sums = RecordSums()
        self._source = source
        self._options = options
        self._log = log
        self._known: set[str] = set()

    async def go(self, client: RecordLedger | None, progress: Progress) -> None:
        """Reads the file once and sends it chunk by chunk; without a client it only reads."""
        task = progress.add_task("Records 记录", total=self._source.table.size_bytes)
        if client is not None and self._options.register:
            self._known = {member.id async for member in client.list_members()}
        for chunk in self._chunks(lambda at: progress.update(task, completed=at)):
            if client is not None:
                await self._send(client, chunk)
        progress.update(task, completed=self._source.table.size_bytes)

    def _chunks(self, advance: Callable[[int], None]) -> Iterator[list[RecordRow]]:
        chunk: list[RecordRow] = []
        for item in self._source.read(advance):
            self.sums.rows += 1
            if isinstance(item, RowError):
                self._log.add(item)
            elif item.repeated:
                self.sums.repeated += 1
            else:
                self.sums.sound += 1
                chunk.append(item)
            if len(chunk) == CHUNK_RECORDS:
                yield chunk
                chunk = []
        if chunk:
            yield chunk

    async def _send(self, client: RecordLedger, chunk: list[RecordRow]) -> None:
        if self._options.register:
            await self._register(client, chunk)
        results = await client.submit_records([row.draft for row in chunk])
        for row, result in zip(chunk, results, strict=True):
            if isinstance(result, TimebankError):
                self._refuse(row, result)
            elif result.replayed:
                self.sums.replayed += 1
            else:
                self.sums.add(result.record)

    async def _register(self, client: RecordLedger, chunk: list[RecordRow]) -> None:
        """Registers the members of a chunk that the ledger does not know, a few at a time."""
        named = dict.fromkeys(
            member for row in chunk for member in (row.draft.volunteer, row.draft.beneficiary)
        )
        missing = [member for member in named if member and member not in self._known]
        for start in range(0, len(missing), REGISTRATIONS_AT_ONCE):
            group = missing[start : start + REGISTRATIONS_AT_ONCE]
            made = await asyncio.gather(*(self._register_one(client, one) for one in group))
            self.sums.registered += sum(made)
            self._known.update(group)

    async def _register_one(self, client: RecordLedger, member_id: str) -> bool:
        """Registers a member; somebody else may just have done so."""
        try:
            await client.register_member(member_id, home_unit=self._options.home_unit)
        except TimebankError as error:
            if error.reason is not Reason.MEMBER_EXISTS:
                raise
            return False
        return True

    def _refuse(self, row: RecordRow, error: TimebankError) -> None:
        """Lists a row that the ledger refused, with what to do."""
        field_name = error.metadata.get("field", "").removeprefix("record.")
        column = self._source.heading(field_name) if field_name else ""
        if error.reason is Reason.MEMBER_NOT_FOUND:
            member = error.metadata.get("member", row.draft.volunteer)
            is_beneficiary = member == row.draft.beneficiary != row.draft.volunteer
            column = self._source.heading("beneficiary" if is_beneficiary else "volunteer")
            if len(self.sums.unregistered) < UNREGISTERED_KEPT:
                self.sums.unregistered[member] = None
        advice = ADVICE.get(error.reason, "correct the row")
        if error.reason in RETRIED:
            advice = "run the same command again"
        problem = f"{error.message} ({error.reason})"
        self._log.add(RowError(row.number, column, problem, advice))


async def run_records(
    source: RecordRows,
    options: RecordRunOptions,
    connect: Connect,
    *,
    shown: Console,
    progress_shown: Console,
) -> int:
    """Imports a file and shows its errors and sums; gives the number of rows not imported.

    Raises VALIDATION_FAILED for a file that cannot be read or written, and what the ledger refuses
    as a whole.
    """
    with ErrorLog(options.errors) as log:
        run = RecordRun(source, options, log)
        with _progress(progress_shown) as progress:
            if options.dry_run:
                await run.go(None, progress)
            else:
                async with connect() as client:
                    await run.go(client, progress)
        if log.count:
            shown.print(log.table())
        shown.print(_summary(run.sums, log.count, dry_run=options.dry_run))
        for line in _advice(run.sums):
            shown.print(Text(line), soft_wrap=True)
        return log.count


def _summary(sums: RecordSums, errors: int, *, dry_run: bool) -> Table:
    title = "Dry run 试运行: nothing was written" if dry_run else "Records 记录导入结果"
    table = Table(title=title, title_justify="left")
    table.add_column("What 项目")
    table.add_column("Number 数量", justify="right")
    states = sums.states
    waiting = states.get(RecordState.CLAIMED, 0) + states.get(RecordState.VERIFIED, 0)
    lines = [
        ("would be sent 将提交" if dry_run else "", sums.sound),
        ("credited 已入账", states.get(RecordState.POSTED, 0)),
        ("in publicity 公示中", states.get(RecordState.PUBLICISED, 0)),
        ("waiting to be attested or checked 待核实", waiting),
        ("disputed: same time elsewhere 时间重复", states.get(RecordState.DISPUTED, 0)),
        ("there before, left alone 此前已提交", sums.replayed),
        ("said twice, left alone 重复行", sums.repeated),
        ("members registered 新登记会员", sums.registered),
    ]
    table.add_row("rows read 读取", f"{sums.rows:,}")
    for label, count in lines:
        if label and count:
            table.add_row(label, f"{count:,}")
    table.add_row("not imported, see above 未导入", f"{errors:,}")
    if not dry_run:
        table.add_section()
        table.add_row("HOURS 服务时长", amount_text(sums.hours_minutes, Unit.HOURS))
        table.add_row("TIME 时间币", amount_text(sums.time_minutes, Unit.TIME))
        table.add_row("POINTS 积分", amount_text(sums.points, Unit.POINTS))
    return table


def _advice(sums: RecordSums) -> Iterator[str]:
    """Says who is not registered and what to do about it."""
    if sums.unregistered:
        some = list(sums.unregistered)[:UNREGISTERED_SHOWN]
        more = " ..." if len(sums.unregistered) > len(some) else ""
        yield f"Not registered 未登记 {len(sums.unregistered):,}: {', '.join(some)}{more}"
        yield (
            f"Register them with `timebank member register {some[0]}`, or run the same command "
            "with --register 登记后再次运行"
        )


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=console,
    )
