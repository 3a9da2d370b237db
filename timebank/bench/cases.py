"""The cases of the benchmark: a registry that later capabilities add to.

Owns: which figures there are and how each is taken. Rules: a case that writes is checked: the log
grew by exactly what was acknowledged, and the audit passes; durability is never off.
"""

import enum
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from timebank.bench.driver import Measured
from timebank.bench.stands import Stand

EMPTY = "empty"
GENERATOR_CPU_MAX = 0.9
"""A load generator that is busier than this, in cores, may be what was measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One row of the report; None: not known, or it does not apply.

    `rate_per_s` counts acknowledged entries (reads: answers) a second; processors are in cores;
    `batch_items_mean` is how many requests shared a commit.
    """

    case: str
    database: str
    rate_per_s: float
    p50_ms: float | None = None
    p99_ms: float | None = None
    acknowledged: int = 0
    failures: dict[str, int] | None = None
    server_cpu: float | None = None
    generator_cpu: float | None = None
    database_cpu: float | None = None
    batch_items_mean: float | None = None
    server_memory_bytes: int | None = None
    log_grew_exactly: bool | None = None
    audit_passed: bool | None = None
    note: str = ""

    @property
    def sound(self) -> bool:
        """False when a check failed or calls did."""
        return not (self.failures or self.log_grew_exactly is False or self.audit_passed is False)

    @property
    def warning(self) -> str:
        """Says so when the load generator was so busy that it may be what was measured."""
        if self.generator_cpu is None or self.generator_cpu <= GENERATOR_CPU_MAX:
            return ""
        return f"the load generator took {self.generator_cpu:.2f} cores: it may be the bottleneck"


Run = Callable[[Stand], Awaitable[list[Figure]]]


class Stage(enum.IntEnum):
    """When a case runs: the later ones work on the log that the earlier ones wrote."""

    CALLS = 1
    POSTS = 2
    BULK = 3
    GROWTH = 4


@dataclass(frozen=True, slots=True)
class Case:
    """A case: its name, what it shows, and whether it runs when nobody asks for it by name."""

    name: str
    summary: str
    run: Run
    stage: Stage
    by_default: bool


CASES: dict[str, Case] = {}


def case(name: str, summary: str, *, stage: Stage, by_default: bool = True) -> Callable[[Run], Run]:
    """Registers a case; within a stage, cases run in the order of their registration."""

    def register(run: Run) -> Run:
        assert name not in CASES, f"expected one case {name!r}, got a second"
        CASES[name] = Case(name, summary, run, stage, by_default)
        return run

    return register


def in_order() -> list[Case]:
    """Gives all cases in the order in which they run."""
    return sorted(CASES.values(), key=lambda found: found.stage)


def figure(name: str, stand: Stand, measured: Measured) -> Figure:
    """Makes the row of a measurement, without its checks."""
    load = measured.load
    return Figure(
        case=name,
        database=stand.database,
        rate_per_s=load.rate_per_s,
        p50_ms=load.p50_ms,
        p99_ms=load.p99_ms,
        acknowledged=load.acknowledged,
        failures=load.failures or None,
        server_cpu=measured.server_cpu,
        generator_cpu=measured.generator_cpu,
        database_cpu=measured.database_cpu,
        server_memory_bytes=measured.server_memory_bytes,
    )
