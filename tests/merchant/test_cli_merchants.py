"""`timebank merchant`, against the real services in another thread."""

import pathlib
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

from merchant.cli import app
from merchant.cli_pos_terminal import Background
from tests.merchant.audited import record_income
from tests.merchant.till_world import SHOP, TillWorld, till_world
from timebank.errors import Reason, TimebankError

DAY = "2026-03-01"
DAY_S = 86_400


class Office:
    """Somebody who administers a shop."""

    def __init__(self, till: TillWorld, background: Background) -> None:
        self.till = till
        self.background = background
        address = f"127.0.0.1:{till.world.process.grpc_port}"
        self._options = ["--server", address, "--ledger", "weihai"]

    def run(self, *arguments: str, typed: str | None = None) -> str:
        """Runs a command; raises what it refuses."""
        result = CliRunner().invoke(app, [*arguments, *self._options], input=typed)
        if result.exception is not None:
            raise result.exception
        return " ".join(result.output.split())

    def refused(self, *arguments: str) -> Reason:
        """Runs a command that must be refused and gives the reason."""
        with pytest.raises(TimebankError) as refused:
            self.run(*arguments)
        return refused.value.reason


@pytest.fixture
def office(
    tmp_path: pathlib.Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Office]:
    """The office of a shop at 100 fen for 100 points, paid from the budget `b`."""
    monkeypatch.setenv("COLUMNS", "200")
    background = Background()
    world = till_world(tmp_path, sqlite_url)
    till = background(world.__aenter__())
    try:
        background(till.open_shop())
        yield Office(till, background)
    finally:
        background(world.__aexit__(None, None, None))
        background.close()


def test_a_merchant_is_created_and_listed(office: Office) -> None:
    made = office.run(
        *("merchant", "create", "kiosk", "--name", "报刊亭", "--category", "CULTURE"),
        *("--fen-per-100-points", "80", "--budget", "b", "--cut-off-minute", "60"),
    )
    for words in ("ledgers/weihai/merchants/kiosk", "ACTIVE 正常", "¥0.80", "│ 01:00 │"):
        assert words in made
    assert "│ kiosk │ 报刊亭 │ CULTURE 文化 │ ACTIVE 正常 │" in office.run("merchant", "list")


def test_terms_are_changed_and_shown(office: Office) -> None:
    said = office.run(
        *("merchant", "update", "shop", "--name", "大卖部", "--category", "SERVICE"),
        *("--fen-per-100-points", "450", "--debt-points-max", "0"),
    )
    for words in (
        *("大卖部", "SERVICE 服务", "¥4.50", "│ 00:00 │", "ledgers/weihai/budgets/b"),
        "│ 0 points 积分 │",
    ):
        assert words in said
    assert said == office.run("merchant", "show", "shop")


def test_a_new_cut_off_is_shown_with_the_day_from_which_it_holds(office: Office) -> None:
    update = ("merchant", "update", "shop")
    assert "│ 22:00 from 自 2026-03-02 │" in office.run(*update, "--cut-off-minute", "1320")
    later = office.run(*update, "--cut-off-minute", "0", "--cut-off-from", "2026-04-01")
    assert "│ 00:00 │" in later, "what waited for its day is given up"
    dated = office.run(*update, "--cut-off-minute", "90", "--cut-off-from", "2026-04-01")
    assert "│ 01:30 from 自 2026-04-01 │" in dated


def test_a_merchant_becomes_a_sponsor(office: Office) -> None:
    update = ("merchant", "update", "shop", "--budget", "")
    assert office.refused(*update) is Reason.VALIDATION_FAILED
    said = office.run(*update, "--fen-per-100-points", "0")
    assert "¥0.00" in said
    assert "budgets/b" not in said


def test_an_update_that_says_nothing_or_no_date_is_refused(office: Office) -> None:
    update = ("merchant", "update", "shop")
    assert office.refused(*update) is Reason.VALIDATION_FAILED
    for text in ("1.4.2026", "2026-4-1", ""):
        undated = ("--cut-off-minute", "60", "--cut-off-from", text)
        assert office.refused(*update, *undated) is Reason.VALIDATION_FAILED
    begun = ("--cut-off-minute", "60", "--cut-off-from", DAY)
    assert office.refused(*update, *begun) is Reason.VALIDATION_FAILED


def test_an_etag_guards_against_another_office(office: Office) -> None:
    update = ("merchant", "update", "shop", "--fen-per-100-points")
    etag = office.run("merchant", "show", "shop").partition("Etag 版本标识 │ ")[2].split()[0]
    office.run(*update, "90", "--etag", etag)
    assert office.refused(*update, "80", "--etag", etag) is Reason.ETAG_MISMATCH
    assert "¥0.90" in office.run("merchant", "show", "shop")


def test_a_merchant_is_suspended_and_resumed(office: Office) -> None:
    assert "SUSPENDED 停用" in office.run("merchant", "suspend", "shop")
    assert "ACTIVE 正常" in office.run("merchant", "resume", "shop")


def test_a_merchant_leaves_for_ever_once_somebody_says_yes(office: Office) -> None:
    with pytest.raises(SystemExit) as aborted:
        office.run("merchant", "leave", "shop", typed="n\n")
    assert aborted.value.code == 1
    assert "ACTIVE 正常" in office.run("merchant", "show", "shop")
    assert "LEAVING 退出中" in office.run("merchant", "leave", "shop", typed="y\n")
    assert office.refused("merchant", "resume", "shop") is Reason.MERCHANT_NOT_ACTIVE
    assert "LEAVING 退出中" in office.run("merchant", "leave", "shop", "--yes")


def test_budgets_are_shown_with_what_settlement_rounded(office: Office) -> None:
    office.run("merchant", "update", "shop", "--fen-per-100-points", "85")
    office.background(sell_and_settle(office.till))
    said = office.run("budget", "list")
    assert "│ ¥10,000.00 │ ¥0.00 │ ¥0.17 │ -¥0.01 │ ¥9,999.83 │" in said


async def sell_and_settle(till: TillWorld) -> None:
    """Sells two coffees of eight and a half fen each, and closes their day."""
    await record_income(till)
    await till.member("wang", 100)
    for _ in range(2):
        await till.redeem("wang")
    till.world.clock.advance(seconds=DAY_S)
    await till.call("CloseBatch", parent=SHOP, business_date=DAY)
