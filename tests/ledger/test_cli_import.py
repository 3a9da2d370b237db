"""Histories through the command line into a real server, summed up independently."""

import asyncio
import csv
import pathlib
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.ledger.terminal import Terminal, new_ledger
from tests.support.postgres import PostgresServer
from tests.support.processes import ServerProcess, Settings
from tests.support.timeoverflow import write
from timebank.client import LedgerClient
from timebank.client.views import AccountView, EntryView
from timebank.errors import Reason
from timebank.units import Unit

ROWS = 10_000
DEBT = "--min-balance=-100000"


@pytest.fixture(
    scope="module",
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)],
)
def settings(request: pytest.FixtureRequest) -> Iterator[Settings]:
    """What a server is told about its database; the whole module runs once on each."""
    if request.param == "sqlite":
        yield {}
        return
    postgres: PostgresServer = request.getfixturevalue("postgres")
    name = postgres.create_database()
    yield {"database": {"url": postgres.url(name)}}
    postgres.drop_database(name)


@pytest.fixture(scope="module")
def server(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("import-server"), settings) as process:
        asyncio.run(process.serving())
        yield process


@pytest.fixture
def terminal(server: ServerProcess) -> Terminal:
    """A terminal with a ledger of the test's own."""
    return new_ledger(server)


def members(terminal: Terminal) -> list[AccountView]:
    async def collect() -> list[AccountView]:
        async with LedgerClient.connect(terminal.server, ledger=terminal.ledger) as client:
            accounts = client.list_accounts(unit=Unit.TIME)
            return [account async for account in accounts if account.holder.startswith("timeo")]

    return asyncio.run(collect())


def entries(terminal: Terminal) -> list[EntryView]:
    async def collect() -> list[EntryView]:
        async with LedgerClient.connect(terminal.server, ledger=terminal.ledger) as client:
            return [entry async for entry in client.list_entries()]

    return asyncio.run(collect())


def balances(terminal: Terminal) -> dict[str, int]:
    return {account.holder: account.posted for account in members(terminal)}


def independent_sums(path: pathlib.Path, encoding: str) -> tuple[Counter[str], int, int]:
    """Sums a file by hand: minutes by (type, id), rows that count, rows that cannot."""
    sums: Counter[str] = Counter()
    counted = refused = 0
    with path.open(encoding=encoding, newline="") as file:
        for line in csv.DictReader(file):
            seconds = int(line["amount"])
            if seconds < 0 or seconds % 60:
                refused += 1
            elif seconds:
                counted += 1
                sums[f"{line['source_type']} {line['source_id']}"] -= seconds // 60
                sums[f"{line['destination_type']} {line['destination_id']}"] += seconds // 60
    return sums, counted, refused


def test_balances_equal_an_independent_sum_over_the_file(
    terminal: Terminal, tmp_path: pathlib.Path
) -> None:
    path = tmp_path / "transfers.csv"
    write(path, rows=ROWS, seed=7, encoding="gb18030")
    sums, counted, refused = independent_sums(path, "gb18030")
    assert min(sums.values()) < 0 < refused
    said = terminal.run("import", "timeoverflow", str(path), DEBT)
    assert (said.error, said.exit_code) == (None, 1)
    assert f"booked now 本次导入                   │ {counted:>9,} │" in said.out
    expected = {
        f"timeoverflow-{name.lower().replace(' ', '-')}": minutes for name, minutes in sums.items()
    }
    assert balances(terminal) == expected
    again = terminal.run("import", "timeoverflow", str(path), DEBT)
    assert again.exit_code == 1
    assert balances(terminal) == expected


def test_a_clean_file_ends_with_zero_and_leaves_hours_alone(
    terminal: Terminal, tmp_path: pathlib.Path
) -> None:
    path = tmp_path / "transfers.csv"
    write(path, rows=200, seed=3, clean=True, delimiter=";")
    assert terminal.run("import", "timeoverflow", str(path), DEBT).exit_code == 0
    moved = [entry for entry in entries(terminal) if entry.postings]
    assert len(moved) == 200
    assert {entry.kind.value for entry in moved} == {"IMPORT"}
    assert {leg.unit for entry in moved for leg in entry.postings} == {Unit.TIME}
    assert all(entry.effective_time.year == 2019 for entry in moved)


def test_a_dry_run_agrees_with_the_ledger_row_by_row(
    terminal: Terminal, tmp_path: pathlib.Path
) -> None:
    path, dry, wet = (tmp_path / name for name in ("transfers.csv", "dry.csv", "wet.csv"))
    write(path, rows=1_000, seed=5)
    command = ("import", "timeoverflow", str(path), "--min-balance", "-300")
    terminal.run(*command, "--dry-run", "--errors", str(dry))
    assert members(terminal) == []
    terminal.run(*command, "--errors", str(wet))
    assert error_rows(dry) == error_rows(wet) != []


def error_rows(path: pathlib.Path) -> list[int]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return sorted(int(line["row"]) for line in csv.DictReader(file))


def test_debt_that_was_refused_is_booked_once_it_is_allowed(
    terminal: Terminal, tmp_path: pathlib.Path
) -> None:
    path = tmp_path / "transfers.csv"
    write(path, rows=100, seed=1, clean=True)
    strict = terminal.run("import", "timeoverflow", str(path))
    assert (strict.exit_code, set(balances(terminal).values())) == (1, {0})
    assert "--min-balance -" in strict.out
    assert terminal.run("import", "timeoverflow", str(path), DEBT).exit_code == 0
    assert min(balances(terminal).values()) < 0


def test_a_chinese_csv_is_booked_from_the_pool(terminal: Terminal, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "服务记录.csv"
    text = "编号,志愿者,时长（小时）,日期\nA1,m-1,1.5,2024-03-01\nA2,m-1,2,2024/3/2\n"
    path.write_text(text, "gbk")
    pool, issuance = terminal.account("POOL", "TIME"), terminal.account("ISSUANCE", "TIME")
    post = ("post", "--kind", "OPENING_BALANCE", "--unit", "TIME", "--amount", "300")
    assert terminal.run(*post, "--debit", issuance, "--credit", pool).exit_code == 0
    assert terminal.run("import", "csv", str(path)).exit_code == 0
    assert terminal.run("import", "csv", str(path)).exit_code == 0
    said = terminal.run("balance", "--holder", "m-1")
    assert "3h 30m" in said.out


def test_an_import_after_the_opening_is_refused(terminal: Terminal, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "transfers.csv"
    write(path, rows=10, seed=1, clean=True)
    assert terminal.run("ledger", "close-opening", "--yes").exit_code == 0
    assert terminal.run("import", "timeoverflow", str(path)).reason is Reason.OPENING_CLOSED


@pytest.mark.parametrize(
    "arguments",
    [
        ("timeoverflow", "nothing.csv"),
        ("timeoverflow", __file__),
        ("timeoverflow", __file__, "--min-balance", "60"),
        ("csv", __file__, "--map", "x"),
        ("csv", __file__, "--zone", "Mars/Base"),
        ("csv", __file__, "--source", "a b"),
    ],
)
def test_what_cannot_be_imported_is_refused_in_one_line(arguments: tuple[str, ...]) -> None:
    said = Terminal().run("import", *arguments)
    assert said.error is not None
    assert said.reason is Reason.VALIDATION_FAILED
    assert "\n" not in said.error.message
