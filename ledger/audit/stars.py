"""Judging every star again: what the log adds up to must give the star that it granted.

A star is right when one of the policies in force since it was judged gives it for the hours, points
and quality of now; above that it may be only while it is under review or was kept by one. Stars of
a calendar year's hours depend on the day of the audit and are not judged.
"""

from __future__ import annotations

from collections.abc import Sequence

from ledger.domain.evaluation import quality_of
from ledger.domain.facts import FactKind, Member, MemberState, PolicyRow, Star
from ledger.domain.fold import Projections
from ledger.domain.hours_view import policy_of, star_table_of
from ledger.domain.register import RATERS, RATING_COUNT, RATING_SUM
from ledger.domain.star_changes import by_raters
from ledger.domain.star_rules import Standing, earned_star
from ledger.domain.star_tables import Role, Scope, StarTable
from timebank.audits import Said, differs

_UNJUDGED = frozenset({MemberState.MERGED, MemberState.EXPORTED, MemberState.DECEASED})


def check_stars(state: Projections) -> int:
    """Judges the star of every member and counts them. Raises DifferenceFound."""
    policies = [fact for fact in state.kept_facts.values() if isinstance(fact, PolicyRow)]
    if not policies:
        return 0
    tables = {row.version: star_table_of(policy_of(row.text).stars_json) for row in policies}
    versions = list(tables)
    groups: dict[str, list[Member]] = {}
    for fact in state.kept_facts.values():
        if isinstance(fact, Member):
            groups.setdefault(fact.merged_into or fact.member_id, []).append(fact)
    earned = _earned(state)
    for root_id, group in groups.items():
        root = state.kept_facts.get((FactKind.MEMBER, root_id))
        if isinstance(root, Member) and root.state not in _UNJUDGED:
            _check(state, root, group, earned, tables, versions)
    return len(groups)


def _earned(state: Projections) -> dict[int, int]:
    earned: dict[int, int] = {}
    for (account_no, _), amount in state.earned.items():
        earned[account_no] = earned.get(account_no, 0) + amount
    return earned


def _check(
    state: Projections,
    root: Member,
    group: Sequence[Member],
    earned: dict[int, int],
    tables: dict[str, StarTable],
    versions: Sequence[str],
) -> None:
    fact = state.kept_facts.get((FactKind.STAR, root.member_id))
    star = fact if isinstance(fact, Star) else Star(root.member_id)
    if root.state is MemberState.SUSPENDED:
        return
    since = versions.index(star.policy_version) if star.policy_version in versions else 0
    given = []
    for version in versions[since:]:
        table = tables[version]
        if table.scope is Scope.YEAR:
            return
        given.append(earned_star(table, _standing(state, table, group, star, earned)))
    above = star.under_review or star.kept
    if any(star.star == number or (above and star.star > number) for number in given):
        return
    raise differs(
        "stars",
        {"member_id": root.member_id},
        "star",
        expected=Said(f"{given[-1]}, by hours, points and quality"),
        got=star.star,
    )


def _standing(
    state: Projections,
    table: StarTable,
    group: Sequence[Member],
    star: Star,
    earned: dict[int, int],
) -> Standing:
    hours = sum(state.accounts[member.hours_account].posted for member in group)
    points = sum(earned.get(state.accounts[member.points_account].no, 0) for member in group)
    sums = {
        role.value: (
            _tally(state, group, RATING_COUNT, role.value),
            _tally(state, group, RATING_SUM, role.value),
        )
        for role in Role
    }
    raters = _tally(state, group, RATERS, "")
    quality = by_raters(table, quality_of(table, sums), raters)
    return Standing(
        max(hours, 0),
        max(points, 0),
        quality if quality.shown else None,
        selected=star.selected,
        held=star.star,
    )


def _tally(state: Projections, group: Sequence[Member], name: str, period: str) -> int:
    return sum(state.tally_changes.get((member.member_id, name, period), 0) for member in group)
