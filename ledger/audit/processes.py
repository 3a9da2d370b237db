"""A second process that checks the log while this one rebuilds the projections.

Owns the process, and what crosses its pipe: progress, then the facts of the log, a difference, or a
refusal. Rules: it reads only what never changes (entries and tiles below the head), so that it may
see a later state of a database that cannot share a snapshot; it ends with its parent.
"""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import signal
from multiprocessing.connection import Connection
from typing import NamedTuple

from ledger.audit.logs import Advance, LogFacts, LogTask, check_log
from timebank.audits import Difference, DifferenceFound
from timebank.config import DatabaseConfig
from timebank.database.snapshots import reading_snapshot
from timebank.errors import Reason, TimebankError

_JOIN_SECONDS = 5


class Refused(NamedTuple):
    """A TimebankError, in a form that crosses a pipe."""

    reason: str
    message: str


class LogProcess:
    """A process that checks one log; `result` waits for it."""

    def __init__(self, database: DatabaseConfig, snapshot_name: str, task: LogTask) -> None:
        context = multiprocessing.get_context("spawn")
        self._messages, sender = context.Pipe(duplex=False)
        self._process = context.Process(
            target=_check, args=(sender, database, snapshot_name, task), daemon=True
        )
        self._process.start()
        sender.close()
        self._facts: LogFacts | None = None

    def poll(self, advance: Advance) -> None:
        """Takes what has come so far. Raises DifferenceFound and what the process refused."""
        while self._facts is None and self._messages.poll():
            self._take(advance)

    def result(self, advance: Advance) -> LogFacts:
        """Waits for the facts of the log. Raises DifferenceFound and what the process refused."""
        while self._facts is None:
            self._take(advance)
        return self._facts

    def close(self) -> None:
        """Ends the process if it still runs."""
        self._process.terminate()
        self._process.join(_JOIN_SECONDS)
        self._messages.close()

    def _take(self, advance: Advance) -> None:
        try:
            message = self._messages.recv()
        except EOFError as error:
            self._process.join(_JOIN_SECONDS)
            raise RuntimeError(
                f"the process that checks the log ended with code {self._process.exitcode}"
            ) from error
        if isinstance(message, int):
            advance(message)
        elif isinstance(message, Difference):
            raise DifferenceFound(message)
        elif isinstance(message, Refused):
            raise TimebankError(Reason(message.reason), message.message)
        else:
            self._facts = message


def _check(sender: Connection, database: DatabaseConfig, name: str, task: LogTask) -> None:
    """Runs in the process: checks the log and tells what it found."""
    # Ctrl-C reaches both processes; the parent says the one line and ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.disable()
    try:
        sender.send(asyncio.run(_checked(sender, database, name, task)))
    except DifferenceFound as found:
        sender.send(found.difference)
    except TimebankError as error:
        sender.send(Refused(error.reason.value, error.message))
    finally:
        sender.close()


async def _checked(
    sender: Connection, database: DatabaseConfig, name: str, task: LogTask
) -> LogFacts:
    async with reading_snapshot(database, name=name) as (_, snapshot):
        return await check_log(snapshot, task, sender.send)
