"""Runs a load generator and watches what it costs everybody.

Owns: one measurement, from `ready` to the result. Rules: the generator is a process of its own;
server and database are looked at in the same interval as the load.
"""

import asyncio
import sys
from asyncio import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from timebank.bench.generator import READY
from timebank.bench.plans import LoadPlan, LoadResult
from timebank.bench.processes import ENVIRONMENT, ROOT
from timebank.bench.resources import Usage, share, usage_of
from timebank.errors import Reason, TimebankError

LINE_BYTES_MAX = 8 * 1024 * 1024
GRACE_S = 180.0
"""How long a generator may prepare, and how long its last calls may take."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A load and the processors it took: 1.0 is one core all the time, None: not known."""

    load: LoadResult
    server_cpu: float | None
    generator_cpu: float
    database_cpu: float | None
    server_memory_bytes: int | None


async def measure(
    plan: LoadPlan, *, server_ids: Sequence[int], database_id: int | None = None
) -> Measured:
    """Runs a plan against one or several servers, by process id. Raises DATABASE_UNAVAILABLE when
    the generator fails.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "timebank.bench.generator"),
        cwd=ROOT,
        env=ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        limit=LINE_BYTES_MAX,
    )
    try:
        async with asyncio.timeout(plan.seconds + 2 * GRACE_S):
            await _exchange(process, plan.to_json(), READY)
            before = usage_of(*server_ids), usage_of(database_id)
            load = LoadResult.from_json(await _exchange(process, ""))
            after = usage_of(*server_ids), usage_of(database_id)
    except TimeoutError as error:
        text = f"bench: expected the load {plan.workload} to end, waited {GRACE_S} s more"
        raise TimebankError(Reason.DEADLINE_PASSED, text) from error
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
    return _measured(load, before, after)


async def _exchange(process: subprocess.Process, line: str, expected: str | None = None) -> str:
    """Writes a line to the generator and reads one."""
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdin.write(f"{line}\n".encode())
    await process.stdin.drain()
    answer = (await process.stdout.readline()).decode().strip()
    if not answer or (expected is not None and answer != expected):
        trouble = (await process.stderr.read()).decode(errors="replace").strip()
        text = f"bench: the load generator failed: {answer or trouble or 'it said nothing'}"
        raise TimebankError(Reason.DATABASE_UNAVAILABLE, text)
    return answer


def _measured(
    load: LoadResult,
    before: tuple[Usage | None, Usage | None],
    after: tuple[Usage | None, Usage | None],
) -> Measured:
    return Measured(
        load=load,
        server_cpu=share(before[0], after[0], load.elapsed_s),
        generator_cpu=load.cpu_s / load.elapsed_s if load.elapsed_s else 0.0,
        database_cpu=share(before[1], after[1], load.elapsed_s),
        server_memory_bytes=after[0].memory_bytes if after[0] else None,
    )
