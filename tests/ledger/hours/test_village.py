"""A random village carried out by a writer that keeps its memory and by one that forgets
everything before each request: no rule may depend on what happened to be in memory.
"""

import pathlib
import random
from collections.abc import Sequence

import pytest

from ledger.domain import commands as c
from ledger.domain.facts import FactKey, Member, Record, RecordState, key_of
from ledger.domain.outcomes import Outcome
from tests.ledger.hours.scribes import (
    BALANCES,
    LEAVES,
    TALLIES,
    Place,
    audited,
    entries_of,
    scribe_at,
)
from tests.ledger.hours.village import Given, Village
from tests.ledger.tampering import Hand

SEEDS = range(12)
"""More of them find more: any number is the seed of a village."""
STEPS = 120
BATCH_MAX = 12
SWEEPS = 0.1
KINDS_DONE_MIN = 20
Said = tuple[tuple[int, ...], str, bool]
"""What an outcome comes to: kinds of entries, the reason of a refusal, whether it is a replay."""


@pytest.fixture
async def place(tmp_path: pathlib.Path) -> Place:
    """A folder for the databases of a test."""
    found = Place(tmp_path)
    await found.make()
    return found


def said(outcome: Outcome) -> Said:
    """What an outcome comes to."""
    kinds = tuple(int(entry.kind) for entry in outcome.entries)
    return kinds, outcome.error.reason.value if outcome.error else "", outcome.replayed


async def live(url: str, seed: int) -> tuple[list[Given], list[Said]]:
    """A village asks, one request after the other, of a writer that forgets everything."""
    village = Village(seed)
    history: list[Given] = []
    answers: list[Said] = []
    async with scribe_at(url, seed, forgets=True) as scribe:

        async def ask(request: c.Request) -> None:
            history.append(Given(scribe.clock.now_us(), request))
            [outcome] = await scribe.write([request])
            village.learn(outcome)
            answers.append(said(outcome))

        for request in village.first():
            await ask(request)
        for _ in range(STEPS):
            village.wait()
            scribe.clock.advance(us=village.now_us - scribe.clock.now_us())
            if village.chance.random() < SWEEPS:
                for request in await scribe.due():
                    await ask(request)
            await ask(village.next())
    return history, answers


async def relive(url: str, seed: int, history: Sequence[Given], *, batch_max: int) -> list[Said]:
    """Carries the same history out, in batches, by a writer that keeps its memory."""
    sizes = random.Random(seed)
    answers: list[Said] = []
    start = 0
    async with scribe_at(url, seed, forgets=False) as scribe:
        while start < len(history):
            clock_us = history[start].clock_us
            size = sizes.randint(1, batch_max)
            taken = [item for item in history[start : start + size] if item.clock_us == clock_us]
            scribe.clock.advance(us=clock_us - scribe.clock.now_us())
            answers.extend(map(said, await scribe.write([item.request for item in taken])))
            start += len(taken)
    return answers


async def check_sums(url: str) -> None:
    """Compares what was credited in all with the records that stand."""
    facts: dict[FactKey, object] = {}
    for entry in await entries_of(url):
        facts |= {key_of(fact): fact for fact in entry.facts}
    records = [fact for fact in facts.values() if isinstance(fact, Record)]
    minutes = sum(
        part.minutes
        for record in records
        if record.state is RecordState.POSTED
        for part in record.parts
    )
    members = [fact for fact in facts.values() if isinstance(fact, Member)]
    balances = {row[0]: row[1] for row in await Hand(url).run(BALANCES)}
    assert sum(balances[member.hours_account] for member in members) == minutes
    sums: dict[str, int] = {}
    for _, name, _, amount in await Hand(url).run(TALLIES):
        sums[name] = sums.get(name, 0) + amount
    assert sums.get("hours-year", 0) == minutes
    assert sums.get("pending-points", 0) == sum(record.pending_points for record in records)


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_village_comes_out_the_same_whatever_the_writer_remembers(
    place: Place, seed: int
) -> None:
    forgetful, keeping, batched = map(place.url, ("forgetful", "keeping", "batched"))
    history, answers = await live(forgetful, seed)
    assert await relive(keeping, seed, history, batch_max=1) == answers
    assert await relive(batched, seed, history, batch_max=BATCH_MAX) == answers
    log = await Hand(forgetful).run(LEAVES)
    assert await Hand(keeping).run(LEAVES) == log
    assert await Hand(batched).run(LEAVES) == log
    assert await Hand(batched).run(BALANCES) == await Hand(forgetful).run(BALANCES)
    await check_sums(forgetful)
    for url in (forgetful, keeping, batched):
        await audited(url)


async def test_a_village_does_most_of_what_can_be_asked(place: Place) -> None:
    """The villages are worth something only as long as enough of what they ask succeeds."""
    done: set[str] = set()
    refused = 0
    for seed in SEEDS[:4]:
        history, answers = await live(place.url(f"village-{seed}"), seed)
        for given, (kinds, reason, _) in zip(history, answers, strict=True):
            if kinds:
                done.add(type(given.request.commands[0]).__name__)
            refused += bool(reason)
    assert len(done) >= KINDS_DONE_MIN, sorted(done)
    assert refused
