"""What a load generator is told to do and what it found out: plain values that travel as JSON.

Owns: the shape of both. Refuses: doing any of it (see `timebank.bench.generator`).
"""

import dataclasses
import json
from dataclasses import dataclass
from typing import Self

WARM_UP = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPlan:
    """A closed loop: `callers` ask `workload` for the next request as soon as they are answered.

    It goes on for `seconds`, or until `requests_max` requests are made, whichever comes first,
    after a warm-up of WARM_UP of that, which is acknowledged but not measured.
    """

    workload: str
    address: str
    callers: int
    seconds: float
    requests_max: int = 2**62
    warm_up: bool = True
    ledger: str = ""
    debit_accounts: tuple[str, ...] = ()
    credit_accounts: tuple[str, ...] = ()
    batch_items: int = 1
    seed: int = 1

    def to_json(self) -> str:
        """Gives the plan as one line."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads what `to_json` wrote."""
        values = json.loads(text)
        for name in ("debit_accounts", "credit_accounts"):
            values[name] = tuple(values[name])
        return cls(**values)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadResult:
    """What became of a load.

    `written` counts entries (for reads: answers) acknowledged in `elapsed_s`, `acknowledged` those
    of the warm-up too, `failures` refused calls and items by reason; latencies are those of whole
    calls, in milliseconds; `cpu_s` is the generator's own.
    """

    calls: int
    written: int
    acknowledged: int
    elapsed_s: float
    p50_ms: float
    p99_ms: float
    cpu_s: float
    failures: dict[str, int]

    @property
    def rate_per_s(self) -> float:
        """Gives acknowledged entries, or answers, a second."""
        return self.written / self.elapsed_s if self.elapsed_s else 0.0

    def to_json(self) -> str:
        """Gives the result as one line."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads what `to_json` wrote."""
        return cls(**json.loads(text))


def percentile(sorted_values: list[float], share: float) -> float:
    """Gives the smallest value that at least `share` (0 to 1) of the values do not exceed."""
    if not sorted_values:
        return 0.0
    rank = -int(-len(sorted_values) * share // 1)  # rounded up
    return sorted_values[max(0, rank - 1)]
