"""Running `timebank audit` and `timebank import` as a person would, where this version has them.

Owns: finding out whether a command exists, and what its exit code means.
"""

import asyncio
from functools import cache
from pathlib import Path

from timebank.bench.processes import run_to_end

AUDIT = ("audit",)
FOUND = 0


async def audit(config: Path, ledger: str, log: Path) -> bool | None:
    """Says whether a ledger passes its audit; None when there is no such command."""
    if not await asyncio.to_thread(command_exists, *AUDIT):
        return None
    arguments = [*AUDIT, "--config", str(config), "--ledger", ledger]
    code, _ = await asyncio.to_thread(run_to_end, "timebank", arguments, log)
    return code == FOUND


async def timed(arguments: list[str], log: Path) -> tuple[bool, float]:
    """Runs a command of `timebank`; says whether it succeeded, and the time it took in seconds."""
    code, elapsed_s = await asyncio.to_thread(run_to_end, "timebank", arguments, log)
    return code == FOUND, elapsed_s


@cache
def command_exists(*command: str) -> bool:
    """Says whether `timebank COMMAND` exists."""
    code, _ = run_to_end("timebank", [*command, "--help"], Path("/dev/null"))
    return code == FOUND
