"""Writers of several ledgers in one process, and what one fault may do to the others."""

import asyncio
import pathlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pytest

import ledger.service
from ledger.batch import Batch
from ledger.domain import commands as c
from ledger.domain.book import Book
from ledger.domain.outcomes import Outcome
from ledger.sequencer import Sequencer, Submission
from ledger.usecases.entries import _HeadWatch
from ledger.usecases.ledgers import Handle, Ledgers
from tests.ledger.rpc.sweepers import HandSweeper
from tests.support.commands import MEMBER, MERCHANT, POINTS, REDEMPTION, new_id, opening, post
from tests.support.keys import make_key
from tests.support.ledgers import LedgerWorld, ledger_world, refusal, refused
from timebank.auth import Principal, PrincipalKind
from timebank.database.sessions import PostgresqlSession, SqliteSession, UnknownCommit
from timebank.database.sqlite import open_writer
from timebank.errors import Reason, TimebankError
from timebank.ledger.v1 import ledger_service_pb2

ORIGINS = [f"more.example/{number}" for number in range(4)]


@asynccontextmanager
async def several(
    folder: pathlib.Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[LedgerWorld]:
    """A world whose server has the keys of more ledgers and few connections."""
    monkeypatch.setattr(ledger.service, "Sweeper", HandSweeper)
    for origin in ORIGINS:
        make_key(folder, origin)
    limits = {"database": {"connections_max": 2}}
    async with ledger_world(folder, url, settings=limits) as world:
        yield world


def others(world: LedgerWorld) -> list[Any]:
    """Requests for further ledgers."""
    return [world.creation(f"l{n}", log_origin=origin) for n, origin in enumerate(ORIGINS)]


async def test_more_ledgers_than_connections_are_created_at_once_and_swept(
    tmp_path: pathlib.Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with several(tmp_path, database_url, monkeypatch) as world:
        asked = others(world)
        made = await asyncio.gather(
            *(world.stub.CreateLedger(one) for one in [*asked, asked[0], asked[0]])
        )
        assert {one.name for one in made} == {f"ledgers/l{n}" for n in range(len(ORIGINS))}
        await world.open(balance=5)
        assert await HandSweeper.latest.sweep() == 0


async def test_an_origin_and_a_ledger_of_others_are_refused(
    world: LedgerWorld,
) -> None:
    error = await refusal(world.stub.CreateLedger(world.creation("other")))
    assert error.reason is Reason.VALIDATION_FAILED
    assert [name for name, _ in error.violations] == ["log_origin"]
    limited = Principal(PrincipalKind.OPERATOR, "b", ledgers=frozenset({"other"}))
    call = world.calls_as(limited).CreateLedger(world.creation("third"))
    assert await refused(call) is Reason.LEDGER_NOT_FOUND


async def test_a_ledger_that_fails_keeps_no_other_from_being_swept(
    tmp_path: pathlib.Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with several(tmp_path, database_url, monkeypatch) as world:
        await world.stub.CreateLedger(others(world)[0])
        swept: list[str] = []

        async def sweep(_: HandSweeper, handle: Handle) -> int:
            swept.append(handle.ledger_id)
            if handle.ledger_id == "l0":
                raise OSError("no key")
            return 3

        monkeypatch.setattr(HandSweeper, "_sweep_ledger", sweep)
        assert await HandSweeper.latest.sweep() == 3
        assert swept == ["l0", "weihai"]


async def test_one_poisoned_item_fails_alone(
    world: LedgerWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, shop = await world.open(balance=100), await world.open(kind=MERCHANT)
    execute = Book.execute

    def poisoned(book: Book, request: c.Request) -> Outcome:
        command = request.commands[0]
        if type(command) is c.Post and command.memo == "poison":
            raise RuntimeError("poisoned")
        return execute(book, request)

    monkeypatch.setattr(Book, "execute", poisoned)
    memos = ["", "poison", "", "", ""]
    answer = await world.batch([[post(REDEMPTION, alice, shop, 1, memo=memo)] for memo in memos])
    codes = [result.error.code for result in answer.results]
    assert codes == [0, grpc.StatusCode.INTERNAL.value[0], 0, 0, 0]
    assert (await world.balance(alice)).posted == 96


async def test_nothing_is_written_without_the_key_that_signs(
    world: LedgerWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = await world.size()

    def missing(*_: object) -> None:
        raise TimebankError(Reason.SIGNING_KEY_MISSING, "no key")

    with monkeypatch.context() as patch:
        patch.setattr(Ledgers, "_signer", missing)
        assert await refused(world.open()) is Reason.SIGNING_KEY_MISSING
    assert await world.size() == size
    with monkeypatch.context() as patch:
        patch.setattr("ledger.usecases.ledgers.sign_checkpoint", missing)
        assert await refused(world.open()) is Reason.SIGNER_UNAVAILABLE


async def test_a_look_up_that_fails_once_answers_and_the_next_one_works(
    world: LedgerWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = await world.open(balance=7)

    def broken(*_: object) -> None:
        raise RuntimeError("broken")

    with monkeypatch.context() as patch:
        patch.setattr("ledger.usecases.balances.load_balances", broken)
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            async with asyncio.timeout(5):
                await world.balance(alice)
        assert failed.value.code() is grpc.StatusCode.INTERNAL
    assert (await world.balance(alice)).posted == 7


async def test_a_skew_is_asked_again_before_it_is_refused(
    world: LedgerWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    skews = [2**62, 0]
    monkeypatch.setattr(Batch, "_skew_us", lambda *_: skews.pop(0))
    await world.stub.CreateAccount(opening_request(world))
    assert not skews


def opening_request(world: LedgerWorld) -> Any:
    """A request for one account."""
    return ledger_service_pb2.CreateAccountRequest(
        parent=world.name, request_id=new_id(), open_account=opening("m", POINTS, MEMBER)
    )


async def test_a_writer_that_ends_fails_the_process_and_its_callers(
    world: LedgerWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(Sequencer, "_commit", broken)
    async with asyncio.timeout(5):
        assert await refused(world.open()) is Reason.SHUTTING_DOWN
        await world.process.runtime.failed.wait()


async def test_submissions_count_commands_and_the_postings_they_may_write() -> None:
    commands = (c.Reverse(1), c.Refund(2, 1), c.Refund(2, 1))
    request = c.make_request(commands, caller="t", request_id=b"")
    made = Submission([request], asyncio.get_running_loop().create_future(), None)
    assert (made.commands, made.postings) == (3, 68)


async def test_any_warning_at_commit_makes_its_outcome_unknown() -> None:
    session = PostgresqlSession(None)  # type: ignore[arg-type]  # never opened

    class Message:
        severity_en = "WARNING"
        message = "in another language"

    class Driver:
        async def execute(self, _: str) -> None:
            session._note_warning(None, Message)

        def remove_log_listener(self, _: object) -> None:
            return

        def terminate(self) -> None:
            return

    session._driver = Driver()
    with pytest.raises(UnknownCommit, match="another language"):
        await session._commit(session._driver)


async def test_a_second_writer_of_a_file_waits_without_holding_the_loop(
    tmp_path: pathlib.Path,
) -> None:
    engine = open_writer(tmp_path / "x.db")
    first, second = SqliteSession(engine), SqliteSession(engine)

    def nothing() -> Any:
        yield from ()

    await first.run(1, nothing(), begin=True)
    waiting = asyncio.create_task(second.run(2, nothing(), begin=True, commit=True))
    await asyncio.sleep(0)
    assert not waiting.done()
    await first.run(1, nothing(), commit=True)
    await waiting
    await first.close()
    await second.close()
    engine.dispose()


async def test_a_writer_without_work_gives_its_connection_back(
    tmp_path: pathlib.Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.sequencer.IDLE_S", 0.01)
    given_back = asyncio.Event()
    release = Sequencer._step

    async def step(writer: Sequencer) -> None:
        idle = writer._is_idle
        await release(writer)
        if idle:
            given_back.set()

    monkeypatch.setattr(Sequencer, "_step", step)
    async with ledger_world(tmp_path, database_url) as world:
        async with asyncio.timeout(5):
            await given_back.wait()
        assert await world.open(balance=3)


async def test_watching_goes_on_after_a_failed_poll(
    tmp_path: pathlib.Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    look = _HeadWatch._look

    async def flaky(watch: _HeadWatch) -> None:
        nonlocal looks
        looks += 1
        if looks == 1:
            raise RuntimeError("broken")
        await look(watch)

    monkeypatch.setattr(_HeadWatch, "_look", flaky)
    async with several(tmp_path, database_url, monkeypatch):
        ledgers = HandSweeper.latest.ledgers
        watch = _HeadWatch(ledgers, await ledgers.handle("weihai", None))
        async with watch:
            assert await watch.grew_beyond(0, 5)


async def test_a_batch_of_more_commands_than_one_transaction_takes_is_refused(
    world: LedgerWorld,
) -> None:
    movement = post(REDEMPTION, "ledgers/weihai/accounts/a", "ledgers/weihai/accounts/b", 1)
    chains = [[movement, movement]] * 4_001
    assert await refused(world.batch(chains)) is Reason.BATCH_TOO_LARGE
