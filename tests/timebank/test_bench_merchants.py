"""The benchmark of merchants redeems, settles and reconciles, and checks what came of it."""

import datetime
import json
from collections import Counter
from typing import Any

import pytest
from typer.testing import CliRunner

from timebank.bench import cli, settlements, tables
from timebank.client.settlement_views import ReconciliationOutcome as Outcome

POSTGRESQL = pytest.param("postgresql", "settle", "reconcile_apart", marks=pytest.mark.postgresql)


@pytest.mark.parametrize(
    ("database", "settle", "reconcile"), [("sqlite", "settle_apart", "reconcile"), POSTGRESQL]
)
def test_a_day_is_settled_and_compared(
    database: str, settle: str, reconcile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settlements, "SALES_A_DAY", 12)
    monkeypatch.setattr(settlements, "MERCHANTS", 3)
    monkeypatch.setattr(settlements, "BATCH_DAYS", 10)
    code, rows = _bench(database, settle, reconcile)
    closed, compared = rows[settle], rows[reconcile]
    assert (closed["acknowledged"], closed["failures"]) == (60, None)
    assert (closed["log_grew_exactly"], closed["audit_passed"]) == (True, True)
    assert closed["server_memory_bytes"] > 1_000_000
    assert (compared["acknowledged"], compared["failures"]) == (60 + 60 + 30, None)
    assert code == 0


def test_what_a_comparison_should_have_found_and_did_not_is_wrong() -> None:
    outcomes = Counter({Outcome.UNPAID: 1})
    told: list[tables.Spoilt[tables.Payment]] = [tables.Spoilt([], outcomes, matched_count=3)]
    assert settlements.wrong_in(told, 3, Counter({Outcome.UNPAID: 1})) == []
    assert settlements.wrong_in(told, 4, Counter({Outcome.UNPAID: 1})) == ["matched count 4, not 3"]
    (wrong,) = settlements.wrong_in(told, 3, Counter({Outcome.UNPAID: 1, Outcome.OVERPAID: 1}))
    assert wrong.startswith("items ")


def test_sales_are_redeemed_with_the_ledger_in_another_process() -> None:
    code, rows = _bench("sqlite", "redeem_apart")
    sold = rows["redeem_apart"]
    assert sold["acknowledged"] > 0
    assert (sold["log_grew_exactly"], sold["audit_passed"]) == (True, True)
    assert code == 0


def test_a_spoilt_journal_has_as_many_rows_as_there_were_sales() -> None:
    days = tables.days_before(datetime.date(2026, 3, 1), 2)
    assert days == ["2026-02-28", "2026-03-01"]
    for sold in tables.sales_of(days, 6):
        spoilt = tables.spoil_journal(sold)
        assert len(spoilt.rows) == len(sold)
        agreeing = Counter(spoilt.rows) & Counter(sold)
        assert sum(agreeing.values()) == spoilt.matched_count
        # A reference that is twice in the journal, or in neither list, is one outcome each.
        assert sum(spoilt.outcomes.values()) == 6


def test_the_parts_of_an_advice_pay_each_batch_once() -> None:
    merchants = [f"ledgers/bench/merchants/m-{number}" for number in range(3)]
    parts = tables.payments_of(merchants, ["2026-02-28", "2026-03-01"], 4)
    paid = [payment for part in parts for payment in part]
    assert len({payment.batch for payment in paid}) == len(paid) == 6
    assert all(payment.paid_fen > 0 for payment in paid)
    spoilt = tables.spoil_advice(paid)
    assert len(spoilt.rows) == len(paid)
    assert len(set(spoilt.rows) & set(paid)) == spoilt.matched_count


def test_a_table_is_csv() -> None:
    rows = [tables.Sale("a-1", "2026-03-01", "CAPTURED", 5)]
    expected = f"{tables.JOURNAL_HEAD}\r\na-1,2026-03-01,CAPTURED,5,0\r\n"
    assert tables.table_of(tables.JOURNAL_HEAD, rows) == expected.encode()


def _bench(database: str, *cases: str) -> tuple[int, dict[str, dict[str, Any]]]:
    chosen = [part for name in cases for part in ("--case", name)]
    arguments = ["--seconds", "0.1", "--database", database, *chosen, "--json"]
    outcome = CliRunner().invoke(cli.app, arguments)
    rows = json.loads(outcome.stdout)["cases"]
    return outcome.exit_code, {row["case"]: row for row in rows}
