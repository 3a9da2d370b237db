"""The `timebank` command: refusals in one line, migrations, and a server that starts and stops."""

import json
import os
import pathlib
import signal
import sqlite3
from collections.abc import Iterator
from importlib.metadata import version

import pytest
from typer.main import get_command

from tests.conftest import ServerFactory
from tests.support.command_line import assert_refused, timebank
from tests.support.processes import free_port
from timebank.__main__ import app

LEDGER = "timebank.ledger.v1.LedgerService"
COMMANDS = {
    *("serve", "migrate", "config", "keys", "verify"),
    *("post", "balance", "entries", "accounts", "ledger", "import", "export"),
}


async def test_help_names_every_command(tmp_path: pathlib.Path) -> None:
    result = await timebank(tmp_path, "--help")
    assert result.code == 0
    shown = {line.split()[1] for line in result.out.splitlines() if line.startswith("│ ")}
    assert shown >= COMMANDS


def commands(group: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """Lists every command with the text that ends its help."""
    for name, command in getattr(group, "commands", {}).items():
        if getattr(command, "commands", None):
            yield from commands(command, (*path, name))
        else:
            yield " ".join((*path, name)), command.epilog or ""


def test_the_help_of_every_command_has_an_example_of_it() -> None:
    found = dict(commands(get_command(app)))
    assert len(found) >= 18
    assert [name for name, text in found.items() if f"timebank {name}" not in text] == []


async def test_the_version_is_that_of_the_package(tmp_path: pathlib.Path) -> None:
    result = await timebank(tmp_path, "--version")
    assert (result.code, result.out) == (0, f"timebank {version('timebank')}\n")


@pytest.mark.parametrize("command", [("serve",), ("migrate",), ("config", "show")])
async def test_a_wrong_configuration_is_refused_in_one_line(
    tmp_path: pathlib.Path, command: tuple[str, ...]
) -> None:
    result = await timebank(tmp_path, *command, TIMEBANK_SERVER__WORKERS="many")
    assert_refused(result, "server.workers", "got 'many'", "(VALIDATION_FAILED)")
    assert os.listdir(tmp_path) == []


async def test_several_problems_of_a_configuration_have_a_line_each(
    tmp_path: pathlib.Path,
) -> None:
    (tmp_path / "timebank.toml").write_text('[log]\nlevel = "loud"\nformt = "json"\n')
    result = await timebank(tmp_path, "serve", "--config", "timebank.toml")
    assert result.code == 1
    first, *others = result.error.splitlines()
    assert first == "error: configuration: 2 problems"
    assert [line.split()[0] for line in others] == ["log.level", "log.formt"]


async def test_several_workers_on_sqlite_are_refused(tmp_path: pathlib.Path) -> None:
    result = await timebank(tmp_path, "serve", "--workers", "2")
    assert_refused(result, "server.workers (command line)", "SQLite")


async def test_a_server_without_its_database_does_not_start(tmp_path: pathlib.Path) -> None:
    url = f"postgresql://me@127.0.0.1:{free_port()}/timebank"
    result = await timebank(tmp_path, "serve", TIMEBANK_DATABASE__URL=url)
    assert_refused(result, "cannot be reached", "(DATABASE_UNAVAILABLE)")


async def test_a_server_that_may_not_migrate_does_not_start_on_an_empty_database(
    tmp_path: pathlib.Path,
) -> None:
    result = await timebank(tmp_path, "serve", TIMEBANK_DATABASE__MIGRATE="never")
    assert_refused(result, "timebank migrate", "(DATABASE_UNAVAILABLE)")


async def test_migrate_makes_the_tables_once_and_says_so(
    tmp_path: pathlib.Path, database_url: str
) -> None:
    first = await timebank(tmp_path, "migrate", TIMEBANK_DATABASE__URL=database_url)
    assert (first.code, first.error) == (0, "")
    assert "none 无" in first.out
    assert "ledger_0002" in first.out
    second = await timebank(tmp_path, "migrate", TIMEBANK_DATABASE__URL=database_url)
    assert second.code == 0
    assert "none 无" not in second.out


async def test_a_check_changes_nothing_and_tells_what_serve_would_say(
    tmp_path: pathlib.Path,
) -> None:
    assert_refused(await timebank(tmp_path, "migrate", "--check"), "data/ledger.db", "got none")
    assert os.listdir(tmp_path) == []
    assert (await timebank(tmp_path, "migrate")).code == 0
    assert (await timebank(tmp_path, "migrate", "--check")).code == 0


async def test_a_database_of_a_newer_program_is_refused_and_kept(tmp_path: pathlib.Path) -> None:
    assert (await timebank(tmp_path, "migrate")).code == 0
    with sqlite3.connect(tmp_path / "data" / "ledger.db") as connection:
        connection.execute("UPDATE alembic_version_ledger SET version_num = 'ledger_9999'")
    for command in ("serve", "migrate"):
        assert_refused(await timebank(tmp_path, command), "'ledger_9999'", "newer program")


async def test_config_show_says_where_each_value_came_from(tmp_path: pathlib.Path) -> None:
    (tmp_path / "timebank.toml").write_text('[log]\nlevel = "debug"\n')
    result = await timebank(
        tmp_path,
        *("config", "show", "--config", "timebank.toml"),
        TIMEBANK_SERVER__DRAIN_SECONDS="7",
    )
    assert result.code == 0
    rows = {
        cells[0]: cells[1:]
        for line in result.out.splitlines()
        if len(cells := [cell.strip() for cell in line.strip("│ ").split("│")]) == 3
    }
    assert rows["log.level"] == ["debug", "timebank.toml"]
    assert rows["server.drain_seconds"] == ["7", "environment TIMEBANK_SERVER__DRAIN_SECONDS"]
    assert rows["log.format"] == ["json", "default"]


async def test_the_configuration_file_may_be_named_by_the_environment(
    tmp_path: pathlib.Path,
) -> None:
    result = await timebank(tmp_path, "config", "show", TIMEBANK_CONFIG="missing.toml")
    assert_refused(result, "missing.toml", "cannot be read")


async def test_an_empty_machine_gets_a_server_that_drains_when_told(
    start_server: ServerFactory,
) -> None:
    server = start_server()
    await server.serving(LEDGER)
    assert (server.folder / "data" / "ledger.db").exists()
    assert server.terminate() == 0
    assert "Traceback" not in server.log


async def test_a_second_server_on_the_same_sqlite_file_is_refused(
    start_server: ServerFactory,
) -> None:
    server = start_server()
    await server.serving(LEDGER)
    result = await timebank(
        server.folder,
        *("serve", "--config", str(server.config)),
        *("--grpc-address", f"127.0.0.1:{free_port()}"),
        *("--http-address", f"127.0.0.1:{free_port()}"),
    )
    assert_refused(result, f"in use by process {server.id}", "(DATABASE_UNAVAILABLE)")


async def test_a_killed_server_starts_again_on_its_file(start_server: ServerFactory) -> None:
    server = start_server()
    await server.serving(LEDGER)
    server.kill()
    assert server.wait() == -signal.SIGKILL
    server.start()
    await server.serving(LEDGER)
    assert server.terminate() == 0


async def test_what_the_server_logs_is_one_json_object_a_line(start_server: ServerFactory) -> None:
    server = start_server({"identity": {"mode": "none"}, "log": {"format": "json"}})
    await server.serving(LEDGER)
    assert server.terminate() == 0
    lines = [line for line in server.log.splitlines() if line.startswith("{")]
    assert "draining" in [json.loads(line)["event"] for line in lines]


@pytest.mark.postgresql
async def test_a_server_on_postgresql_makes_its_tables(
    start_server: ServerFactory, postgresql_url: str
) -> None:
    server = start_server({"database": {"url": postgresql_url}})
    await server.serving(LEDGER)
    assert server.terminate() == 0
    check = await timebank(
        server.folder, "migrate", "--check", TIMEBANK_DATABASE__URL=postgresql_url
    )
    assert check.code == 0
