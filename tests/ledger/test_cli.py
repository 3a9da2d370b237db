"""The ledger's commands against a real server: what they do, say and refuse."""

import asyncio
import pathlib
import re
from collections.abc import Iterator

import pytest
import typer

from ledger.cli_options import Connection, run
from ledger.cli_shown import amount_text
from tests.ledger.terminal import Terminal, new_ledger
from tests.support.processes import ServerProcess
from timebank.client import LedgerClient
from timebank.client.kinds import AccountKind
from timebank.errors import Reason
from timebank.tlog.receipt import RECEIPT_HEADER
from timebank.units import Unit

LAST_DAY = "2099-12-31"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("cli-server"), {}) as process:
        asyncio.run(process.serving())
        yield process


@pytest.fixture
def terminal(server: ServerProcess) -> Terminal:
    """A ledger in which `member` has 100 points until 2099 and `shop` is a merchant."""
    made = new_ledger(server)
    asyncio.run(open_accounts(made))
    said = made.run(*post(made, "OPENING_BALANCE", "ISSUANCE", "MEMBER", 100, expires=LAST_DAY))
    assert said.exit_code == 0, said
    return made


async def open_accounts(terminal: Terminal) -> None:
    async with LedgerClient.connect(terminal.server, ledger=terminal.ledger) as client:
        await client.create_account(holder="member", unit=Unit.POINTS)
        merchant = AccountKind.MERCHANT
        await client.create_account(holder="shop", unit=Unit.POINTS, kind=merchant)


def post(
    terminal: Terminal, kind: str, debit: str, credit: str, amount: int, expires: str = ""
) -> list[str]:
    accounts = [terminal.account(name, "POINTS") for name in (debit, credit)]
    command = ["post", "--kind", kind, "--debit", accounts[0], "--credit", accounts[1]]
    command += ["--unit", "POINTS", "--amount", str(amount)]
    return [*command, "--expires", expires] if expires else command


def test_a_holder_without_an_account_is_told(terminal: Terminal) -> None:
    said = terminal.run("balance", "--holder", "nobody")
    assert said.reason is Reason.ACCOUNT_NOT_FOUND
    assert said.error is not None
    assert "no account of holder nobody" in said.error.message


def test_a_receipt_that_cannot_be_written_names_the_request_that_repeats_it(
    terminal: Terminal, tmp_path: pathlib.Path
) -> None:
    command = post(terminal, "REDEMPTION", "MEMBER", "MERCHANT", 5)
    said = terminal.run(*command, "--receipt", "/dev/full")
    assert said.error is not None
    found = re.search(r"--request-id (\S+)", said.error.message)
    assert found is not None
    path = tmp_path / "mine.tlog-proof"
    again = terminal.run(*command, "--request-id", found[1], "--receipt", str(path))
    assert "was posted before" in again.out
    assert path.read_text().startswith(RECEIPT_HEADER)


def test_a_ledger_is_made_and_listed(server: ServerProcess, terminal: Terminal) -> None:
    said = terminal.run("ledger", "list")
    assert terminal.ledger in said.out
    assert "威海时间银行" in said.out


def test_a_ledger_without_a_key_is_refused(terminal: Terminal) -> None:
    said = terminal.run("ledger", "create", "nokey", "--origin", "example/none", "--name", "x")
    assert said.reason is Reason.SIGNING_KEY_MISSING


def test_a_post_moves_the_balance_and_leaves_a_receipt(
    terminal: Terminal, tmp_path: pathlib.Path
) -> None:
    receipt = tmp_path / "receipt.tlog-proof"
    command = post(terminal, "REDEMPTION", "MEMBER", "MERCHANT", 5)
    said = terminal.run(*command, "--receipt", str(receipt), "--cause", "till-1")
    assert "posted 已记账" in said.out
    assert receipt.read_text(encoding="utf-8").startswith(RECEIPT_HEADER)
    assert "│     95 │" in terminal.run("balance", terminal.account("MEMBER", "POINTS")).out


def test_the_same_request_id_posts_once(terminal: Terminal) -> None:
    command = post(terminal, "REDEMPTION", "MEMBER", "MERCHANT", 5)
    command += ["--request-id", "6f1c2d3e-4a5b-4c6d-8e7f-9a0b1c2d3e4f"]
    assert "posted 已记账" in terminal.run(*command).out
    assert "posted before" in terminal.run(*command).out
    assert "│     95 │" in terminal.run("balance", "--holder", "member").out


def test_points_expire_at_the_end_of_the_day_named(terminal: Terminal) -> None:
    account = terminal.account("MEMBER", "POINTS")

    async def expiry() -> str:
        async with LedgerClient.connect(terminal.server, ledger=terminal.ledger) as client:
            return str((await anext(client.list_lots(account))).expire_time)

    assert asyncio.run(expiry()) == "2099-12-31 16:00:00+00:00"


def test_a_balance_as_of_an_entry_leaves_out_what_came_later(terminal: Terminal) -> None:
    account = terminal.account("MEMBER", "POINTS")
    index = last_index(terminal)
    terminal.run(*post(terminal, "REDEMPTION", "MEMBER", "MERCHANT", 5))
    before = terminal.run("balance", account, "--as-of-index", str(index))
    today = terminal.run("balance", account, "--as-of-time", LAST_DAY)
    assert "│    100 │" in before.out
    assert "│     95 │" in today.out


def last_index(terminal: Terminal) -> int:
    async def size() -> int:
        async with LedgerClient.connect(terminal.server, ledger=terminal.ledger) as client:
            return (await client.checkpoint()).size

    return asyncio.run(size()) - 1


def test_entries_are_listed_by_account_and_cause(terminal: Terminal) -> None:
    terminal.run(*post(terminal, "REDEMPTION", "MEMBER", "MERCHANT", 5), "--cause", "till-1")
    account = terminal.account("MEMBER", "POINTS")
    by_account = terminal.run("entries", "--account", account)
    by_cause = terminal.run("entries", "--cause", "till-1")
    assert by_account.out.index("REDEMPTION 兑换") < by_account.out.index("OPENING_BALANCE")
    assert "OPENING_BALANCE" not in by_cause.out
    assert f"{account} " in by_cause.out
    assert "-5 积分" in by_cause.out


def test_a_limit_bounds_what_is_listed(terminal: Terminal) -> None:
    oldest = terminal.run("entries", "--oldest-first", "--limit", "1")
    assert "LEDGER_CREATED" in oldest.out
    assert "ACCOUNT_OPENED" not in oldest.out


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("balance",), Reason.VALIDATION_FAILED),
        (("balance", "x", "--holder", "y"), Reason.VALIDATION_FAILED),
        (("balance", "x", "--as-of-index", "1", "--as-of-time", "2026-01-01"), None),
        (("balance", "x", "--as-of-time", "soon"), Reason.VALIDATION_FAILED),
        (("balance", "0" * 26), Reason.ACCOUNT_NOT_FOUND),
        (("entries", "--ledger", "nowhere"), Reason.LEDGER_NOT_FOUND),
        (("accounts", "--server", "127.0.0.1:1"), Reason.DATABASE_UNAVAILABLE),
    ],
)
def test_a_refusal_has_its_reason_and_one_line(
    terminal: Terminal, arguments: tuple[str, ...], reason: Reason | None
) -> None:
    said = terminal.run(*arguments)
    assert said.error is not None
    assert said.reason is (reason or Reason.VALIDATION_FAILED)
    assert "\n" not in said.error.message


def test_more_than_there_is_cannot_be_posted(terminal: Terminal) -> None:
    said = terminal.run(*post(terminal, "REDEMPTION", "MEMBER", "MERCHANT", 500))
    assert said.reason is Reason.INSUFFICIENT_BALANCE


def test_the_opening_is_closed_only_after_a_yes(terminal: Terminal) -> None:
    assert terminal.run("ledger", "close-opening", answer="n\n").exit_code == 1
    assert "open 开放" in terminal.run("ledger", "list").out
    said = terminal.run("ledger", "close-opening", answer="y\n")
    assert "closed 已关闭" in said.out


@pytest.mark.parametrize(
    "command",
    [
        *(["post"], ["balance"], ["entries"], ["accounts"], ["export", "tiles"]),
        *(["import", "timeoverflow"], ["import", "csv"], ["ledger", "create"], ["ledger", "list"]),
    ],
)
def test_every_command_has_help_with_an_example_in_two_languages(command: list[str]) -> None:
    said = Terminal().run(*command, "--help")
    assert said.exit_code == 0
    assert "Example" in said.out
    assert any("\u4e00" <= letter <= "\u9fff" for letter in said.out)


@pytest.mark.parametrize(
    ("amount", "unit", "text"),
    [
        (-90, Unit.TIME, "-1h 30m"),
        (5, Unit.HOURS, "0h 05m"),
        (60_000, Unit.TIME, "1,000h 00m"),
        (-1234, Unit.POINTS, "-1,234"),
        (-5, Unit.FUND, "-0.05"),
        (123_456, Unit.FUND, "1,234.56"),
    ],
)
def test_amounts_are_written_for_people(amount: int, unit: Unit, text: str) -> None:
    assert amount_text(amount, unit) == text


def test_a_log_is_exported_and_found_right(terminal: Terminal, tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "log"
    first = terminal.run("export", "tiles", str(folder))
    assert "校验通过" in first.out
    terminal.run(*post(terminal, "REDEMPTION", "MEMBER", "MERCHANT", 5))
    again = terminal.run("export", "tiles", str(folder))
    assert "校验通过" in again.out
    assert (folder / "checkpoint").read_text(encoding="utf-8").splitlines()[1] == str(
        last_index(terminal) + 1
    )


def test_an_export_with_another_key_is_refused(terminal: Terminal, tmp_path: pathlib.Path) -> None:
    other = "example/other+00000000+AAAA"
    said = terminal.run("export", "tiles", str(tmp_path / "log"), "--vkey", other)
    assert said.reason is Reason.VALIDATION_FAILED
    assert not (tmp_path / "log" / "checkpoint").exists()


@pytest.mark.parametrize(
    ("server", "address"),
    [
        ("127.0.0.1:50051", "http://127.0.0.1:9464"),
        ("https://bank.example:443", "https://bank.example:9464"),
        ("[::1]:50051", "http://[::1]:9464"),
    ],
)
def test_the_tiles_are_looked_for_beside_the_server(server: str, address: str) -> None:
    assert Connection(server, None, "test").http_address(9464) == address


def test_an_interrupted_command_says_so_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    async def work() -> None:
        raise KeyboardInterrupt

    with pytest.raises(typer.Exit) as ended:
        run(work(), interrupted="interrupted. Run it again.")
    assert ended.value.exit_code == 130
    assert capsys.readouterr().err == "interrupted. Run it again.\n"
