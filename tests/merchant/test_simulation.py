"""A shop in any weather: points once, sums in step, and nothing stays open."""

import asyncio
import pathlib
from collections import Counter as Tally
from collections.abc import Callable, Sequence

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test
from structlog.testing import capture_logs

from tests.merchant.flaky_ledgers import ProcessDied
from tests.merchant.sale_machine import ShopSimulation
from tests.support.cheap_pins import hash_cheaply
from tests.support.postgres import PostgresServer

EXAMPLES = 5
"""Histories of one round; raise it for a long run by hand."""
APART_EXAMPLES = 3
POSTGRESQL_EXAMPLES = 3
ROUNDS_MAX = 8
"""Rounds that may be needed to meet everything; the first two are always run."""
ROUNDS_MIN = 2
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
    *("confirm by PIN done", "confirm by QR done", "confirm by assisted done"),
    *("confirm by PIN PIN_INVALID", "confirm by QR PIN_REQUIRED", "sell by card done"),
    *("sell by card PIN_REQUIRED", "sell by card PIN_INVALID", "sell by card PIN_LOCKED"),
    *("sell by code PIN_INVALID", "locked", "unlocked"),
)
"""What the histories must meet, or the simulation is too shallow."""
BASICS = ("CAPTURED", "UNKNOWN", "VOIDED", "REVERSED", "died", "went away", "sell OUTCOME_UNKNOWN")
KILLED = ("ledger killed answered", "ledger killed unanswered")
"""What is met besides where the ledger is in a process of its own."""


def simulate(
    examples: int,
    new_database: Callable[[pathlib.Path], str],
    *,
    apart: bool = False,
    wanted: Sequence[str] = REACHED,
    rounds_max: int = ROUNDS_MAX,
) -> None:
    """Runs histories that are always the same, but for the moments of kills, round by round until
    everything that is wanted was met.
    """
    reached: Tally[str] = Tally()
    with (
        asyncio.Runner() as runner,
        pytest.MonkeyPatch.context() as patch,
        capture_logs() as logged,
    ):
        hash_cheaply(patch)
        world = {"runner": runner, "new_database": staticmethod(new_database), "apart": apart}
        for number in range(rounds_max):
            told = {"reached": reached, "round_number": number}
            simulation = type("Simulation", (ShopSimulation,), world | told)
            run_round(seed(number)(simulation), examples)
            if number + 1 >= ROUNDS_MIN and all(reached[what] for what in wanted):
                break
    faults = [event["exc_info"] for event in logged if event.get("exc_info")]
    assert all(isinstance(fault, ProcessDied) for fault in faults), faults
    missed = [what for what in wanted if not reached[what]]
    assert not missed, f"the histories never had: {missed}"


def run_round(simulation: type[ShopSimulation], examples: int) -> None:
    """Runs so many histories."""
    run_state_machine_as_test(
        simulation,
        settings=settings(
            max_examples=examples,
            stateful_step_count=STEPS,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=PHASES,
            report_multiple_bugs=False,
        ),
    )


def in_a_file(folder: pathlib.Path) -> str:
    """The url of the ledger's SQLite database."""
    return f"sqlite:///{folder / 'ledger.db'}"


@pytest.mark.parametrize("layout", ["together", "apart"])
def test_a_shop_on_sqlite_keeps_its_books_in_any_weather(layout: str) -> None:
    if layout == "together":
        simulate(EXAMPLES, in_a_file)
    else:
        simulate(APART_EXAMPLES, in_a_file, apart=True, wanted=(*BASICS, *KILLED))


@pytest.mark.postgresql
@pytest.mark.parametrize("layout", ["together", "apart"])
def test_a_shop_on_postgresql_keeps_its_books_in_any_weather(
    layout: str, postgres: PostgresServer
) -> None:
    def new_database(_: pathlib.Path) -> str:
        return postgres.url(postgres.create_database())

    wanted = BASICS if layout == "together" else (*BASICS, *KILLED)
    simulate(POSTGRESQL_EXAMPLES, new_database, apart=layout == "apart", wanted=wanted)
