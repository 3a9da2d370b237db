"""A ledger driven at random over its rpcs is what the reference model says, after every step."""

import asyncio
import pathlib
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

import ledger.service
from tests.simulation.machine import LedgerSimulation
from tests.simulation.over_rpcs import HandSweeper
from tests.support.postgres import PostgresServer

SQLITE_EXAMPLES = 20
"""Raise it for a long run by hand."""
POSTGRESQL_EXAMPLES = 3
STEPS = 40
REACHED = (
    *("Capture accepted", "Refund accepted", "Reverse accepted", "Void accepted"),
    *("Chain accepted", "Chain LINKED_ITEM_FAILED", "Post replayed", "Post REQUEST_ID_REUSED"),
    *(f"entry of kind {kind}" for kind in (10, 11, 20, 28, 32, 33, 34)),
    *("steps in debt", "sweep", "restart", "audit"),
)
"""What the histories must meet, or the simulation is too shallow."""


def simulate(
    examples: int, new_database: Callable[[pathlib.Path], str], monkeypatch: pytest.MonkeyPatch
) -> Counter[str]:
    """Runs a simulation whose steps are always the same, and gives what it reached."""
    monkeypatch.setattr(ledger.service, "Sweeper", HandSweeper)
    reached: Counter[str] = Counter()
    with asyncio.Runner() as runner:
        runner_ = runner

        class Simulation(LedgerSimulation):
            pass

        Simulation.runner = runner_
        Simulation.new_database = new_database
        Simulation.reached = reached
        run_state_machine_as_test(
            Simulation,
            settings=settings(
                max_examples=examples,
                stateful_step_count=STEPS,
                derandomize=True,
                database=None,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                phases=[Phase.generate, Phase.shrink],
            ),
        )
    return reached


def test_a_ledger_on_sqlite_is_always_what_the_model_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def new_database(folder: pathlib.Path) -> str:
        return f"sqlite:///{folder / 'ledger.db'}"

    reached = simulate(SQLITE_EXAMPLES, staticmethod(new_database), monkeypatch)
    missed = [what for what in REACHED if not reached[what]]
    assert not missed, f"the histories never had: {missed}"


@pytest.mark.postgresql
def test_a_ledger_on_postgresql_is_always_what_the_model_says(
    monkeypatch: pytest.MonkeyPatch, postgres: PostgresServer
) -> None:
    def new_database(folder: pathlib.Path) -> str:
        return postgres.url(postgres.create_database())

    reached = simulate(POSTGRESQL_EXAMPLES, staticmethod(new_database), monkeypatch)
    assert reached["Post accepted"]
