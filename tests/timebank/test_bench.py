"""The benchmark measures what it says, checks what it wrote, and tells both."""

import asyncio
import csv
import dataclasses
import json
import os
import pathlib
import uuid
from contextlib import AsyncExitStack
from typing import Any

import pytest
from typer.testing import CliRunner

from timebank.bench import bulk, city, commits
from timebank.bench.cases import CASES, Case, Figure, Stage
from timebank.bench.cli import app, choose
from timebank.bench.generator import closed_loop
from timebank.bench.machine import this_machine
from timebank.bench.plans import LoadPlan, LoadResult, percentile
from timebank.bench.reports import as_json, ratio_to_empty
from timebank.bench.resources import Usage, share, usage_of
from timebank.bench.stands import Stand
from timebank.bench.workloads import Load
from timebank.client import EntryKind, Post, Unit, move, raw
from timebank.client.names import Names
from timebank.errors import TimebankError
from timebank.ledger.v1 import ledger_service_pb2 as service_pb2

NAMES = Names("weihai")
POST = Post(
    kind=EntryKind.REDEMPTION, postings=move(debit="a", credit="b", unit=Unit.POINTS, amount=1)
)
PLAN = LoadPlan(workload="empty", address="127.0.0.1:1", callers=8, seconds=0.05)
FIGURE = Figure(case="post_unary", database="sqlite", rate_per_s=500.0, acknowledged=5)


def bench(*arguments: str) -> tuple[int, dict[str, Any]]:
    outcome = CliRunner().invoke(app, [*arguments, "--json"])
    return outcome.exit_code, json.loads(outcome.stdout)


def test_a_quick_run_gives_one_json_object() -> None:
    code, document = bench("--seconds", "0.2", "--case", "empty", "--database", "sqlite")
    assert code == 0
    assert set(document) == {"machine", "seconds", "cases"}
    (row,) = document["cases"]
    assert (row["case"], row["database"], row["ratio_to_empty"]) == ("empty", "sqlite", 1.0)
    assert row["rate_per_s"] > 0
    assert 0 < row["p50_ms"] <= row["p99_ms"]


@pytest.mark.parametrize(
    "database", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)]
)
def test_the_log_grows_by_exactly_what_was_acknowledged(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(city, "MEMBERS", 40)
    cases = ("post_unary", "post_sdk_64", "post_batch_16")
    chosen = [part for name in cases for part in ("--case", name)]
    code, document = bench("--seconds", "0.2", "--database", database, *chosen)
    assert code == 0
    rows = document["cases"]
    assert [row["case"] for row in rows] == ["empty", *cases]
    assert [row["log_grew_exactly"] for row in rows] == [None, True, True, True]
    assert all(row["acknowledged"] > 0 for row in rows)
    assert all(row["batch_items_mean"] >= 1 for row in rows[1:])
    assert False not in [row["audit_passed"] for row in rows]


def test_an_unsound_figure_ends_in_exit_code_1(monkeypatch: pytest.MonkeyPatch) -> None:
    async def lose(stand: Stand) -> list[Figure]:
        return [dataclasses.replace(FIGURE, database=stand.database, log_grew_exactly=False)]

    monkeypatch.setitem(CASES, "lossy", Case("lossy", "", lose, Stage.POSTS, by_default=False))
    code, document = bench("--seconds", "0.1", "--database", "sqlite", "--case", "lossy")
    assert code == 1
    assert len(document["cases"]) == 2


@pytest.mark.parametrize(
    ("change", "sound"),
    [
        ({}, True),
        ({"log_grew_exactly": True, "audit_passed": True}, True),
        ({"log_grew_exactly": False}, False),
        ({"audit_passed": False}, False),
        ({"failures": {"UNAVAILABLE": 1}}, False),
    ],
)
def test_a_figure_is_sound_when_no_check_and_no_call_failed(
    change: dict[str, object], sound: bool
) -> None:
    assert dataclasses.replace(FIGURE, **change).sound is sound  # type: ignore[arg-type]  # a table


def test_a_busy_load_generator_is_told() -> None:
    assert dataclasses.replace(FIGURE, generator_cpu=0.9).warning == ""
    assert "0.95 cores" in dataclasses.replace(FIGURE, generator_cpu=0.95).warning


def test_the_commits_of_one_ledger_are_read_from_the_metrics() -> None:
    text = (
        "# TYPE timebank_ledger_batch_items histogram\n"
        'timebank_ledger_batch_items_count{ledger="bench"} 4.0\n'
        'timebank_ledger_batch_items_sum{ledger="bench"} 10.0\n'
        'timebank_ledger_batch_items_count{ledger="other"} 7.0\n'
    )
    read = commits.parse(text, "bench")
    assert read == commits.Commits(4.0, 10.0)
    assert read.since(commits.Commits(1.0, 2.0)) == commits.Commits(3.0, 8.0)
    assert commits.parse(text, "unknown") == commits.Commits()


def test_an_unknown_case_is_refused_with_those_there_are() -> None:
    with pytest.raises(TimebankError, match=r"expected one of empty, .*'post_unari'"):
        choose(["post_unari"])


def test_empty_always_runs_and_growth_only_by_name() -> None:
    assert [found.name for found in choose(["post_hot"])] == ["empty", "post_hot"]
    default = [found.name for found in choose([])]
    assert default[0] == "empty"
    books = ["settle", "settle_apart", "reconcile", "reconcile_apart"]
    shops = ["redeem", "redeem_apart"]
    assert default[-10:] == ["import", "records_bulk", "star", "policy", *shops, *books]
    assert not {"growth", "star_audit"} & set(default)
    assert [found.name for found in choose(["growth"])] == ["empty", "growth"]


def test_the_cases_can_be_listed() -> None:
    outcome = CliRunner().invoke(app, ["--list"])
    assert [line.split()[0] for line in outcome.stdout.splitlines()][:2] == ["empty", "bare"]


def test_a_ratio_compares_with_the_empty_call_of_the_same_database() -> None:
    figures = [
        Figure(case="empty", database="sqlite", rate_per_s=1_000.0),
        Figure(case="empty", database="postgresql", rate_per_s=2_000.0),
        FIGURE,
    ]
    assert ratio_to_empty(FIGURE, figures) == 0.5
    assert ratio_to_empty(dataclasses.replace(FIGURE, database="other"), figures) is None


def test_figures_keep_three_digits(tmp_path: pathlib.Path) -> None:
    figure = dataclasses.replace(FIGURE, p50_ms=1.23456)
    document = json.loads(as_json(this_machine(tmp_path), 5.0, [figure]))
    assert document["cases"][0]["p50_ms"] == 1.235
    assert document["machine"]["cores"] == os.cpu_count()


@pytest.mark.parametrize(
    ("values", "at", "expected"),
    [
        ([], 0.5, 0.0),
        ([1.0], 0.99, 1.0),
        ([1.0, 2.0, 3.0, 4.0], 0.5, 2.0),
        ([float(value) for value in range(1, 101)], 0.99, 99.0),
        ([1.0, 2.0], 0.0, 1.0),
    ],
)
def test_a_percentile_is_a_value_that_was_measured(
    values: list[float], at: float, expected: float
) -> None:
    assert percentile(values, at) == expected


async def test_no_acknowledgement_is_lost_between_callers() -> None:
    async def step() -> int:
        await asyncio.sleep(0)
        return 3

    async with AsyncExitStack() as resources:
        tally = await closed_loop(Load(PLAN, resources), step, PLAN.seconds)
    assert tally.written == 3 * tally.calls
    assert len(tally.latencies_s) == tally.calls > PLAN.callers


async def test_a_load_ends_after_the_requests_it_was_given() -> None:
    async def step() -> int:
        await asyncio.sleep(0)
        return 1

    plan = dataclasses.replace(PLAN, requests_max=20, seconds=60.0)
    async with AsyncExitStack() as resources:
        tally = await closed_loop(Load(plan, resources), step, plan.seconds)
    assert tally.calls == tally.written == 20


def test_plans_and_results_survive_their_travel() -> None:
    plan = dataclasses.replace(PLAN, debit_accounts=("a", "b"), batch_items=16)
    assert LoadPlan.from_json(plan.to_json()) == plan
    result = LoadResult(
        calls=2,
        written=32,
        acknowledged=40,
        elapsed_s=0.5,
        p50_ms=1.0,
        p99_ms=2.0,
        cpu_s=0.1,
        failures={"QUEUE_FULL": 1},
    )
    assert LoadResult.from_json(result.to_json()) == result
    assert result.rate_per_s == 64.0


def test_a_filled_template_is_the_request_with_its_own_id() -> None:
    id_ = str(uuid.uuid4())
    data = raw.fill(raw.post_template(POST, NAMES), id_)
    request = service_pb2.PostEntryRequest.FromString(data)
    assert (request.parent, request.request_id) == ("ledgers/weihai", id_)
    assert [leg.amount for leg in request.post.postings] == [-1, 1]


def test_filled_items_join_to_one_batch() -> None:
    ids = [str(uuid.uuid4()) for _ in range(3)]
    template = raw.item_template([POST], NAMES)
    data = raw.batch_request(NAMES, (raw.fill(template, id_) for id_ in ids))
    request = service_pb2.BatchExecuteRequest.FromString(data)
    assert request.parent == "ledgers/weihai"
    assert [item.request_id for item in request.items] == ids


def test_the_outcomes_of_a_batch_are_counted() -> None:
    response = service_pb2.BatchExecuteResponse()
    response.results.add().ok.replayed = False
    response.results.add().error.code = 9
    response.results.add().ok.SetInParent()
    assert raw.batch_outcomes(response.SerializeToString()) == (2, 1)


def test_usage_is_that_of_a_process_and_what_it_started() -> None:
    own = usage_of(os.getpid())
    assert own is not None
    assert own.cpu_s > 0
    assert own.memory_bytes > 1_000_000
    assert usage_of(None) is None
    assert usage_of(2**30) is None


def test_processors_are_cores_in_use() -> None:
    assert share(Usage(1.0, 0), Usage(2.0, 0), 0.5) == 2.0
    assert share(None, Usage(2.0, 0), 0.5) is None


def test_the_rows_to_import_are_whole_minutes_between_two_accounts(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "transfers.csv"
    bulk.write_transfers(file, rows=200, accounts=20)
    with open(file, newline="", encoding="utf-8") as source:
        rows = list(csv.DictReader(source))
    assert len(rows) == 200
    assert all(int(row["amount"]) % 60 == 0 < int(row["amount"]) for row in rows)
    assert all(row["source_id"] != row["destination_id"] for row in rows)
    assert {row["source_id"] for row in rows} == {str(number) for number in range(1, 21)}
