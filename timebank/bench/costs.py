"""What one piece of work costs that is too long for a closed loop: seconds, processors and memory.

Owns: looking at the servers before and after it. Refuses: whether it was done right.
"""

from __future__ import annotations

import time

from timebank.bench.cases import Figure
from timebank.bench.resources import Usage, forget_peak, peak_of, share, usage_of
from timebank.bench.sites import Pair
from timebank.bench.stands import Stand

MIB = 1024 * 1024


class Costs:
    """What is used from now on; memory is that of the merchant service's process."""

    def __init__(self, stand: Stand, pair: Pair) -> None:
        self._server_ids = [server.process.id for server in pair.servers]
        self._database_id = stand.database_id
        self._merchant_id = pair.merchant.process.id
        forget_peak(self._merchant_id)
        self._memory_bytes = peak_of(self._merchant_id)
        self._before = self._usage()
        self._own_s = time.process_time()
        self._start_s = time.perf_counter()

    def figure(self, name: str, database: str, rows: int) -> Figure:
        """Makes the row of so many rows worked through since, without its checks."""
        elapsed_s = time.perf_counter() - self._start_s
        own_s = time.process_time() - self._own_s
        after = self._usage()
        server_cpu, database_cpu = (
            share(*pair, elapsed_s) for pair in zip(self._before, after, strict=True)
        )
        peak_bytes = peak_of(self._merchant_id)
        told = f"{rows:,} rows in {elapsed_s:.1f} s"
        if server_cpu is not None:
            told += f", {server_cpu * elapsed_s:.1f} s of processor"
        if self._memory_bytes is not None and peak_bytes is not None:
            told += f"; memory {self._memory_bytes / MIB:.0f} MiB before"
            told += f", at most {peak_bytes / MIB:.0f} MiB"
        return Figure(
            case=name,
            database=database,
            rate_per_s=rows / elapsed_s,
            acknowledged=rows,
            server_cpu=server_cpu,
            generator_cpu=own_s / elapsed_s,
            database_cpu=database_cpu,
            server_memory_bytes=peak_bytes,
            note=told,
        )

    def _usage(self) -> tuple[Usage | None, Usage | None]:
        return usage_of(*self._server_ids), usage_of(self._database_id)
