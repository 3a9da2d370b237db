"""Ledgers: which there are, and the one writer of each in this process."""

import asyncio
from collections.abc import Callable
from typing import NamedTuple

import structlog

from ledger.batch import BatchLimits
from ledger.domain import commands as c
from ledger.domain.fold import LedgerState
from ledger.memory import Memory
from ledger.metrics import LedgerMetricFamilies, LedgerMetrics
from ledger.sequencer import Sequencer
from ledger.store.batches import Head
from ledger.store.ledgers import (
    LedgerRow,
    add_ledger,
    find_ledger,
    holder_of_origin,
    list_ledgers,
    next_number,
)
from timebank.auth import Principal
from timebank.clock import Clock
from timebank.database import DATABASE_ERRORS, Databases
from timebank.database.sessions import UnknownCommit, open_session
from timebank.errors import Reason, TimebankError
from timebank.signing import KeyRing, Signer
from timebank.tlog.checkpoint import Checkpoint, sign_checkpoint

_LOG = structlog.get_logger("ledger.ledgers")
ADD_ATTEMPTS = 10
"""Other processes may take a number first."""
PAGE_LEDGERS = 1_000
"""Ledgers whose keys are checked with one query."""


class World(NamedTuple):
    """What every use case is given."""

    databases: Databases
    clock: Clock
    random_bytes: Callable[[int], bytes]
    keyring: KeyRing
    limits: BatchLimits
    metrics: LedgerMetricFamilies


class Handle(NamedTuple):
    """A ledger that is open in this process."""

    ledger_no: int
    ledger_id: str
    time_zone: str
    sequencer: Sequencer
    task: asyncio.Task[None]


class Ledgers:
    """The ledgers of a database, each opened when it is first used."""

    def __init__(self, world: World, *, failed: asyncio.Event | None = None) -> None:
        self.world = world
        self._failed = failed
        self._creating = asyncio.Lock()
        self._empty: set[str] = set()
        self._handles: dict[str, Handle] = {}
        self._opening = asyncio.Lock()
        self._signers: dict[str, Signer] = {}

    async def handle(self, ledger_id: str, principal: Principal | None) -> Handle:
        """Gives an open ledger.

        Raises LEDGER_NOT_FOUND when there is none or the caller may not use it.
        """
        if principal is not None and not principal.may_use(ledger_id):
            raise not_found(ledger_id)
        handle = self._handles.get(ledger_id)
        if handle is not None and ledger_id not in self._empty:
            return handle
        row = await find_ledger(self.world.databases.reader, ledger_id)
        if row is None or not row.head.size:
            raise not_found(ledger_id)
        return await self._open(row)

    def open_handles(self) -> list[Handle]:
        """Gives the ledgers that are open in this process."""
        return list(self._handles.values())

    async def row(self, ledger_id: str, principal: Principal | None) -> LedgerRow:
        """Reads a ledger as it is now. Raises LEDGER_NOT_FOUND."""
        row = None
        if principal is None or principal.may_use(ledger_id):
            row = await find_ledger(self.world.databases.reader, ledger_id)
        if row is None or not row.head.size:
            raise not_found(ledger_id)
        return row

    async def page(self, principal: Principal, *, after: str, limit: int) -> list[LedgerRow]:
        """Lists the ledgers that the caller may use, by id."""
        rows: list[LedgerRow] = []
        while len(rows) < limit:
            page = await list_ledgers(self.world.databases.reader, after=after, limit=limit)
            rows.extend(row for row in page if principal.may_use(row.state.ledger_id))
            if len(page) < limit:
                break
            after = page[-1].state.ledger_id
        return rows[:limit]

    async def create(
        self, ledger_id: str, command: c.CreateLedger, principal: Principal, request_id: bytes
    ) -> LedgerState:
        """Makes a ledger and its first entries.

        Raises SIGNING_KEY_MISSING when this server lacks the key of its origin, LEDGER_EXISTS,
        REQUEST_ID_REUSED, LEDGER_NOT_FOUND for a ledger that is not the caller's, VALIDATION_FAILED
        for the origin of another log.
        """
        if not principal.may_use(ledger_id):
            raise not_found(ledger_id)
        async with self._creating:
            return await self._create(ledger_id, command, principal, request_id)

    async def _create(
        self, ledger_id: str, command: c.CreateLedger, principal: Principal, request_id: bytes
    ) -> LedgerState:
        holder = await holder_of_origin(self.world.databases.reader, command.log_origin)
        if holder not in (None, ledger_id):
            what = f"another ledger has {command.log_origin}; give each log its own"
            raise TimebankError(
                Reason.VALIDATION_FAILED,
                f"log_origin: {what}",
                violations=[("log_origin", what)],
                field="log_origin",
            )
        row = await find_ledger(self.world.databases.reader, ledger_id)
        if row is None:
            signer = self.world.keyring.signer(command.log_origin)
            row = await self._add(ledger_id, command.log_origin)
        elif row.state.verifier_keys:
            signer = self._signer(row.state.log_origin, row.state.verifier_keys[0])
        else:
            signer = self.world.keyring.signer(command.log_origin)
        if not row.head.size:
            self._empty.add(ledger_id)
        handle = self._handles.get(ledger_id) or await self._open(row)
        request = c.make_request(
            (command._replace(verifier_key=signer.vkey),),
            caller=principal.name,
            request_id=request_id,
        )
        try:
            answer = await handle.sequencer.submit([request])
            if answer.outcomes[0].error is not None:
                raise answer.outcomes[0].error
        except BaseException:
            if ledger_id in self._empty:
                self._empty.discard(ledger_id)
                del self._handles[ledger_id]
                await handle.sequencer.close()
            raise
        self._empty.discard(ledger_id)
        state = (await self.row(ledger_id, None)).state
        self._handles[ledger_id] = handle._replace(time_zone=state.time_zone)
        return state

    async def _add(self, ledger_id: str, log_origin: str) -> LedgerRow:
        reader = self.world.databases.reader
        session = open_session(self.world.databases)
        state = LedgerState(ledger_id, log_origin=log_origin)
        for attempt in range(ADD_ATTEMPTS):
            number = await next_number(reader)
            try:
                await session.run(number, add_ledger(state), begin=True, commit=True)
            except UnknownCommit as error:
                _LOG.warning("commit outcome unknown", ledger=ledger_id, cause=str(error))
            except DATABASE_ERRORS:
                # Another process took the number or the id; a mistake of ours fails every time.
                if attempt == ADD_ATTEMPTS - 1:
                    raise
            finally:
                await session.close()
            row = await find_ledger(reader, ledger_id)
            if row is not None:
                return row
        raise TimebankError(
            Reason.DATABASE_UNAVAILABLE, "the database did not keep the new ledger: call again"
        )

    async def _open(self, row: LedgerRow) -> Handle:
        async with self._opening:
            ledger_id = row.state.ledger_id
            handle = self._handles.get(ledger_id)
            if handle is None:
                world = self.world
                sequencer = Sequencer(
                    ledger_no=row.ledger_no,
                    session=open_session(world.databases),
                    clock=world.clock,
                    random_bytes=world.random_bytes,
                    sign=self.sign_memory,
                    check_key=self._check_signer,
                    limits=world.limits,
                    metrics=LedgerMetrics(world.metrics, ledger_id),
                )
                task = asyncio.create_task(sequencer.run(), name=f"sequencer {ledger_id}")
                task.add_done_callback(self._writer_ended)
                handle = Handle(row.ledger_no, ledger_id, row.state.time_zone, sequencer, task)
                self._handles[ledger_id] = handle
            return handle

    def _writer_ended(self, task: asyncio.Task[None]) -> None:
        """Ends the process when a writer failed: nobody would answer its callers."""
        if task.cancelled() or task.exception() is None:
            return
        _LOG.critical("writer failed", task=task.get_name(), exc_info=task.exception())
        if self._failed is not None:
            self._failed.set()

    def _check_signer(self, state: LedgerState) -> None:
        self._signer(state.log_origin, state.verifier_keys[-1])

    async def close(self) -> None:
        """Lets every writer finish what is queued."""
        for handle in self.open_handles():
            await handle.sequencer.close()

    def sign_memory(self, memory: Memory) -> str:
        """Signs the head of a memory. Raises SIGNING_KEY_MISSING, SIGNER_UNAVAILABLE."""
        return self.sign(memory.state.ledger, memory.head)

    def sign(self, state: LedgerState, head: Head) -> str:
        """Signs a committed head with the key that the log names last."""
        signer = self._signer(state.log_origin, state.verifier_keys[-1])
        return sign_checkpoint(Checkpoint(state.log_origin, head.size, head.root), signer)

    async def signer(self, ledger_id: str) -> tuple[LedgerRow, Signer]:
        """Gives a ledger as it is and the key that signs for it. Raises LEDGER_NOT_FOUND,
        SIGNING_KEY_MISSING, SIGNER_UNAVAILABLE.
        """
        row = await self.row(ledger_id, None)
        return row, self._signer(row.state.log_origin, row.state.verifier_keys[-1])

    async def check_keys(self) -> None:
        """Checks that this server has the key that signs the log of each ledger now.

        Raises SIGNING_KEY_MISSING or SIGNER_UNAVAILABLE, naming the ledger.
        """
        after = ""
        while True:
            page = await list_ledgers(self.world.databases.reader, after=after, limit=PAGE_LEDGERS)
            for row in page:
                _check_key(self, row.state)
            if len(page) < PAGE_LEDGERS:
                return
            after = page[-1].state.ledger_id

    def check_key(self, origin: str, vkey: str) -> None:
        """Refuses a key that this server does not have, with SIGNING_KEY_MISSING."""
        self._signer(origin, vkey)

    def _signer(self, origin: str, vkey: str) -> Signer:
        signer = self._signers.get(vkey)
        if signer is None:
            signer = self._signers[vkey] = self.world.keyring.signer(origin, vkey)
        return signer


def _check_key(ledgers: Ledgers, state: LedgerState) -> None:
    """Checks the key of one ledger; a missing one is told with the key that is needed."""
    vkey = state.verifier_keys[-1]
    try:
        ledgers.check_key(state.log_origin, vkey)
    except TimebankError as error:
        what = error.message
        if error.reason is Reason.SIGNING_KEY_MISSING:
            what = (
                f"its signing key {vkey} is not in the keys directory; put the key file of "
                f"{state.log_origin} back from its backup, for a new key would not fit this log"
            )
        raise TimebankError(error.reason, f"ledger {state.ledger_id}: {what}") from error


def not_found(ledger_id: str) -> TimebankError:
    """Says that a ledger does not exist, or is none of the caller's business."""
    return TimebankError(
        Reason.LEDGER_NOT_FOUND,
        f"no ledger {ledger_id}: `timebank ledger list` shows those you may use",
        ledger=ledger_id,
    )
