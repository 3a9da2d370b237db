"""The load generator: a process of its own, `python -m timebank.bench.generator`.

Owns: the closed loop and its measurements. It reads a plan from its input, says `ready` once all is
prepared and warm, and starts at the next line; then it writes the result. Rules: every call
that was started is waited for, so that the log can be compared with what was acknowledged.
"""

import asyncio
import sys
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import grpc.aio
import uvloop

from timebank.bench import shops, volunteers
from timebank.bench.plans import WARM_UP, LoadPlan, LoadResult, percentile
from timebank.bench.workloads import WORKLOADS, Load, Step

READY = "ready"
REGISTERED = (shops, volunteers)
"""Modules that register workloads beside those of `workloads` itself."""
FAILURES_MAX = 100
"""A caller gives up after so many failed calls in a row."""


@dataclass(slots=True)
class Tally:
    """What a loop has counted so far."""

    calls: int = 0
    written: int = 0
    elapsed_s: float = 0.0
    latencies_s: list[float] = field(default_factory=list)


async def run(plan: LoadPlan) -> LoadResult:
    """Prepares and runs a load."""
    async with AsyncExitStack() as resources:
        load = Load(plan, resources)
        step = await WORKLOADS[plan.workload](load)
        warm_up = await closed_loop(load, step, plan.seconds * WARM_UP if plan.warm_up else 0.0)
        sys.stdout.write(f"{READY}\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.readline)
        cpu_start_s = time.process_time()
        measured = await closed_loop(load, step, plan.seconds)
        cpu_s = time.process_time() - cpu_start_s
    measured.latencies_s.sort()
    return LoadResult(
        calls=measured.calls,
        written=measured.written,
        acknowledged=warm_up.written + measured.written,
        elapsed_s=measured.elapsed_s,
        p50_ms=percentile(measured.latencies_s, 0.50) * 1_000,
        p99_ms=percentile(measured.latencies_s, 0.99) * 1_000,
        cpu_s=cpu_s,
        failures=dict(load.failures),
    )


async def closed_loop(load: Load, step: Step, seconds: float) -> Tally:
    """Lets every caller make one request after the other for some seconds."""
    tally = Tally()
    start_s = time.perf_counter()
    end_s = start_s + seconds

    async def caller() -> None:
        failed = 0
        before_s = time.perf_counter()
        while before_s < end_s and tally.calls < load.plan.requests_max and failed < FAILURES_MAX:
            tally.calls += 1
            try:
                acknowledged = await step()
                tally.written += (
                    acknowledged  # never `+= await`: that adds to what stood there before
                )
                failed = 0
            except grpc.aio.AioRpcError as error:
                load.failures[error.code().name] += 1
                failed += 1
            after_s = time.perf_counter()
            tally.latencies_s.append(after_s - before_s)
            before_s = after_s

    await asyncio.gather(*(caller() for _ in range(load.plan.callers)))
    tally.elapsed_s = time.perf_counter() - start_s
    return tally


def main() -> None:
    """Reads the plan, runs it, writes the result."""
    plan = LoadPlan.from_json(sys.stdin.readline())
    sys.stdout.write(uvloop.run(run(plan)).to_json() + "\n")


if __name__ == "__main__":
    main()
