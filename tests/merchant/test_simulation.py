"""A shop in any weather: points once, sums in step, and nothing stays open."""

import asyncio
import pathlib
from collections import Counter as Tally
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.merchant.sale_machine import ShopSimulation
from tests.support.postgres import PostgresServer

SQLITE_EXAMPLES = 9
"""Raise it for a long run by hand."""
POSTGRESQL_EXAMPLES = 2
STEPS = 45
PHASES = (Phase.generate,)
"""Add Phase.shrink by hand to find the shortest history: it takes some minutes."""
REACHED = (
    *("PENDING_MEMBER", "AUTHORIZED", "PARTIALLY_CAPTURED", "CAPTURED", "UNKNOWN"),
    *("VOIDED", "REVERSED", "EXPIRED", "DECLINED", "died", "went away", "delivered late"),
    *("sell done", "sell replayed", "sell OUT_OF_STOCK", "sell LIMIT_EXCEEDED"),
    *("sell VELOCITY_LIMIT_EXCEEDED", "sell FUND_EXHAUSTED", "sell PAYMENT_CODE_INVALID"),
    *("sell OUTCOME_UNKNOWN", "capture done", "refund done", "void done", "reverse done"),
    *("confirm done", "confirm FOUR_EYES_REQUIRED", "collect done"),
)
"""What the histories must meet, or the simulation is too shallow."""


def simulate(examples: int, new_database: Callable[[pathlib.Path], str]) -> Tally[str]:
    """Runs a simulation whose steps are always the same, and gives what it reached."""
    reached: Tally[str] = Tally()
    with asyncio.Runner() as runner:
        runner_ = runner

        class Simulation(ShopSimulation):
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
                phases=PHASES,
                report_multiple_bugs=False,
            ),
        )
    return reached


def test_a_shop_on_sqlite_keeps_its_books_in_any_weather() -> None:
    def new_database(folder: pathlib.Path) -> str:
        return f"sqlite:///{folder / 'ledger.db'}"

    reached = simulate(SQLITE_EXAMPLES, staticmethod(new_database))
    missed = [what for what in REACHED if not reached[what]]
    assert not missed, f"the histories never had: {missed}"


@pytest.mark.postgresql
def test_a_shop_on_postgresql_keeps_its_books_in_any_weather(postgres: PostgresServer) -> None:
    def new_database(folder: pathlib.Path) -> str:
        return postgres.url(postgres.create_database())

    assert simulate(POSTGRESQL_EXAMPLES, staticmethod(new_database))["sell done"]
