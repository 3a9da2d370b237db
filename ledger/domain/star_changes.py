"""What a change of hours, points or quality does to the star of a member: grants, reviews, medals.

A star is granted by an entry and never silently lowered: a correction that takes away what it
stood on opens a review, unless the policy's table lowers by itself.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

from ledger.domain.calendar import year_of
from ledger.domain.decisions import Decision
from ledger.domain.entry import EntryKind
from ledger.domain.evaluation import Quality, quality_of
from ledger.domain.facts import FactKind, Member, MemberState, Star
from ledger.domain.hours_view import View, star_table_of
from ledger.domain.policy import PolicyVersion
from ledger.domain.register import RATERS, RATING_COUNT, RATING_SUM
from ledger.domain.star_rules import Standing, earned_star, medals_of
from ledger.domain.star_tables import Role, Scope, StarTable
from timebank.errors import Reason, TimebankError


def needs_points(table: StarTable) -> bool:
    """Says whether a table looks at POINTS earned."""
    return any(level.points for level in table.levels) or any(m.points for m in table.medals)


def touch_star(view: View, group: list[Member]) -> None:
    """Wants what the star of a group of duplicates depends on."""
    timeline = view.touch_policies()
    if not group:
        return
    view.touch(FactKind.STAR, group[0].member_id)
    if not timeline:
        return
    year = str(year_of(view.now_us, view.zone))
    points = any(needs_points(star_table_of(item.policy.stars_json)) for item in timeline)
    for member in group:
        view.touch_ratings(member.member_id)
        view.touch_tally((member.member_id, "hours-year", year))
        if points:
            view.touch_earned(member.points_account)


def quality_now(view: View, table: StarTable, group: list[Member]) -> Quality:
    """Gives the quality that the ratings of a group give."""
    sums = {
        role.value: (
            view.tally(group, RATING_COUNT, role.value),
            view.tally(group, RATING_SUM, role.value),
        )
        for role in Role
    }
    return by_raters(table, quality_of(table, sums), view.tally(group, RATERS, ""))


def by_raters(table: StarTable, quality: Quality, raters: int) -> Quality:
    """Shows a quality only when enough different people rated, whatever their roles."""
    return quality._replace(raters=raters, shown=raters >= table.min_raters)


def standing_now(view: View, table: StarTable, group: list[Member], star: Star) -> Standing:
    """Gives what a star is judged by: hours and points of the table's scope, and quality."""
    year = year_of(view.now_us, view.zone)
    if table.scope is Scope.YEAR:
        hours = view.tally(group, "hours-year", str(year))
    else:
        hours = sum(view.account(member.hours_account).posted for member in group)
    points = 0
    if needs_points(table):
        for member in group:
            earned = view.state.register.earned_by(member.points_account)
            yearly = table.scope is Scope.YEAR
            points += earned.get(year, 0) if yearly else sum(earned.values())
    quality = quality_now(view, table, group)
    return Standing(
        max(hours, 0),
        max(points, 0),
        quality if quality.shown else None,
        group[0].state is MemberState.SUSPENDED,
        star.selected,
        star.star,
    )


def _latest_policy(view: View) -> PolicyVersion | None:
    found = None
    for version in view.timeline():
        if version.from_us <= view.now_us < version.to_us:
            found = version
    return found


def star_decisions(view: View, member_id: str) -> Iterator[Decision]:
    """Gives the entries that a change makes about the star of a member; often none."""
    version = _latest_policy(view)
    if version is None:
        return
    table = star_table_of(version.policy.stars_json)
    group = view.group(member_id)
    root = group[0].member_id
    held = view.star(root)
    standing = standing_now(view, table, group, held)
    if standing.suspended:
        return
    earned = earned_star(table, standing)
    medals = tuple(medal.name for medal in medals_of(table, standing))
    kept_medals = (*held.medals, *(name for name in medals if name not in held.medals))
    judged = held._replace(
        hours_minutes=standing.hours_minutes,
        points_earned=standing.points_earned,
        quality_tenths=standing.quality.tenths if standing.quality else 0,
        policy_version=version.version,
        medals=kept_medals,
    )
    if earned > held.star or (kept_medals != held.medals and earned == held.star):
        granted = judged._replace(
            star=earned, under_review=False, kept=False, granted_us=view.now_us
        )
        yield Decision(EntryKind.STAR_GRANTED, facts=(granted,), policy_version=version.version)
    elif earned < held.star and table.demote:
        lowered = judged._replace(star=earned, under_review=False, kept=False)
        yield Decision(EntryKind.STAR_LOWERED, facts=(lowered,), policy_version=version.version)
    elif earned < held.star and not held.under_review and not held.kept:
        opened = judged._replace(under_review=True)
        yield Decision(
            EntryKind.STAR_REVIEW_OPENED, facts=(opened,), policy_version=version.version
        )
    elif earned == held.star and held.under_review:
        closed = judged._replace(under_review=False)
        yield Decision(
            EntryKind.STAR_REVIEW_CLOSED, facts=(closed,), policy_version=version.version
        )


def may_change(view: View, member_id: str, hours_before: int, hours_after: int) -> bool:
    """Says whether more hours may change a star: when they reach a level's or a medal's, when the
    table looks at points or at a year, or when the star was judged by an earlier policy.
    """
    version = _latest_policy(view)
    if version is None:
        return False
    table = star_table_of(version.policy.stars_json)
    if table.scope is Scope.YEAR or needs_points(table):
        return True
    judged = view.star(view.group(member_id)[0].member_id)
    if judged.policy_version != version.version and (judged.star or len(view.timeline()) > 1):
        return True
    return any(hours_before < mark <= hours_after for mark in marks_of(table))


@functools.lru_cache(maxsize=64)
def marks_of(table: StarTable) -> tuple[int, ...]:
    """Gives the minutes at which a table's levels and medals begin."""
    hours = [level.hours for level in table.levels] + [medal.hours for medal in table.medals]
    return tuple(sorted({60 * item for item in hours} | {60 * table.min_star_hours}))


def decide_close_review(view: View, member_id: str, *, keep: bool, memo: str) -> Decision:
    """Closes a review. Raises MEMBER_NOT_FOUND, STAR_STATE when there is none."""
    member = view.member(member_id)
    group = view.group(member.member_id)
    star = view.star(group[0].member_id)
    if not star.under_review:
        raise _wrong(star, "no review is open")
    version = view.policy_at(view.now_us)
    table = star_table_of(version.policy.stars_json)
    standing = standing_now(view, table, group, star)
    number = star.star if keep else earned_star(table, standing)
    closed = star._replace(
        star=number,
        under_review=False,
        kept=keep,
        selected=star.selected and number == 5,
        hours_minutes=standing.hours_minutes,
        policy_version=version.version,
    )
    return Decision(EntryKind.STAR_REVIEW_CLOSED, facts=(closed,), memo=memo)


def decide_select(view: View, member_id: str, memo: str) -> Iterator[Decision]:
    """Selects for the fifth star. Raises MEMBER_NOT_FOUND, STAR_STATE unless the policy selects
    and four stars are held.
    """
    member = view.member(member_id)
    root = view.root(member.member_id)
    star = view.star(root.member_id)
    table = star_table_of(view.policy_at(view.now_us).policy.stars_json)
    if not table.five_by_selection:
        raise _wrong(star, "the policy in force grants the fifth star without a selection")
    if star.star != 4 or star.selected:
        raise _wrong(star, "only a member who holds four stars is selected, once")
    selected = star._replace(selected=True)
    yield Decision(EntryKind.STAR_SELECTED, facts=(selected,), memo=memo)
    yield from star_decisions(view, root.member_id)


def _wrong(star: Star, text: str) -> TimebankError:
    return TimebankError(
        Reason.STAR_STATE,
        f"member {star.member_id} holds {star.star} stars: {text}",
        member=star.member_id,
        star=star.star,
    )
