"""Every reason that the contract documents, and every one that the ledger's code raises, is reached
by a test.

What needs a broken environment is reached in this module; the rest by the tables of refusals.
"""

import ast
import asyncio
import pathlib
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

import grpc.aio
import pytest

import ledger.rpc.reads
import ledger.service
import ledger.usecases.ledgers
from ledger.domain.commands import CloseOpening, make_request
from tests.ledger.hours.test_refusals import TABLES as HOURS_TABLES
from tests.ledger.rpc.account_refusals import OPEN_REFUSALS
from tests.ledger.rpc.hold_refusals import HOLD_REFUSALS
from tests.ledger.rpc.movement_refusals import MOVEMENT_REFUSALS
from tests.ledger.rpc.scenes import Refusal, Scene, build_scene
from tests.ledger.rpc.sweepers import HandSweeper
from tests.ledger.rpc.test_refusals import TABLES, broken_rows
from tests.support.commands import (
    ISSUANCE,
    MERCHANT,
    OPENING,
    POINTS,
    POOL,
    REDEMPTION,
    TIME,
    later,
    leg,
    new_id,
    post,
)
from tests.support.contracts import PROTOS, ROOT
from tests.support.ledgers import SERVICE_CALLER, LedgerWorld, ledger_world, refused
from tests.support.postgres import PostgresServer
from timebank.errors import STATUS_DETAILS_KEY, Reason, TimebankError, from_rpc_error, from_status
from timebank.ledger.v1 import command_pb2, ledger_service_pb2, log_service_pb2
from timebank.local_channels import MESSAGES_AHEAD_MAX

METHODS = 31
LARGE_MEMBERS, LARGE_LOTS, LARGE_AMOUNT = 60, 63, 2**40
"""60 members with 63 lots each: their lots do not fit into one entry, those of five do."""
SERVICES = ("ledger_service.proto", "log_service.proto")
_RPC = re.compile(r"((?:  //[^\n]*\n)+)  rpc (\w+)\(")
_REASON = re.compile(r"\b[A-Z]+(?:_[A-Z]+)+\b")
_OF_COMMANDS = "those of every command"
TERMINALS = {"audit", "cli", "imports"}
"""They answer nobody over the network."""
MUST_BE_FOUND = 30
"""Far fewer reasons than this would mean that the comments or the code were not read."""


def documented() -> dict[str, set[Reason]]:
    """Reads the reasons of every rpc out of the comments of the contract."""
    return documented_in([PROTOS / "timebank/ledger/v1" / name for name in SERVICES])


def documented_in(files: Iterable[pathlib.Path]) -> dict[str, set[Reason]]:
    """Reads the reasons of every rpc of some files out of its comment."""
    found: dict[str, set[Reason]] = {}
    comments: dict[str, str] = {}
    for file in files:
        text = file.read_text()
        comments |= {method: comment for comment, method in _RPC.findall(text)}
        assert len(_RPC.findall(text)) == len(re.findall(r"^  rpc ", text, re.MULTILINE))
    for method, comment in comments.items():
        _, errors, listed = comment.partition("Errors")
        assert errors, f"{method} documents no errors"
        found[method] = {Reason(name) for name in _REASON.findall(listed)}
    for method, comment in comments.items():
        if _OF_COMMANDS in comment:
            found[method].update(*(found[other] for other in FIELDS))
    return found


def raised() -> set[Reason]:
    """Finds every reason that the code of the ledger names when it refuses."""
    found = set()
    for path in sorted((ROOT / "ledger").rglob("*.py")):
        if path.relative_to(ROOT / "ledger").parts[0].partition("_")[0] in TERMINALS:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "Reason":
                found.add(Reason[node.attr])
    return found


@dataclass
class Bench:
    """Where a test breaks the world of a call."""

    folder: pathlib.Path
    sqlite: str
    postgresql: str
    postgres: PostgresServer
    patch: pytest.MonkeyPatch

    def world(
        self, *, url: str = "", limits: Mapping[str, object] | None = None
    ) -> AbstractAsyncContextManager[LedgerWorld]:
        """Serves a ledger with settings of its own, on SQLite when no database is named."""
        return ledger_world(self.folder, url or self.sqlite, settings={"ledger": limits or {}})


@pytest.fixture
def bench(
    tmp_path: pathlib.Path,
    sqlite_url: str,
    postgres: PostgresServer,
    postgresql_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Bench:
    """A bench whose sweeper stands still."""
    monkeypatch.setattr(ledger.service, "Sweeper", HandSweeper)
    return Bench(tmp_path, sqlite_url, postgresql_url, postgres, monkeypatch)


class ByExecute(Scene):
    """A scene in which a command goes by Execute instead of its own rpc."""

    def call(self, method: str, /, **fields: Any) -> Any:
        """Calls by a chain of one command."""
        name = FIELDS.get(method)
        if name is None:
            return super().call(method, **fields)
        message = fields.pop(name, None)
        command = command_pb2.Command(**({name: message} if message is not None else {}))
        return self.carry_out(command, **fields)

    def carry_out(self, command: command_pb2.Command, **fields: Any) -> Any:
        """Carries the command out."""
        return super().call("Execute", commands=[command], **fields)


class ByBatchExecute(ByExecute):
    """A scene in which a command goes by BatchExecute, whose item is refused."""

    async def carry_out(self, command: command_pb2.Command, **fields: Any) -> Any:
        """Carries the command out and raises what its item says."""
        request_id = fields.pop("request_id", new_id())
        item = command_pb2.BatchItem(request_id=request_id, commands=[command])
        [result] = (await Scene.call(self, "BatchExecute", items=[item], **fields)).results
        if result.HasField("error"):
            code = from_status(result.error).code
            details = (STATUS_DETAILS_KEY, result.error.SerializeToString())
            raise grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(details))


async def signer_away(bench: Bench) -> Reason:
    """A signature is asked of a signer that is down."""
    async with bench.world() as world:
        bench.patch.setattr(ledger.usecases.ledgers, "sign_checkpoint", _no_signature)
        return await refused(world.log.GetCheckpoint(Scene(world).request("GetCheckpoint")))


async def receipt_without_signer(bench: Bench) -> Reason:
    """A receipt is asked of a signer that is down."""
    async with bench.world() as world:
        bench.patch.setattr(ledger.usecases.ledgers, "sign_checkpoint", _no_signature)
        request = log_service_pb2.GetReceiptRequest(name=f"{world.name}/entries/0")
        return await refused(world.log.GetReceipt(request))


def _no_signature(*_: object) -> str:
    raise TimebankError(Reason.SIGNER_UNAVAILABLE, "the signer does not answer")


def to_the_pool(world: LedgerWorld) -> ledger_service_pb2.PostEntryRequest:
    """A movement that would succeed."""
    pool = world.system[POOL, TIME]
    return world.post_request(post(OPENING, world.system[ISSUANCE, TIME], pool, 1, TIME))


async def queue_full(bench: Bench) -> Reason:
    """Two items come to a queue of one."""
    limits = {"queue_items_max": 1, "batch_items_max": 1}
    async with bench.world(limits=limits) as world:
        alice, shop = await world.open(balance=9), await world.open(kind=MERCHANT)
        return await refused(world.batch([[post(REDEMPTION, alice, shop, 1)]] * 2))


async def shutting_down(bench: Bench) -> Reason:
    """A movement comes when the writer has closed."""
    async with bench.world() as world:
        movement = world.post_request(
            post(OPENING, world.system[ISSUANCE, TIME], world.system[POOL, TIME], 1)
        )
        await HandSweeper.latest.ledgers.close()
        return await refused(world.stub.PostEntry(movement))


async def deadline_passed(bench: Bench) -> Reason:
    """A request's deadline passed while it waited for the batch before it."""
    async with bench.world() as world:
        handle = await HandSweeper.latest.ledgers.handle("weihai", None)
        request = make_request((CloseOpening(),), caller="operator/op", request_id=bytes(16))
        past_s = asyncio.get_running_loop().time() - 1
        with pytest.raises(TimebankError) as late:
            await handle.sequencer.submit([request], deadline_s=past_s)
        assert not (
            await world.stub.GetLedger(Scene(world).request("GetLedger", name=world.name))
        ).opening_closed
        return late.value.reason


async def slow_reader(bench: Bench) -> Reason:
    """A watcher takes no message for too long."""
    bench.patch.setattr(ledger.rpc.reads, "SLOW_READER_S", 0.05)
    async with bench.world() as world:
        for _ in range(MESSAGES_AHEAD_MAX):
            await world.open()
        watching: Any = world.calls_as(SERVICE_CALLER).WatchEntries(
            ledger_service_pb2.WatchEntriesRequest(parent=world.name)
        )
        return await refused(watching.task)


async def entry_too_large(bench: Bench) -> Reason:
    """A movement takes more lots than an entry can state."""
    async with bench.world() as world:
        shop = await world.open(kind=MERCHANT)
        members = [await world.open() for _ in range(LARGE_MEMBERS)]
        source = world.system[ISSUANCE, POINTS]
        grants = []
        for day in range(1, LARGE_LOTS + 1):
            legs = [leg(source, -LARGE_AMOUNT * len(members))]
            legs += [leg(name, LARGE_AMOUNT, expires=later(days=day)) for name in members]
            grants.append([command_pb2.PostCommand(kind=OPENING, postings=legs)])
        assert all(item.HasField("ok") for item in (await world.batch(grants)).results)
        each = LARGE_AMOUNT * LARGE_LOTS
        taken = [leg(name, -each) for name in members]
        legs = [*taken, leg(shop, each * len(members))]
        size = await world.size()
        reason = await refused(world.post(command_pb2.PostCommand(kind=REDEMPTION, postings=legs)))
        assert await world.size() == size
        half = [*taken[:5], leg(shop, each * 5)]
        await world.post(command_pb2.PostCommand(kind=REDEMPTION, postings=half))
        return reason


async def clocks_apart(bench: Bench) -> Reason:
    """The clock of the server is months from the database's."""
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        async with bench.world(limits={"clock_skew_seconds": 2}, url=bench.postgresql):
            pass
    return from_rpc_error(refusal.value).reason


async def database_away(bench: Bench) -> Reason:
    """The database is gone, for reads and for writes."""
    name = bench.postgres.create_database()
    async with bench.world(url=bench.postgres.url(name)) as world:
        movement = world.post_request(
            post(OPENING, world.system[ISSUANCE, TIME], world.system[POOL, TIME], 1)
        )
        bench.postgres.drop_database(name)
        reads = await refused(
            world.stub.GetAccount(Scene(world).request("GetAccount", name=world.system[POOL, TIME]))
        )
        assert await refused(world.stub.PostEntry(movement)) is reads
        return reads


FIELDS = {
    "PostEntry": "post",
    "CreateHold": "create_hold",
    "CaptureHold": "capture_hold",
    "VoidHold": "void_hold",
    "ReverseEntry": "reverse",
    "RefundEntry": "refund",
    "CreateAccount": "open_account",
}
"""The field of each method that a chain may have as a command."""
ALIKE = tuple(
    row
    for row in (*MOVEMENT_REFUSALS, *HOLD_REFUSALS, *OPEN_REFUSALS)
    if row.method in FIELDS and row.reason is not Reason.SCOPE_MISSING
)
EVERY_ROW = tuple(row for table in TABLES.values() for row in table)
BROKEN: dict[tuple[str, Reason], Callable[[Bench], Awaitable[Reason]]] = {
    ("GetCheckpoint", Reason.SIGNER_UNAVAILABLE): signer_away,
    ("GetReceipt", Reason.SIGNER_UNAVAILABLE): receipt_without_signer,
    ("BatchExecute", Reason.QUEUE_FULL): queue_full,
    ("PostEntry", Reason.SHUTTING_DOWN): shutting_down,
    ("CloseOpening", Reason.DEADLINE_PASSED): deadline_passed,
    ("WatchEntries", Reason.SLOW_READER): slow_reader,
    ("PostEntry", Reason.ENTRY_TOO_LARGE): entry_too_large,
    ("CreateLedger", Reason.CLOCK_SKEW): clocks_apart,
    ("GetAccount", Reason.DATABASE_UNAVAILABLE): database_away,
}
"""What breaks the world of a call, and the reason that its caller then hears."""


@pytest.mark.parametrize("method_and_reason", BROKEN, ids=lambda pair: "-".join(pair))
@pytest.mark.postgresql
async def test_a_broken_world_is_told_by_its_reason(
    bench: Bench, method_and_reason: tuple[str, Reason]
) -> None:
    assert await BROKEN[method_and_reason](bench) is method_and_reason[1]


@pytest.mark.parametrize("way", [ByExecute, ByBatchExecute])
async def test_a_command_is_refused_alike_by_its_own_rpc_and_in_a_chain(
    world: LedgerWorld, way: type[ByExecute]
) -> None:
    scene = await build_scene(world, way)
    broken = await broken_rows(scene, ALIKE)
    assert not broken, "\n".join(["", *broken])


def reached(rows: Iterable[Refusal] = EVERY_ROW) -> dict[str, set[Reason]]:
    """Gives the reasons that the tests reach, by method, with these rows in the tables."""
    found: dict[str, set[Reason]] = {"Execute": {Reason.ENTRY_TOO_LARGE}}
    for row in rows:
        found.setdefault(row.method, set()).add(row.reason)
        if row.method in FIELDS:
            # Whatever a command is refused for, a chain of it is refused for: see ALIKE.
            found["Execute"].add(row.reason)
    for method, reason in BROKEN:
        found.setdefault(method, set()).add(reason)
    return found


def test_every_documented_reason_of_every_rpc_is_reached() -> None:
    wanted, found = documented(), reached()
    assert len(wanted) == METHODS
    assert len(set().union(*wanted.values())) >= MUST_BE_FOUND
    missing = {
        method: sorted(left)
        for method, reasons in wanted.items()
        if (left := reasons - found.get(method, set()))
    }
    assert missing == {}


def test_every_reason_that_the_code_names_is_reached() -> None:
    named = raised()
    assert len(named) >= MUST_BE_FOUND
    about_hours = {row.reason for table in HOURS_TABLES.values() for row in table}
    assert sorted(named - about_hours.union(*reached().values())) == []


def test_a_reason_without_a_row_would_be_noticed() -> None:
    found = reached(row for row in EVERY_ROW if row.reason is not Reason.HOLD_RELEASED)
    assert Reason.HOLD_RELEASED in documented()["VoidHold"] - found["VoidHold"]
    assert Reason.HOLD_RELEASED in documented()["Execute"] - found["Execute"]
    assert Reason.HOLD_RELEASED in raised() - set().union(*found.values())
