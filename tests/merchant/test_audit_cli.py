"""`timebank audit` with the configuration of a server: every service that it serves is audited."""

import json
import pathlib

import pytest

from merchant.domain.states import DocumentKind
from tests.merchant.audited import Hand
from tests.support.command_line import Shell

K = DocumentKind


def configure(hand: Hand, services: str, keys: pathlib.Path) -> None:
    (hand.folder / "timebank.toml").write_text(
        f"""{services}
[database]
url = "sqlite:///{hand.folder / "ledger.db"}"
[merchant_database]
url = "sqlite:///{hand.folder / "merchant.db"}"
[keys]
directory = "{keys}"
[merchant]
ledger_address = "127.0.0.1:1"
""",
        encoding="utf-8",
    )


@pytest.fixture
def shell(
    hand: Hand,
    audited_folder: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Shell:
    """Commands in a folder with a history and a configuration that serves both services."""
    configure(hand, 'services = ["ledger", "merchant"]', audited_folder / "data" / "keys")
    monkeypatch.setenv("COLUMNS", "160")
    return Shell(hand.folder, monkeypatch, capsys)


AUDIT = ("audit", "--config", "timebank.toml")


def test_everything_that_agrees_is_counted_service_by_service(shell: Shell) -> None:
    said = shell.run(*AUDIT)
    assert said.code == 0, said
    assert said.out.count("Everything agrees") == 2
    assert "merchant: Everything agrees" in said.out
    for label in ("Redemptions 兑换", "Settlement batches, files and signatures", "Entries of the"):
        assert label in said.out
    assert "documents in" in said.out
    assert "not compared" not in said.out


def test_a_difference_is_named_by_document_and_figure(shell: Shell, hand: Hand) -> None:
    budget = hand.one(K.BUDGET)
    hand.write(budget._replace(reserved_fen=budget.reserved_fen + 1))
    said = shell.run(*AUDIT)
    assert said.code == 1
    assert "DIFFERENT 不一致: merchant: a difference" in said.out
    for word in ("budget", "id = 'b'", "reserved_fen", str(budget.reserved_fen + 1)):
        assert word in said.out


def test_machines_get_all_differences_in_one_object(shell: Shell, hand: Hand) -> None:
    budget = hand.one(K.BUDGET)
    hand.write(budget._replace(reserved_fen=99, adjusted_fen=budget.adjusted_fen + 1))
    said = shell.run(*AUDIT, "--json")
    document = json.loads(said.out)
    assert (said.code, document["ok"], document["difference"]) == (1, False, None)
    figures = {one["column"] for one in document["merchant"]["differences"]}
    assert {"reserved_fen", "adjusted_fen"} <= figures


def test_a_document_that_could_command_a_terminal_is_shown_plainly(
    shell: Shell, hand: Hand
) -> None:
    one = hand.one(K.REDEMPTION)
    hand.set_bytes(K.REDEMPTION, one.redemption_id, b"\x1b[2J\x07[red]")
    said = shell.run(*AUDIT)
    assert said.code == 1
    assert "\x1b" not in said.out
    assert "a body that can be read" in said.out


def test_a_ledger_that_is_not_served_is_not_audited_and_that_is_said(
    shell: Shell, hand: Hand
) -> None:
    keys = hand.folder / "keys"
    configure(hand, 'services = ["merchant"]', keys)
    (hand.folder / "ledger.db").unlink()
    said = shell.run(*AUDIT)
    assert said.code == 0, said
    assert said.out.count("Everything agrees") == 1
    assert "were not compared with the ledger" in said.out
    assert "verified with the keys that they name" in said.out
    assert not keys.exists(), "an audit makes no secret"


def test_without_the_service_only_the_ledger_is_audited(shell: Shell, hand: Hand) -> None:
    configure(hand, 'services = ["ledger"]', hand.folder / "keys")
    (hand.folder / "merchant.db").unlink()
    said = shell.run(*AUDIT)
    assert said.code == 0, said
    assert "merchant" not in said.out


def test_a_database_that_is_not_there_is_refused_in_one_line(shell: Shell, hand: Hand) -> None:
    (hand.folder / "merchant.db").unlink()
    said = shell.run(*AUDIT)
    assert said.code == 1
    assert len(said.error.splitlines()) == 1
    assert said.error.endswith("(DATABASE_UNAVAILABLE)\n")
