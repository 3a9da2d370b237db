"""Several processes on one port: a parent that serves HTTP, and workers that serve gRPC.

Owns: starting, watching and stopping the workers. Refuses: sharing memory or forking: workers are
spawned, and meet only in the database and at the port.
Rules: the parent probes the port, since workers share it silently; a worker that dies is started
again, but not for ever; a worker whose parent is gone drains and ends.
"""

import asyncio
import multiprocessing
import os
import tempfile
from collections import deque
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import TypeAlias

from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from structlog.typing import FilteringBoundLogger

from timebank.config import Config
from timebank.errors import Reason, TimebankError

METRICS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
START_SECONDS_MAX = 60
STOP_SECONDS_EXTRA = 10
RESTARTS_MAX = 5
RESTARTS_WITHIN_SECONDS = 60

Main: TypeAlias = Callable[[Config, Connection], None]
_SPAWN = multiprocessing.get_context("spawn")


class Worker:
    """One worker process; the pipe to it tells it that the parent lives, and us that it serves."""

    def __init__(self, main: Main, config: Config) -> None:
        self._pipe, theirs = _SPAWN.Pipe()
        self.process: SpawnProcess = _SPAWN.Process(target=main, args=(config, theirs))
        self.process.start()
        theirs.close()
        loop = asyncio.get_running_loop()
        self.ended = asyncio.Event()
        self.serving = asyncio.Event()
        loop.add_reader(self.process.sentinel, self._on_end)
        loop.add_reader(self._pipe.fileno(), self._on_word)

    def _on_end(self) -> None:
        asyncio.get_running_loop().remove_reader(self.process.sentinel)
        self.process.join()
        self._forget_pipe()
        self.ended.set()

    def _on_word(self) -> None:
        try:
            self._pipe.recv_bytes()
        except (EOFError, OSError):
            self._forget_pipe()
        else:
            self.serving.set()

    def _forget_pipe(self) -> None:
        if not self._pipe.closed:
            asyncio.get_running_loop().remove_reader(self._pipe.fileno())
            self._pipe.close()

    async def stop(self, *, seconds_max: float) -> None:
        """Asks the worker to drain and waits for its end, then ends it."""
        if not self.ended.is_set():
            self.process.terminate()
        try:
            async with asyncio.timeout(seconds_max):
                await self.ended.wait()
        except TimeoutError:
            self.process.kill()
            await self.ended.wait()


class Workers:
    """The workers of a parent."""

    def __init__(self, main: Main, config: Config, logger: FilteringBoundLogger) -> None:
        self._main = main
        self._config = config
        self._logger = logger
        self._workers: list[Worker] = []
        self._stopping = False
        self._ends: deque[float] = deque(maxlen=RESTARTS_MAX)
        self._metrics = tempfile.TemporaryDirectory(prefix="timebank-metrics-")
        os.putenv(METRICS_VARIABLE, self._metrics.name)

    @property
    def serving(self) -> bool:
        """True while every worker serves."""
        return all(
            worker.serving.is_set() and not worker.ended.is_set() for worker in self._workers
        )

    def registry(self) -> CollectorRegistry:
        """Gives the metrics of all workers together."""
        registry = CollectorRegistry()
        MultiProcessCollector(registry, path=self._metrics.name)  # type: ignore[no-untyped-call]  # untyped library
        return registry

    async def start(self) -> None:
        """Starts all workers and waits until they serve.

        Raises: SHUTTING_DOWN when one does not.
        """
        for _ in range(self._config.server.workers):
            self._workers.append(Worker(self._main, self._config))
        for worker in self._workers:
            ended = asyncio.ensure_future(worker.ended.wait())
            serving = asyncio.ensure_future(worker.serving.wait())
            await asyncio.wait(
                (ended, serving), timeout=START_SECONDS_MAX, return_when=asyncio.FIRST_COMPLETED
            )
            ended.cancel()
            serving.cancel()
            if not worker.serving.is_set():
                raise TimebankError(
                    Reason.SHUTTING_DOWN,
                    f"worker {worker.process.pid}: expected it to serve within "
                    f"{START_SECONDS_MAX} s, it did not; see its log",
                )

    async def watch(self) -> None:
        """Starts a worker again when it dies.

        Raises: SHUTTING_DOWN when too many died within RESTARTS_WITHIN_SECONDS.
        """
        loop = asyncio.get_running_loop()
        while not self._stopping:
            ends = [asyncio.ensure_future(worker.ended.wait()) for worker in self._workers]
            try:
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for end in ends:
                    end.cancel()
            for index, worker in enumerate(self._workers):
                if worker.ended.is_set() and not self._stopping:
                    self._note_end(worker, loop.time())
                    self._workers[index] = Worker(self._main, self._config)

    def _note_end(self, worker: Worker, now_s: float) -> None:
        process = worker.process
        self._logger.error("worker died", process=process.pid, exit_code=process.exitcode)
        mark_process_dead(process.pid, path=self._metrics.name)  # type: ignore[no-untyped-call]  # untyped library
        self._ends.append(now_s)
        if len(self._ends) == RESTARTS_MAX and now_s - self._ends[0] < RESTARTS_WITHIN_SECONDS:
            raise TimebankError(
                Reason.SHUTTING_DOWN,
                f"workers: {RESTARTS_MAX} died within {RESTARTS_WITHIN_SECONDS} s; see their log",
            )

    async def stop(self) -> None:
        """Drains all workers at once and waits for their end."""
        self._stopping = True
        seconds_max = self._config.server.drain_seconds + STOP_SECONDS_EXTRA
        await asyncio.gather(*(worker.stop(seconds_max=seconds_max) for worker in self._workers))
        self._metrics.cleanup()


async def until_parent_is_gone(parent: Connection) -> None:
    """Returns when the other end of the pipe is closed."""
    gone = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(parent.fileno(), gone.set)
    try:
        await gone.wait()
    finally:
        loop.remove_reader(parent.fileno())
