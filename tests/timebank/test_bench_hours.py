"""The benchmark of hours posts records that are sound, and measures the policy by its command."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from timebank.bench import hours, volunteers
from timebank.bench.cli import app


@pytest.mark.parametrize(
    "database", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)]
)
def test_records_are_posted_and_their_stars_read(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(volunteers, "VOLUNTEERS", 20)
    monkeypatch.setattr(hours, "BULK_ITEMS", 40)
    rows = _bench(database, "records_bulk", "star")
    bulk, star = rows["records_bulk"], rows["star"]
    assert bulk["acknowledged"] > 0
    assert bulk["failures"] is None
    assert (bulk["log_grew_exactly"], bulk["audit_passed"]) == (True, True)
    assert star["rate_per_s"] > 0


def test_a_full_audit_of_stars_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(volunteers, "VOLUNTEERS", 10)
    monkeypatch.setattr(hours, "BULK_ITEMS", 100)
    monkeypatch.setattr(hours, "AUDIT_RECORDS", 500)
    row = _bench("sqlite", "star_audit")["star_audit"]
    assert row["acknowledged"] >= 500
    assert row["audit_passed"] is True


def test_the_policy_is_measured_by_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hours, "POLICY_RECORDS", 500)
    assert _bench("sqlite", "policy")["policy"]["rate_per_s"] > 0


def _bench(database: str, *cases: str) -> dict[str, dict[str, Any]]:
    chosen = [part for name in cases for part in ("--case", name)]
    arguments = ["--seconds", "0.2", "--database", database, *chosen, "--json"]
    outcome = CliRunner().invoke(app, arguments)
    assert outcome.exit_code == 0, outcome.output
    return {row["case"]: row for row in json.loads(outcome.stdout)["cases"]}
