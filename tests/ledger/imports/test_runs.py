"""Whole imports into a ledger in memory: what is booked, once, in order, and what is reported."""

import csv
import io
from datetime import UTC
from pathlib import Path

import pytest
from rich.console import Console

from ledger.imports import booking
from ledger.imports.mapped import MappedRows, parse_mapping
from ledger.imports.runs import MakeReader, RunOptions, RunResult, run_import
from ledger.imports.timeoverflow import COLUMNS, TimeOverflowRows
from tests.ledger.imports.fake_ledger import NOW, POOL_NAME, FakeLedger
from timebank.errors import Reason, TimebankError
from timebank.units import Unit

Cells = tuple[str, ...]


def row(
    source: str, destination: str, seconds: int, reason: str = "", time: str = "2024-03-01"
) -> Cells:
    return (source, "Member", destination, "Member", str(seconds), time, reason, "")


def written(folder: Path, rows: list[Cells], heading: Cells = COLUMNS) -> Path:
    path = folder / "transfers.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([heading, *rows])
    return path


def timeoverflow(first_row: list[str]) -> TimeOverflowRows:
    return TimeOverflowRows(first_row, now=NOW)


def mapped(first_row: list[str]) -> MappedRows:
    mapping = parse_mapping("")
    return MappedRows(first_row, mapping=mapping, source="csv", zone=UTC, now=NOW)


class Shown:
    """Runs imports and keeps what they show."""

    def __init__(self, ledger: FakeLedger, path: Path) -> None:
        self.ledger = ledger
        self.path = path
        self.text = ""

    async def run(
        self, reader: MakeReader = timeoverflow, *, ledger: str = "test", **options: object
    ) -> RunResult:
        console = Console(file=io.StringIO(), width=200)
        told = RunOptions(path=self.path, ledger=ledger, **options)  # type: ignore[arg-type]  # the test names them
        result = await run_import(
            told, reader, lambda: self.ledger, shown=console, progress_shown=Console(quiet=True)
        )
        assert isinstance(console.file, io.StringIO)
        self.text = console.file.getvalue()
        return result


def shown(folder: Path, rows: list[Cells], heading: Cells = COLUMNS) -> Shown:
    return Shown(FakeLedger(), written(folder, rows, heading))


async def test_minutes_move_from_giver_to_receiver_as_time(tmp_path: Path) -> None:
    run = shown(tmp_path, [row("1", "2", 3600, "理发"), row("2", "3", 600)])
    result = await run.run(min_balance=-60)
    assert (result.count.booked, result.errors) == (2, 0)
    balances = {holder: run.ledger.balance(holder) for holder in run.ledger.holders}
    assert list(balances.values()) == [-60, 50, 10]
    assert {leg.unit for post in run.ledger.posts for leg in post.postings} == {Unit.TIME}
    assert run.ledger.posts[0].memo == "理发"


async def test_the_same_file_again_books_nothing(tmp_path: Path) -> None:
    run = shown(tmp_path, [row("1", "2", 60), row("1", "2", 60), row("2", "1", 60)])
    first = await run.run(min_balance=-600)
    again = await run.run(min_balance=-600)
    assert (first.count.booked, first.count.replayed) == (3, 0)
    assert (again.count.booked, again.count.replayed) == (0, 3)
    assert len(run.ledger.posts) == 3


async def test_two_equal_rows_of_one_file_both_count(tmp_path: Path) -> None:
    run = shown(tmp_path, [row("1", "2", 60)] * 3)
    await run.run(min_balance=-600)
    assert run.ledger.balance("timeoverflow-member-2") == 3


async def test_a_longer_export_adds_only_its_new_rows(tmp_path: Path) -> None:
    run = shown(tmp_path, [row("1", "2", 60)])
    await run.run(min_balance=-600)
    written(tmp_path, [row("1", "2", 60), row("1", "2", 60), row("2", "3", 60)])
    result = await run.run(min_balance=-600)
    assert (result.count.booked, result.count.replayed) == (2, 1)


async def test_without_debt_a_decline_names_the_option_that_allows_it(tmp_path: Path) -> None:
    run = shown(tmp_path, [row("1", "2", 3600)])
    result = await run.run()
    assert (result.count.declined, result.errors) == (1, 1)
    assert "--min-balance -60 would take every row" in run.text


async def test_more_debt_in_a_second_run_books_what_was_declined(tmp_path: Path) -> None:
    run = shown(tmp_path, [row("1", "2", 3600), row("2", "1", 60)])
    first = await run.run()
    second = await run.run(min_balance=-60)
    assert (first.count.booked, second.count.booked, second.count.declined) == (0, 2, 0)
    assert run.ledger.balance("timeoverflow-member-1") == -59


async def test_what_was_declined_stays_so_until_it_is_asked_again(tmp_path: Path) -> None:
    run = shown(tmp_path, [row("1", "2", 60), row("2", "1", 60)])
    await run.run(min_balance=-60)
    run.path = written(tmp_path, [row("1", "2", 120)])
    giver = run.ledger.holders["timeoverflow-member-1"]
    run.ledger.frozen = {giver}
    frozen = await run.run(min_balance=-60)
    run.ledger.frozen = set()
    same = await run.run(min_balance=-60)
    asked = await run.run(min_balance=-60, salt="fresh")
    assert [r.count.declined for r in (frozen, same, asked)] == [1, 1, 0]
    assert asked.count.booked == 1


async def test_a_dry_run_decides_as_the_ledger_would_and_writes_nothing(tmp_path: Path) -> None:
    rows = [row("1", "2", 3600), row("2", "3", 1800), row("2", "3", 1860), row("3", "1", 60)]
    rehearsed, real = shown(tmp_path, rows), shown(tmp_path, rows)
    dry = await rehearsed.run(min_balance=-60, dry_run=True)
    wet = await real.run(min_balance=-60)
    assert dry.count == wet.count
    assert rehearsed.ledger.calls == []


async def test_broken_rows_are_reported_and_the_others_booked(tmp_path: Path) -> None:
    rows = [row("1", "2", 61), row("1", "2", 0), row("1", "2", -60), row("1", "2", 60)]
    run = shown(tmp_path, [*rows, ("too", "short")])
    errors = tmp_path / "errors.csv"
    result = await run.run(min_balance=-60, errors=errors)
    assert (result.count.booked, result.survey.zero_rows, result.errors) == (1, 1, 3)
    with errors.open(encoding="utf-8-sig", newline="") as file:
        found = [(line["row"], line["column"]) for line in csv.DictReader(file)]
    assert found == [("2", "amount"), ("4", "amount"), ("6", "row")]
    assert "61 is no whole number of minutes" in run.text


async def test_an_interrupted_import_is_continued_by_the_same_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(booking, "BATCH_ROWS", 10)
    run = shown(tmp_path, [row(str(n % 7), str(n % 7 + 1), 60, str(n)) for n in range(95)])
    run.ledger.fail_call = 5
    with pytest.raises(TimebankError, match="the line is down"):
        await run.run(min_balance=-600)
    halfway = len(run.ledger.posts)
    run.ledger.fail_call = None
    result = await run.run(min_balance=-600)
    assert 0 < halfway < 95
    assert (result.count.booked, result.count.replayed) == (95 - halfway, halfway)
    assert len(run.ledger.posts) == 95


async def test_request_ids_are_the_same_in_every_run(tmp_path: Path) -> None:
    run = shown(tmp_path, [row("1", "2", 60), row("1", "2", 60)])
    await run.run(min_balance=-60)
    first = set(run.ledger.request_ids)
    await run.run(min_balance=-60)
    assert run.ledger.request_ids == first
    assert len(first) == 4


async def test_rows_are_booked_in_the_order_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(booking, "BATCH_ROWS", 3)
    run = shown(tmp_path, [row(str(n), str(n + 1), 60, str(n)) for n in range(20)])
    await run.run(min_balance=-1)
    assert [post.memo for post in run.ledger.posts] == [str(n) for n in range(20)]


async def test_long_memos_travel_in_smaller_batches(tmp_path: Path) -> None:
    run = shown(tmp_path, [row("1", "2", 60, "谢" * 2_000)] * 1_200)
    await run.run(min_balance=-2_000)
    characters = booking.BATCH_MEMO_CHARACTERS
    assert run.ledger.calls == [2, characters // 2_000, characters // 2_000, 200]


async def test_a_closed_opening_takes_no_import(tmp_path: Path) -> None:
    run = shown(tmp_path, [row("1", "2", 60)])
    run.ledger.opening_closed = True
    with pytest.raises(TimebankError) as refused:
        await run.run(min_balance=-60)
    assert refused.value.reason is Reason.OPENING_CLOSED
    assert run.ledger.calls == []


async def test_a_positive_lowest_balance_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TimebankError, match="0 or negative"):
        await shown(tmp_path, []).run(min_balance=60)


async def test_a_file_that_changes_meanwhile_is_refused(tmp_path: Path) -> None:
    run = shown(tmp_path, [row("1", "2", 60)])

    def connect() -> FakeLedger:
        written(tmp_path, [row("1", "2", 60), row("1", "2", 120)])
        return run.ledger

    options = RunOptions(path=run.path, ledger="test", min_balance=-60)
    quiet = Console(quiet=True)
    with pytest.raises(TimebankError, match="changed while it was read"):
        await run_import(options, timeoverflow, connect, shown=quiet, progress_shown=quiet)
    assert run.ledger.posts == []


async def test_a_csv_uses_the_accounts_that_holders_have(tmp_path: Path) -> None:
    heading = ("转出", "转入", "分钟")
    run = shown(tmp_path, [("m-1", "m-2", "30")], heading)
    existing = run.ledger.add_member("m-1", 100)
    await run.run(mapped, adopt=True)
    assert run.ledger.holders["m-1"] == existing
    assert (run.ledger.balance("m-1"), run.ledger.balance("m-2")) == (70, 30)


async def test_an_adopted_account_gets_the_wanted_debt(tmp_path: Path) -> None:
    run = shown(tmp_path, [("m-1", "m-2", "30")], ("转出", "转入", "分钟"))
    run.ledger.add_member("m-1")
    result = await run.run(mapped, adopt=True, min_balance=-30)
    assert result.count.booked == 1


async def test_the_pool_gives_in_a_csv_without_givers(tmp_path: Path) -> None:
    run = shown(tmp_path, [("m-1", "30"), ("m-2", "15")], ("志愿者", "分钟"))
    run.ledger.minutes[POOL_NAME] = 45
    result = await run.run(mapped, adopt=True)
    assert (result.count.booked, run.ledger.minutes[POOL_NAME]) == (2, 0)


async def test_an_empty_pool_declines_and_a_dry_run_says_what_it_needs(tmp_path: Path) -> None:
    run = shown(tmp_path, [("m-1", "30"), ("m-2", "15")], ("志愿者", "分钟"))
    await run.run(mapped, dry_run=True)
    assert "must hold 45 minutes" in run.text
    result = await run.run(mapped, adopt=True)
    assert result.count.declined == 2
    assert "does not hold 30 minutes" in run.text


async def test_a_reference_counts_once_and_contradicts_loudly(tmp_path: Path) -> None:
    heading = ("编号", "志愿者", "分钟")
    rows: list[Cells] = [("A-1", "m-1", "30")] * 2
    run = shown(tmp_path, [*rows, ("A-1", "m-1", "45"), ("", "m-1", "5")], heading)
    run.ledger.minutes[POOL_NAME] = 60
    result = await run.run(mapped, adopt=True)
    assert (result.count.booked, result.count.repeated, result.errors) == (2, 1, 1)
    assert run.ledger.balance("m-1") == 35
    assert "stands above with other content" in run.text


async def test_a_reference_booked_before_with_other_content_is_an_error(tmp_path: Path) -> None:
    heading = ("编号", "志愿者", "分钟")
    run = shown(tmp_path, [("A-1", "m-1", "30")], heading)
    run.ledger.minutes[POOL_NAME] = 60
    await run.run(mapped, adopt=True)
    written(tmp_path, [("A-1", "m-1", "45")], heading)
    result = await run.run(mapped, adopt=True, salt="fresh")
    assert result.errors == 1
    assert "booked before with other content" in run.text
