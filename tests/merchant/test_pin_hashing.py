"""PINs are hashed a few at a time: who must wait, who is refused, and what that leaves as it was.

A hash begins in its turn and ends when the test lets it.
"""

import asyncio
import os
import pathlib
import threading
import uuid
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any

import pytest
from argon2.exceptions import VerifyMismatchError

from merchant.domain.pins import TRIES_MAX
from merchant.usecases import pin_hashing
from merchant.usecases.pin_hashing import HASHES_OF_CALLER_MAX, HASHES_OF_THREAD_MAX, PinHashing
from tests.merchant.rpc.scene_sales import scene_world
from tests.merchant.rpc.test_every_reason import TAKE_PINS
from tests.merchant.shops import reason_of
from tests.merchant.till_world import LEDGER, SIGNED, TillWorld, till_world
from tests.support.cheap_pins import hash_cheaply
from tests.support.ledgers import refusal, refused
from timebank.auth import Principal, PrincipalKind
from timebank.errors import Reason, TimebankError
from timebank.interceptors import ACTOR_KEY, Watch
from timebank.merchant.v1 import redemption_pb2

PIN, NEW_PIN, WRONG_PIN = "258036", "369147", "147036"
WANG, LI = (Principal(PrincipalKind.MEMBER, word) for word in ("wang", "li"))
TIMEOUT_S = 30
"""After which a test that waits for a hash fails."""
MANY = 100
"""More hashes than any test asks for."""


class GatedHasher:
    """Stands in for Argon2id, whose answers are cheap here and held back."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        """PINs in the order in which their hashes began."""
        self.most_at_a_time = 0
        self._running = 0
        self._lock = threading.Lock()
        self._beginnings = threading.Semaphore(0)
        self._endings = threading.Semaphore(0)

    def hash(self, pin: str) -> str:
        """Gives the hash of a PIN, once it may end."""
        with self._lock:
            self.begun.append(pin)
            self._running += 1
            self.most_at_a_time = max(self.most_at_a_time, self._running)
        self._beginnings.release()
        assert self._endings.acquire(timeout=TIMEOUT_S)
        with self._lock:
            self._running -= 1
        return f"hash of {pin}"

    def verify(self, pin_hash: str, pin: str) -> bool:
        """Compares a PIN, once it may end."""
        if self.hash(pin) != pin_hash:
            raise VerifyMismatchError
        return True

    async def begins(self) -> None:
        """Returns when one more hash has begun."""
        assert await asyncio.to_thread(self._beginnings.acquire, timeout=TIMEOUT_S)

    def let_end(self, count: int = 1) -> None:
        """Lets so many hashes end, also such that have not begun."""
        self._endings.release(count)


@pytest.fixture
def hasher(monkeypatch: pytest.MonkeyPatch) -> Iterator[GatedHasher]:
    """What hashes PINs from now on."""
    gated = GatedHasher()
    monkeypatch.setattr(pin_hashing, "PasswordHasher", lambda **_: gated)
    yield gated
    gated.let_end(MANY)


@pytest.fixture
async def till(
    tmp_path: pathlib.Path, sqlite_url: str, hasher: GatedHasher
) -> AsyncIterator[TillWorld]:
    """A shop with a till, and 王阿姨 and 李叔叔 with points; she has a PIN."""
    async with till_world(tmp_path, sqlite_url) as found:
        await found.open_shop()
        for word in ("wang", "li"):
            await found.member(word, 1_000)
        hasher.let_end()
        await found.call("SetPin", name=f"{LEDGER}/members/wang", pin=PIN)
        await hasher.begins()
        yield found
        hasher.let_end(MANY)


def begun(work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
    """Runs a call beside the test."""
    return asyncio.get_running_loop().create_task(work)


async def refused_at_once(work: Coroutine[Any, Any, Any]) -> Reason:
    """Makes a call that must be refused before anything else happens, and gives the reason."""
    call = begun(work)
    await asyncio.sleep(0)
    assert call.done(), "it waits"
    return await reason_of(call)


async def queued(hashing: PinHashing, *pins: str, caller: str = "") -> "list[asyncio.Task[str]]":
    """Has PINs hashed, in this order, each for a caller of its own unless one is named."""
    made = [begun(hashing.hash(pin, caller=caller or f"caller of {pin}")) for pin in pins]
    await asyncio.sleep(0)
    return made


@pytest.mark.parametrize(("cores", "at_a_time"), [(None, 1), (1, 1), (3, 1), (4, 2)])
async def test_one_hash_runs_for_two_cores_and_the_others_wait(
    hasher: GatedHasher, monkeypatch: pytest.MonkeyPatch, cores: int | None, at_a_time: int
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    hashing = PinHashing()
    pins = [f"pin {number}" for number in range(8)]
    waiting = await queued(hashing, *pins)
    for count in range(len(pins)):
        await hasher.begins()
        assert len(hasher.begun) <= max(count + 1, at_a_time)
        if count + 1 >= at_a_time:
            hasher.let_end()
    hasher.let_end(at_a_time)
    assert await asyncio.gather(*waiting) == [f"hash of {pin}" for pin in pins]
    assert hasher.most_at_a_time == at_a_time
    await hashing.close()


async def test_hashes_begin_in_the_order_in_which_they_were_asked_for(hasher: GatedHasher) -> None:
    hashing = PinHashing(threads=1)
    waiting = await queued(hashing, "c", "a", "d", "b")
    hasher.let_end(4)
    await asyncio.gather(*waiting)
    assert hasher.begun == ["c", "a", "d", "b"]
    await hashing.close()


async def test_a_pin_matches_its_own_hash_and_no_other_text(hasher: GatedHasher) -> None:
    hashing = PinHashing()
    hasher.let_end(2)
    assert await hashing.matches(PIN, pin_hash=f"hash of {PIN}", caller="")
    assert not await hashing.matches(WRONG_PIN, pin_hash=f"hash of {PIN}", caller="")
    await hashing.close()


async def test_what_is_no_hash_matches_nothing() -> None:
    hashing = PinHashing()
    assert not await hashing.matches(PIN, pin_hash="no hash", caller="")
    await hashing.close()


async def test_a_caller_has_so_many_at_once_and_others_are_hashed_meanwhile(
    hasher: GatedHasher,
) -> None:
    hashing = PinHashing(threads=1)
    waiting = await queued(hashing, *"abcd"[:HASHES_OF_CALLER_MAX], caller="wang")
    assert await refused_at_once(hashing.hash("e", caller="wang")) is Reason.RATE_LIMITED
    assert (
        await refused_at_once(hashing.matches("f", pin_hash="", caller="wang"))
        is Reason.RATE_LIMITED
    )
    waiting += await queued(hashing, "g", caller="li")
    hasher.let_end(len(waiting))
    await asyncio.gather(*waiting)
    hasher.let_end()
    assert await hashing.hash("h", caller="wang") == "hash of h"
    assert hasher.begun == [*"abcd"[:HASHES_OF_CALLER_MAX], "g", "h"]
    await hashing.close()


async def test_beyond_what_may_wait_everybody_is_refused(hasher: GatedHasher) -> None:
    hashing = PinHashing(threads=1)
    waiting = await queued(hashing, *(f"pin {number}" for number in range(HASHES_OF_THREAD_MAX)))
    assert await refused_at_once(hashing.hash("late", caller="li")) is Reason.RATE_LIMITED
    hasher.let_end(HASHES_OF_THREAD_MAX)
    await asyncio.gather(*waiting)
    hasher.let_end()
    assert await hashing.hash("later", caller="li") == "hash of later"
    assert "late" not in hasher.begun
    await hashing.close()


async def test_who_goes_away_while_waiting_hashes_nothing_and_leaves_a_place(
    hasher: GatedHasher,
) -> None:
    hashing = PinHashing(threads=1)
    waiting = await queued(hashing, *"abcd"[:HASHES_OF_CALLER_MAX], caller="wang")
    await hasher.begins()
    waiting[1].cancel()
    await asyncio.wait([waiting[1]])
    waiting += await queued(hashing, "new", caller="wang")
    hasher.let_end(MANY)
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(answers.pop(1), asyncio.CancelledError)
    assert answers == [f"hash of {pin}" for pin in ("a", "c", "d", "new")]
    assert hasher.begun == ["a", "c", "d", "new"]
    await hashing.close()


async def test_a_deadline_that_passes_while_a_call_waits_ends_the_waiting(
    hasher: GatedHasher,
) -> None:
    hashing = PinHashing(threads=1)
    watches: list[Watch] = []

    async def call() -> str:
        watches.append(Watch())
        return await hashing.hash("late", caller="wang")

    first = await queued(hashing, "first")
    late = begun(call())
    await hasher.begins()
    watches[0].end(Reason.DEADLINE_PASSED)
    await asyncio.wait([late])
    hasher.let_end(MANY)
    await asyncio.gather(*first, *await queued(hashing, "last"))
    assert hasher.begun == ["first", "last"]
    await hashing.close()


async def test_a_hash_that_runs_counts_until_it_ends_though_nobody_waits(
    hasher: GatedHasher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pin_hashing, "HASHES_OF_CALLER_MAX", 1)
    hashing = PinHashing(threads=1)
    [gone] = await queued(hashing, "a", caller="wang")
    await hasher.begins()
    gone.cancel()
    await asyncio.wait([gone])
    assert await refused_at_once(hashing.hash("b", caller="wang")) is Reason.RATE_LIMITED
    waiting = await queued(hashing, "c", caller="li")
    hasher.let_end()
    await hasher.begins()
    waiting += await queued(hashing, "d", caller="wang")
    hasher.let_end(2)
    assert await asyncio.gather(*waiting) == ["hash of c", "hash of d"]
    assert hasher.begun == ["a", "c", "d"]
    await hashing.close()


async def test_closing_lets_a_hash_end_and_refuses_those_that_wait(hasher: GatedHasher) -> None:
    hashing = PinHashing(threads=1)
    waiting = await queued(hashing, "a", "b")
    await hasher.begins()
    closing = begun(hashing.close())
    await asyncio.sleep(0)
    assert await refused_at_once(hashing.hash("c", caller="")) is Reason.SHUTTING_DOWN
    hasher.let_end()
    first, second = await asyncio.gather(*waiting, return_exceptions=True)
    await closing
    assert first == "hash of a"
    assert isinstance(second, TimebankError)
    assert second.reason is Reason.SHUTTING_DOWN
    assert hasher.begun == ["a"]
    await hashing.close()


def hashing_threads() -> set[threading.Thread]:
    """Threads that hash PINs."""
    return {found for found in threading.enumerate() if found.name.startswith("pin-hashing")}


async def test_the_service_ends_its_threads(
    tmp_path: pathlib.Path, sqlite_url: str, hasher: GatedHasher
) -> None:
    before = hashing_threads()
    async with till_world(tmp_path, sqlite_url) as till:
        await till.member("li", 0)
        hasher.let_end()
        await till.call("SetPin", LI, name=f"{LEDGER}/members/li", pin=PIN)
        own = hashing_threads() - before
        assert len(own) == 1
    assert not own & hashing_threads()


def changing(till: TillWorld, request_id: str) -> Coroutine[Any, Any, Any]:
    """王阿姨 changes her PIN, but types the present one wrong."""
    fields: dict[str, Any] = {"pin": NEW_PIN, "present_pin": WRONG_PIN, "request_id": request_id}
    return till.call("SetPin", WANG, name=f"{LEDGER}/members/wang", **fields)


async def test_a_refused_call_counts_no_try_and_sales_go_on_meanwhile(
    till: TillWorld, hasher: GatedHasher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pin_hashing, "HASHES_OF_CALLER_MAX", 2)
    ids = {begun(changing(till, text)): text for text in (str(uuid.uuid4()) for _ in range(3))}
    [refused_one], others = await asyncio.wait(ids, return_when=asyncio.FIRST_COMPLETED)
    assert await refused(refused_one) is Reason.RATE_LIMITED
    assert (await till.redeem("li")).state == redemption_pb2.Redemption.STATE_CAPTURED
    patient = begun(till.call("SetPin", LI, name=f"{LEDGER}/members/li", pin=PIN))
    hasher.let_end(MANY)
    tries_left = {(await refusal(other)).metadata["tries_left"] for other in others}
    assert tries_left == {str(TRIES_MAX - 1), str(TRIES_MAX - 2)}
    assert (await patient).set
    # The refused call is made again, twice: now it counts, once.
    for _ in range(2):
        wrong = await refusal(changing(till, ids[refused_one]))
        assert wrong.reason is Reason.PIN_INVALID
        assert wrong.metadata["tries_left"] == str(TRIES_MAX - 3)


async def test_a_call_that_goes_away_while_it_waits_counts_no_try(
    till: TillWorld, hasher: GatedHasher, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = begun(till.call("SetPin", LI, name=f"{LEDGER}/members/li", pin=PIN))
    await hasher.begins()
    # Of two at once one is refused: then the other waits.
    monkeypatch.setattr(pin_hashing, "HASHES_OF_CALLER_MAX", 1)
    two = [begun(changing(till, str(uuid.uuid4()))) for _ in range(2)]
    _, [gone] = await asyncio.wait(two, return_when=asyncio.FIRST_COMPLETED)
    gone.cancel()
    await asyncio.wait([gone])
    hasher.let_end(MANY)
    await waits
    wrong = await refusal(changing(till, str(uuid.uuid4())))
    assert wrong.metadata["tries_left"] == str(TRIES_MAX - 1)
    assert hasher.begun == [PIN, PIN, WRONG_PIN, NEW_PIN]


async def test_a_till_that_types_too_many_pins_is_told_nothing_about_its_codes(
    till: TillWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = await till.code("wang")
    monkeypatch.setattr(pin_hashing, "HASHES_OF_CALLER_MAX", 0)
    answers = {
        str(await refusal(till.redeem("", payment_code=code, pin=pin)))
        for code in (good, "7" * 18)
        for pin in (PIN, WRONG_PIN)
    }
    assert len(answers) == 1
    assert (await till.redeem("", payment_code=good)).captured_amount == 10


async def test_a_pin_counts_for_the_end_user_that_a_service_acts_for(
    tmp_path: pathlib.Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hash_cheaply(monkeypatch)
    callers: dict[str, list[str]] = {method: [] for method in TAKE_PINS}
    async with scene_world(tmp_path, sqlite_url, with_limits=False) as scene:
        for name in ("hash", "matches"):
            real = getattr(PinHashing, name)

            def noted(self: PinHashing, pin: str, *, real: Any = real, **named: str) -> Any:
                callers[method].append(named["caller"])
                return real(self, pin, **named)

            monkeypatch.setattr(PinHashing, name, noted)
        for method, changes in TAKE_PINS.items():
            request = scene.request(method, changes)
            signed = scene.signature(method, request) if method in SIGNED else ()
            await scene.send(method, request, metadata=(*signed, (ACTOR_KEY, f"member/{method}")))
    assert callers == {method: [f"member/{method}"] for method in TAKE_PINS}
