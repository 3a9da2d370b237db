"""Stars as they are read: held, judged anew, explained; concurrent questions share a look-up."""

from __future__ import annotations

import asyncio
import functools
from typing import NamedTuple

from ledger.domain.facts import FactKind, Member, Star
from ledger.domain.fold import LedgerState, Projections
from ledger.domain.hours_view import View, member_not_found, star_table_of
from ledger.domain.policy import PolicyVersion
from ledger.domain.record_posting import PENDING_POINTS
from ledger.domain.register import NotLoaded, Wants
from ledger.domain.star_changes import standing_now, touch_star
from ledger.domain.star_rules import Progress, Standing, explain, explain_zh, next_star
from ledger.domain.working_days import NO_HOLIDAYS
from ledger.leaf_facts import known_in
from ledger.store import hours_reads, reads
from ledger.store.facts import look_up, read_batch_id, take_found
from ledger.usecases.hours import may_see_member, stated_in
from ledger.usecases.ledgers import Handle, Ledgers
from ledger.usecases.lookups import SharedLookup
from timebank.auth import Principal, PrincipalKind
from timebank.database.sessions import open_read_session

ROUNDS_MAX = 6
KEPT_MAX = 100_000
"""Facts that are kept between look-ups, at most."""


class Told(NamedTuple):
    """What a standing means: the way to the next star, and the reasons."""

    progress: Progress | None
    reasons: tuple[str, ...]
    reasons_zh: tuple[str, ...]


class StarRead(NamedTuple):
    """A star with what it is judged by now."""

    member: Member
    star: Star
    version: PolicyVersion | None
    standing: Standing | None
    pending_points: int

    def told(self) -> Told:
        """Gives what the next star still needs, and the reasons in English and Chinese."""
        if self.version is None or self.standing is None:
            return Told(None, (), ())
        return _told(self.version.policy.stars_json, self.standing)


@functools.lru_cache(maxsize=8192)
def _told(stars_json: str, standing: Standing) -> Told:
    """Words a standing once: the same members are asked about again and again."""
    table = star_table_of(stars_json)
    return Told(next_star(table, standing), explain(table, standing), explain_zh(table, standing))


class Stars:
    """Reads stars."""

    def __init__(self, ledgers: Ledgers) -> None:
        self._ledgers = ledgers
        self._reader = ledgers.world.databases.reader
        self._session = open_read_session(ledgers.world.databases)
        self._session_free = asyncio.Lock()
        self._lookups: dict[int, SharedLookup[StarRead]] = {}
        self._states: dict[int, tuple[bytes, Projections]] = {}

    async def get(self, handle: Handle, member_id: str, principal: Principal) -> StarRead:
        """Reads a star. Raises MEMBER_NOT_FOUND, also for a member the caller may not see."""
        lookup = self._lookups.get(handle.ledger_no)
        if lookup is None:

            async def load(member_ids: list[str]) -> dict[str, StarRead]:
                return await self._load(handle, member_ids)

            lookup = self._lookups[handle.ledger_no] = SharedLookup(load)
        read = await lookup.find(member_id)
        if read is None or not self._may_see(principal, read.member):
            raise member_not_found(member_id)
        return read

    def _may_see(self, principal: Principal, member: Member) -> bool:
        """Credit platforms see everybody's star but a minor's, which is never exported."""
        if principal.kind is PrincipalKind.CREDIT_PLATFORM:
            return member.adult_from_us <= self._ledgers.world.clock.now_us()
        return may_see_member(principal, member)

    async def _load(self, handle: Handle, member_ids: list[str]) -> dict[str, StarRead]:
        state = await self._state(handle)
        now_us = self._ledgers.world.clock.now_us()
        view = View(state, now_us, NO_HOLIDAYS, reads_only=True)
        for _ in range(ROUNDS_MAX):
            view.wants = Wants()
            for member_id in member_ids:
                group = view.touch_group(member_id)
                touch_star(view, group)
                for member in group:
                    view.touch_tally((member.member_id, PENDING_POINTS, ""))
            if not view.wants:
                return {name: read for name in member_ids if (read := _read(view, name))}
            async with self._session_free:
                found = await self._session.run(handle.ledger_no, look_up(view.wants))
            take_found(state, view.wants, found, known_in)
        raise NotLoaded("a star wants more look-ups than there are")

    async def _state(self, handle: Handle) -> Projections:
        """Gives what earlier look-ups found, while nobody has written since."""
        async with self._session_free:
            batch_id = await self._session.run(handle.ledger_no, read_batch_id(handle.ledger_no))
        known = self._states.get(handle.ledger_no)
        if known is None or known[0] != batch_id or len(known[1].register.facts) > KEPT_MAX:
            state = Projections(LedgerState(handle.ledger_id, time_zone=handle.time_zone))
            known = self._states[handle.ledger_no] = (batch_id, state)
        return known[1]

    async def page(
        self, handle: Handle, *, after: tuple[int, str], star_min: int, limit: int
    ) -> list[tuple[Star, Member]]:
        """Lists stars, highest first, with their members and the HOURS that they have now."""
        rows = await hours_reads.list_stars(
            self._reader, handle.ledger_no, after=after, star_min=star_min, limit=limit
        )
        stars = [stated_in(FactKind.STAR, row).fact for row in rows]
        names = [row.fact_id for row in rows]
        leaves = await hours_reads.find_facts(
            self._reader, handle.ledger_no, FactKind.MEMBER, names
        )
        members = [stated_in(FactKind.MEMBER, leaf).fact for leaf in leaves.values()]
        by_id = {item.member_id: item for item in members if isinstance(item, Member)}
        hours = await self._hours_of(handle, by_id)
        return [
            (star._replace(hours_minutes=hours[star.member_id]), by_id[star.member_id])
            for star in stars
            if isinstance(star, Star) and star.member_id in by_id
        ]

    async def _hours_of(self, handle: Handle, members: dict[str, Member]) -> dict[str, int]:
        """Sums HOURS, in minutes, over members and their duplicates."""
        rows = await hours_reads.list_by_parent(
            self._reader, handle.ledger_no, FactKind.MEMBER, list(members), limit=KEPT_MAX
        )
        others = [stated_in(FactKind.MEMBER, row).fact for row in rows]
        accounts = {item.hours_account: name for name, item in members.items()}
        for other in others:
            if isinstance(other, Member):
                accounts[other.hours_account] = other.merged_into
        found = await reads.find_accounts(self._reader, handle.ledger_no, list(accounts))
        hours = dict.fromkeys(members, 0)
        for account_id, account in found.items():
            hours[accounts[account_id]] += account.posted
        return hours


def _read(view: View, member_id: str) -> StarRead | None:
    known = view.state.register.known(FactKind.MEMBER, member_id)
    if known is None or not isinstance(known.fact, Member):
        return None
    group = view.group(member_id)
    pending = view.tally(group, PENDING_POINTS, "")
    version = None
    for item in view.timeline():
        if item.from_us <= view.now_us < item.to_us:
            version = item
    if version is None:
        return StarRead(known.fact, Star(group[0].member_id), None, None, pending)
    star = view.star(group[0].member_id)
    table = star_table_of(version.policy.stars_json)
    standing = standing_now(view, table, group, star)
    return StarRead(known.fact, star, version, standing, pending)
