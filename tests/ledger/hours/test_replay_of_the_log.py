"""The log says everything: stars, facts and sums are what anybody reckons from it, and whatever
somebody changes beside it is found.
"""

import pathlib
import random
from collections import Counter

import pytest

from ledger.domain import hours_commands as h
from ledger.domain import star_changes
from ledger.domain.entry import Entry, EntryKind
from ledger.domain.facts import (
    Evidence,
    FactKey,
    FactKind,
    Member,
    Record,
    RecordState,
    Star,
    key_of,
)
from ledger.domain.policy_text import parse_policy, policy_to_text
from ledger.store import schema
from ledger.store.hours_schema import facts, tallies
from tests.ledger.hours.scribes import TALLIES, Place, Scribe, asked, audited, entries_of, scribe_at
from tests.ledger.hours.village_policies import LEVELS
from tests.ledger.tampering import Hand, changed
from tests.support.commands import START_US
from tests.support.hours import policy

NAMES = tuple(f"m-{number}" for number in range(6))
CORRECTIONS = 200
MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US
BATCH = 7
HOURS_OF_STARS = [level["hours"] for level in LEVELS]


@pytest.fixture
async def place(tmp_path: pathlib.Path) -> Place:
    """A folder for the databases of a test."""
    found = Place(tmp_path)
    await found.make()
    return found


def submission(
    record_id: str, volunteer: str, hour: int, minutes: int, old: str = ""
) -> h.SubmitRecord:
    """A record of class A that begins so many hours before now."""
    start_us = START_US - hour * HOUR_US
    record = Record(
        record_id,
        RecordState.CLAIMED,
        volunteer,
        activity="送餐",
        organizer="community",
        started_us=start_us,
        ended_us=start_us + minutes * MINUTE_US,
        minutes=minutes,
        evidence=Evidence.A,
        supersedes=old,
        content=record_id.encode(),
    )
    return h.SubmitRecord(record, attested=True)


async def found_village(scribe: Scribe, *, demote: bool) -> None:
    """A policy with stars at a few hours, and members."""
    document = policy(stars={"levels": LEVELS, "demote": demote})
    text = policy_to_text(parse_policy(document))
    members = [h.RegisterMember(Member(name)) for name in NAMES]
    await done(scribe, [h.AdoptPolicy(text), *members])


async def done(scribe: Scribe, commands: list[h.HoursCommand]) -> list[Entry]:
    """Carries requests out in one batch; none may be refused."""
    outcomes = await scribe.write([asked(command) for command in commands])
    assert [outcome.error for outcome in outcomes if outcome.error is not None] == []
    return [entry for outcome in outcomes for entry in outcome.entries]


async def corrected_village(scribe: Scribe, seed: int) -> None:
    """Each member serves a few times; then records are corrected or voided at random."""
    chance = random.Random(seed)
    standing: dict[str, tuple[str, int]] = {}
    first: list[h.HoursCommand] = []
    for number, name in enumerate(NAMES * 6):
        record_id, hour = f"r-{number}", 2 * number + 2
        first.append(submission(record_id, name, hour, chance.randrange(10, 120)))
        standing[record_id] = (name, hour)
    await done(scribe, first)
    batch: list[h.HoursCommand] = []
    for number in range(CORRECTIONS):
        old = chance.choice(sorted(standing))
        name, hour = standing.pop(old)
        record_id = f"c-{number}"
        if chance.random() < 0.1:
            batch.append(h.VoidRecord(old, "zhao"))
            batch.append(submission(record_id, name, hour, chance.randrange(1, 120)))
        else:
            batch.append(submission(record_id, name, hour, chance.randrange(1, 120), old))
        standing[record_id] = (name, hour)
        if len(batch) >= BATCH or number == CORRECTIONS - 1:
            await done(scribe, batch)
            batch = []


def latest(entries: list[Entry]) -> dict[FactKey, object]:
    """What the log says last of each subject."""
    return {key_of(fact): fact for entry in entries for fact in entry.facts}


def stars_by_hand(entries: list[Entry]) -> dict[str, tuple[int, int]]:
    """Reckons minutes and star of each member from the records that stand, with nothing of the
    product but its facts.
    """
    minutes = Counter(dict.fromkeys(NAMES, 0))
    for fact in latest(entries).values():
        if isinstance(fact, Record) and fact.state is RecordState.POSTED:
            minutes[fact.volunteer] += fact.minutes
    return {
        name: (total, sum(total >= hours * 60 for hours in HOURS_OF_STARS))
        for name, total in minutes.items()
    }


@pytest.mark.parametrize("demote", [True, False])
@pytest.mark.parametrize("seed", [1, 2])
async def test_after_200_corrections_every_star_is_what_anybody_reckons_from_the_log(
    place: Place, seed: int, demote: bool
) -> None:
    url = place.url("ledger")
    async with scribe_at(url, seed, forgets=False) as scribe:
        await found_village(scribe, demote=demote)
        await corrected_village(scribe, seed)
    entries = await entries_of(url)
    kinds = Counter(entry.kind for entry in entries)
    assert kinds[EntryKind.RECORD_CORRECTED] >= CORRECTIONS
    said = latest(entries)
    accounts: Counter[str] = Counter()
    for entry in entries:
        for posting in entry.postings:
            accounts[posting.account_id] += posting.amount
    for name, (minutes, star) in stars_by_hand(entries).items():
        member, held = said[FactKind.MEMBER, name], said.get((FactKind.STAR, name), Star(name))
        assert isinstance(member, Member)
        assert isinstance(held, Star)
        assert accounts[member.hours_account] == minutes
        if demote:
            assert (held.star, held.under_review) == (star, False)
        else:
            assert held.star >= star
            assert held.under_review == (held.star > star)
    await audited(url)


async def test_folding_the_log_anew_gives_the_same_sums_and_facts(place: Place) -> None:
    url = place.url("ledger")
    async with scribe_at(url, 3, forgets=True) as scribe:
        await found_village(scribe, demote=False)
        await corrected_village(scribe, 3)
    entries = await entries_of(url)
    sums: Counter[tuple[str, str, str]] = Counter()
    places: dict[tuple[int, str], int] = {}
    for entry in entries:
        for key, amount in entry.tallies:
            sums[key] += amount
        for fact in entry.facts:
            kind, fact_id = key_of(fact)
            places[int(kind), fact_id] = entry.log_index
    rows = await Hand(url).run(TALLIES)
    assert {row[:3]: row[3] for row in rows} == {key: sum_ for key, sum_ in sums.items() if sum_}
    stored = await Hand(url).run("SELECT kind, fact_id, log_index FROM facts")
    assert {row[:2]: row[2] for row in stored} == places
    await audited(url)


@pytest.fixture
async def hand(place: Place) -> Hand:
    """A small ledger with a star, to be changed behind its back."""
    url = place.url("ledger")
    async with scribe_at(url, 4, forgets=False) as scribe:
        await found_village(scribe, demote=False)
        await done(scribe, [submission("r-1", NAMES[0], 9, 300)])
    await audited(url)
    return Hand(url)


async def difference_of(hand: Hand) -> tuple[str, str]:
    """Audits and gives table and column of the difference."""
    report = await hand.audit()
    assert report.difference is not None, "the audit found nothing"
    return report.difference.table, report.difference.column


async def test_a_star_row_that_says_another_star_is_found(hand: Hand) -> None:
    row = await hand.row(facts, f"WHERE kind = {FactKind.STAR:d}")
    await hand.change(facts, row, state=row["state"] + 1)
    assert await difference_of(hand) == ("facts", "state")


@pytest.mark.parametrize("column", ["parent", "state", "from_us", "until_us", "log_index"])
async def test_a_changed_record_row_is_found(hand: Hand, column: str) -> None:
    row = await hand.row(facts, f"WHERE kind = {FactKind.RECORD:d}")
    await hand.change(facts, row, **{column: changed(facts.columns[column], row[column])})
    assert await difference_of(hand) == ("facts", column)


async def test_a_changed_and_a_missing_sum_are_found(hand: Hand) -> None:
    row = await hand.row(tallies)
    await hand.change(tallies, row, amount=row["amount"] + 1)
    assert (await difference_of(hand))[0] == "tallies"
    await hand.delete(tallies, row)
    assert (await difference_of(hand))[0] == "tallies"


async def test_another_star_in_a_leaf_is_found(hand: Hand) -> None:
    row = await hand.row(schema.entries, f"WHERE kind = {EntryKind.STAR_GRANTED:d}")
    await hand.change(
        schema.entries, row, leaf=changed(schema.entries.columns["leaf"], row["leaf"])
    )
    assert (await difference_of(hand))[0] == "entries"


async def test_a_star_that_nobody_earned_is_found_though_the_log_itself_grants_it(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hashes alone cannot tell: the writer itself gave a friend one star more."""
    url = place.url("ledger")
    monkeypatch.setattr(star_changes, "earned_star", lambda *_: 5)
    async with scribe_at(url, 5, forgets=False) as scribe:
        await found_village(scribe, demote=False)
        await done(scribe, [submission("r-1", NAMES[0], 9, 300)])
    assert await difference_of(Hand(url)) == ("stars", "star")
