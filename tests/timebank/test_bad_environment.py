"""Whatever is wrong around the program, it says in one line what to do, and ends with a code."""

import asyncio
import pathlib
import shutil
import socket
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from tests.support.command_line import Shell, assert_refused, run_program, timebank
from tests.support.keys import ORIGIN, make_key
from tests.support.processes import ServerProcess, free_port
from timebank.client import LedgerClient
from timebank.signing import KeyRing

KEY_FILE = f"{ORIGIN.replace('/', '_')}.key"
FILE_BLOCKS_MAX = 64
"""Blocks of a file that a process may write here: less than the tables take."""


@pytest.fixture
def shell(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Shell:
    return Shell(tmp_path, monkeypatch, capsys)


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The folder of a stopped server that has one ledger; tests copy it."""
    folder = tmp_path_factory.mktemp("used")
    make_key(folder)

    async def create(server: ServerProcess) -> None:
        await server.serving()
        async with LedgerClient.connect(server.grpc_address, ledger="weihai") as client:
            await client.create_ledger(
                display_name="威海", time_zone="Asia/Shanghai", log_origin=ORIGIN
            )

    with ServerProcess(folder, {}) as server:
        asyncio.run(create(server))
        assert server.terminate() == 0
    return folder


@pytest.fixture
def folder(used: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    """A copy of its data and configuration."""
    shutil.copytree(used, tmp_path, dirs_exist_ok=True)
    return tmp_path


def missing(keys: pathlib.Path) -> None:
    (keys / KEY_FILE).unlink()


def open_to_others(keys: pathlib.Path) -> None:
    (keys / KEY_FILE).chmod(0o644)


def damaged(keys: pathlib.Path) -> None:
    (keys / KEY_FILE).write_text("PRIVATE+KEY+nothing\n")


def another(keys: pathlib.Path) -> None:
    missing(keys)
    KeyRing(keys).create(ORIGIN)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (missing, ("back from its backup", "(SIGNING_KEY_MISSING)")),
        (another, ("back from its backup", "(SIGNING_KEY_MISSING)")),
        (open_to_others, (KEY_FILE, "chmod 600", "(SIGNER_UNAVAILABLE)")),
        (damaged, (KEY_FILE, "(SIGNER_UNAVAILABLE)")),
    ],
)
async def test_a_server_without_the_key_of_its_ledger_does_not_start(
    folder: pathlib.Path, spoil: Callable[[pathlib.Path], None], words: tuple[str, ...]
) -> None:
    spoil(folder / "data" / "keys")
    result = await timebank(folder, "serve", "--config", "timebank.toml")
    assert_refused(result, "ledger weihai", *words)


@pytest.mark.parametrize("option", ["--grpc-address", "--http-address"])
async def test_a_busy_port_is_told_with_the_option_that_names_another(
    folder: pathlib.Path, option: str
) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        result = await timebank(folder, "serve", "--config", "timebank.toml", option, address)
    assert_refused(result, address, "in use", option)


@pytest.mark.parametrize("service", ["nonsense", "timebank"])
@pytest.mark.parametrize("command", ["serve", "migrate"])
def test_a_service_that_this_program_does_not_have_is_told(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, command: str, service: str
) -> None:
    monkeypatch.setenv("TIMEBANK_SERVICES", f"ledger,{service}")
    assert_refused(shell.run(command), f"services: expected names of services, got '{service}'")
    assert list(shell.folder.iterdir()) == []


@pytest.mark.parametrize("table", ["alembic_version", "customers"])
@pytest.mark.parametrize("command", ["serve", "migrate"])
def test_a_database_of_another_program_is_refused_and_left_alone(
    shell: Shell, command: str, table: str
) -> None:
    path = shell.folder / "data" / "ledger.db"
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"CREATE TABLE {table} (version_num TEXT)")
        connection.commit()
        assert_refused(shell.run(command), table, "another program", "database.url")
        names = connection.execute("SELECT name FROM sqlite_master").fetchall()
    assert names == [(table,)]


@pytest.mark.postgresql
@pytest.mark.parametrize(
    ("table", "words"),
    [("alembic_version", "alembic_version"), ("accounts", "another program")],
)
def test_a_postgresql_database_of_another_program_is_refused(
    shell: Shell, postgresql_url: str, table: str, words: str
) -> None:
    async def execute(statement: str) -> None:
        engine = create_async_engine(
            postgresql_url.replace("postgresql://", "postgresql+asyncpg://", 1)
        )
        async with engine.begin() as connection:
            await connection.execute(sa.text(statement))
        await engine.dispose()

    asyncio.run(execute(f"CREATE TABLE {table} (version_num TEXT)"))
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("TIMEBANK_DATABASE__URL", postgresql_url)
        assert_refused(shell.run("migrate"), words, "database.url", "(DATABASE_UNAVAILABLE)")


def test_a_locked_database_is_told(folder: pathlib.Path, shell: Shell) -> None:
    with closing(sqlite3.connect(folder / "data" / "ledger.db")) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        assert_refused(shell.run("audit"), "locked by another process", "(DATABASE_UNAVAILABLE)")


async def test_a_disk_that_takes_no_more_is_told(tmp_path: pathlib.Path) -> None:
    limited = f'ulimit -f {FILE_BLOCKS_MAX}; exec "$0" -m timebank migrate'
    result = await run_program(tmp_path, "bash", "-c", limited, sys.executable)
    assert_refused(result, "the disk", "(DATABASE_UNAVAILABLE)")


def test_a_data_directory_that_cannot_be_made_is_told(shell: Shell) -> None:
    (shell.folder / "data").write_text("")
    assert_refused(shell.run("migrate"), "data", "database.url")


def post() -> list[str]:
    accounts = ["--debit", "a", "--credit", "b"]
    return ["post", "--kind", "TRANSFER", *accounts, "--unit", "TIME", "--amount", "5"]


@pytest.mark.parametrize(
    "command",
    [
        ["balance", "--holder", "volunteer-1"],
        ["entries"],
        ["accounts"],
        post(),
        ["ledger", "list"],
        ["ledger", "create", "weihai", "--origin", "a.example/b", "--name", "c"],
        ["ledger", "close-opening", "--yes"],
        ["export", "tiles", "copy"],
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_a_command_that_finds_no_server_says_where_it_looked(
    shell: Shell, command: list[str]
) -> None:
    address = f"127.0.0.1:{free_port()}"
    result = shell.run(*command, "--server", address)
    assert_refused(result, f"no server answers at {address}", "timebank serve", "--server")


def test_an_import_that_finds_no_server_can_be_run_again(shell: Shell) -> None:
    (shell.folder / "hours.csv").write_text("from,to,minutes\na,b,5\n")
    address = f"127.0.0.1:{free_port()}"
    result = shell.run("import", "csv", "hours.csv", "--server", address)
    assert result.code == 1
    *_, again, refusal = result.error.splitlines()
    assert "run the same command again" in again
    assert refusal.startswith(f"error: no server answers at {address}")


@pytest.fixture
def rows_refused(shell: Shell) -> str:
    """A file in which so many rows are refused that their list is written before its end."""
    rows = "".join(f"a,b,{number}.5\n" for number in range(1_000))
    (shell.folder / "hours.csv").write_text(f"from,to,minutes\n{rows}")
    return "hours.csv"


def test_a_list_of_errors_that_the_disk_does_not_take_is_told(
    shell: Shell, rows_refused: str
) -> None:
    result = shell.run("import", "csv", rows_refused, "--dry-run", "--errors", "/dev/full")
    assert result.code == 1
    assert "error: --errors /dev/full: No space left on device" in result.error.splitlines()[-1]


@pytest.mark.parametrize("command", ["audit", "migrate --check"])
def test_a_database_that_is_not_there_is_told_and_not_made(shell: Shell, command: str) -> None:
    assert_refused(shell.run(*command.split()), "data/ledger.db", "database.url")
    assert list(shell.folder.iterdir()) == []


def test_an_audit_of_no_ledger_is_no_success(shell: Shell) -> None:
    assert shell.run("migrate").code == 0
    assert_refused(shell.run("audit"), "nothing was checked", "--database", "(LEDGER_NOT_FOUND)")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nonsense\n", "expected a receipt (.tlog-proof), a signed checkpoint or a certificate"),
        ("c2sp.org/tlog-proof@v1\nindex 1\n", "mine.tlog-proof: expected a receipt"),
        ("", "mine.tlog-proof"),
    ],
)
def test_a_malformed_receipt_is_told_with_its_name(shell: Shell, text: str, words: str) -> None:
    (shell.folder / "mine.tlog-proof").write_text(text)
    vkey = make_key(shell.folder)
    result = shell.run("verify", "mine.tlog-proof", "--vkey", vkey)
    assert result.code == 2
    assert len(result.error.splitlines()) == 1
    assert words in result.error


def test_the_nearest_setting_is_suggested_and_all_problems_are_told(shell: Shell) -> None:
    (shell.folder / "a.toml").write_text('[server]\nworkrs = 3\ngrpc_address = "x"\n')
    result = shell.run("serve", "--config", "a.toml")
    assert result.code == 1
    assert "server.workrs (a.toml): unknown key; did you mean server.workers?" in result.error
    assert "server.grpc_address (a.toml): expected host:port" in result.error


async def test_a_terminal_without_chinese_shows_the_rest(tmp_path: pathlib.Path) -> None:
    result = await timebank(tmp_path, "keys", "list", PYTHONIOENCODING="ascii")
    assert (result.code, result.error) == (0, "")
    assert "timebank keys new" in result.out
    shown = await timebank(tmp_path, "--help", PYTHONIOENCODING="ascii")
    assert (shown.code, shown.error) == (0, "")
    assert "??" in shown.out
