"""The simulation over rpcs: a ledger is asked for anything in any order, a model says what must
come.

Owns the order of a step: ask the ledger and the model, compare the answers, then all that can be
read. Hypothesis chooses the steps and finds the shortest history that goes wrong.
"""

import asyncio
import pathlib
import tempfile
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from typing import Any, ClassVar, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from ledger.audit.run import audit_database
from tests.simulation import asked as q
from tests.simulation.over_rpcs import RpcLedger
from tests.simulation.readings import check_everything, same_reply
from tests.simulation.reference import Reference
from tests.simulation.steps import ASKING, CLOCK_MOVES_S, FIRST_ACCOUNTS, Steps, first_grants
from tests.support.commands import START_US
from timebank.config import DatabaseConfig

T = TypeVar("T")
KINDS = (*ASKING, *("wait",) * 4, "sweep", "sweep", "restart", "audit")


class LedgerSimulation(RuleBasedStateMachine):
    """One ledger from its creation on. Subclasses say on which database."""

    runner: ClassVar[asyncio.Runner]
    new_database: ClassVar[Callable[[pathlib.Path], str]]
    reached: ClassVar[Counter[str]]

    def __init__(self) -> None:
        super().__init__()
        self._ends = ExitStack()
        self._folder = pathlib.Path(
            self._ends.enter_context(tempfile.TemporaryDirectory(prefix="timebank-simulation-"))
        )
        self._ledger: RpcLedger | None = None

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(coroutine)

    @initialize(few=st.booleans())
    def create(self, few: bool) -> None:
        """Serves a new ledger that keeps all or almost nothing in memory, and opens accounts."""
        self._url = type(self).new_database(self._folder)
        self._ledger = self.ledger = RpcLedger(
            self._folder, self._url, accounts_cached_max=1 if few else 1_000
        )
        system = self._run(self.ledger.create())
        self.steps = Steps(Reference(system, START_US), reached=self.reached)
        requests = [self.steps.request(x) for x in (*FIRST_ACCOUNTS,)]
        self._submit(requests, together=True)
        grants = [self.steps.request(x) for x in first_grants(system)]
        self._submit(grants, together=True)

    @rule(which=st.sampled_from(KINDS), seed=st.integers(0, 2**32))
    def step(self, which: str, seed: int) -> None:
        """One step of the kind; the seed says which."""
        before = len(self.steps.model.books.log)
        teller = self.steps.teller(seed)
        if which == "wait":
            self.ledger.clock.advance(seconds=teller.choose(CLOCK_MOVES_S))
        elif which == "sweep":
            touched = self.steps.model.sweep(self.ledger.clock.now_us())
            assert self._run(self.ledger.sweep()) == touched
        elif which == "restart":
            self._run(self.ledger.restart())
        elif which == "audit":
            self._audit()
        else:
            self._submit(*self.steps.next(which, teller))
            return
        self.reached[which] += 1
        self._check(since=before)

    def teardown(self) -> None:
        try:
            if self._ledger is not None:
                self._audit()
        finally:
            if self._ledger is not None:
                self._run(self._ledger.stop())
            self._ends.close()

    def _submit(self, requests: list[q.Request], together: bool) -> None:
        """Asks the ledger and the model, and compares all that can be seen."""
        if not requests:
            return
        model = self.steps.model
        before = len(model.books.log)
        if together:
            got = self._run(self.ledger.carry_out_together(requests, model))
        else:
            got = [self._run(self.ledger.carry_out(requests[0], model))]
        model.begin(self.ledger.clock.now_us())
        for request, reply in zip(requests, got, strict=True):
            expected = model.carry_out(request)
            assert same_reply(expected, reply), f"{request}: expected {expected}, got {reply}"
            model.learn(expected, reply)
            self.steps.note(request, expected)
        self._check(since=before)

    def _check(self, *, since: int) -> None:
        self.steps.note_entries(since)
        self._run(check_everything(self.ledger, self.steps.model, since=since))

    def _audit(self) -> None:
        report = self._run(audit_database(DatabaseConfig(url=self._url)))
        assert report.difference is None, report.difference
        assert report.entries == len(self.steps.model.books.log)
