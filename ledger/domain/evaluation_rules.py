"""Rules of evaluations 评价: nobody evaluates themselves or each other, once a quarter for each
rater and role; duplicates are one person.
"""

from __future__ import annotations

from collections.abc import Iterator

from ledger.domain import hours_commands as h
from ledger.domain.decisions import Decision
from ledger.domain.entry import EntryKind
from ledger.domain.facts import Evaluation, FactKind
from ledger.domain.hours_view import MEMBERS, View
from ledger.domain.register import RATERS, RATING_COUNT, RATING_ROLES, RATING_SUM
from ledger.domain.star_changes import star_decisions
from timebank.errors import Reason, TimebankError


def decide_evaluation(view: View, command: h.EvaluateMember, quarter: str) -> Iterator[Decision]:
    """Evaluates a volunteer. Raises EVALUATION_REFUSED for oneself or in return, EVALUATION_EXISTS
    for a second time in a quarter.
    """
    officers = view.who.units is not None
    member = (view.member if officers else view.any_member)(command.member_id)
    volunteer = view.persons(MEMBERS + member.member_id)
    if volunteer & view.persons(command.rater):
        raise _refused(command, "nobody evaluates themselves")
    rater, rated = person_of(view, command.rater), view.root(member.member_id).member_id
    known_of = view.state.register.known
    back = None
    if rater.startswith(MEMBERS):
        mutual = evaluation_id(rater.removeprefix(MEMBERS), command.role, MEMBERS + rated)
        back = known_of(FactKind.EVALUATION, mutual)
    if command.role == "PEER" and back is not None and _quarter(back.fact) == quarter:
        raise _refused(command, "they evaluated the rater this quarter")
    known = known_of(FactKind.EVALUATION, evaluation_id(rated, command.role, rater))
    before = known.fact if known is not None else None
    old_score = 0
    if isinstance(before, Evaluation):
        old_score = before.score
        if before.quarter == quarter:
            raise TimebankError(
                Reason.EVALUATION_EXISTS,
                f"{command.rater} evaluated {member.member_id} in {quarter} already",
                quarter=quarter,
            )
    fact = Evaluation(
        evaluation_id(rated, command.role, rater),
        rated,
        command.role,
        rater,
        command.score,
        quarter,
    )
    first = all(
        known_of(FactKind.EVALUATION, evaluation_id(rated, role, rater)) is None
        for role in RATING_ROLES
    )
    sums = ((rated, RATING_SUM, command.role), command.score - old_score)
    counts = ((rated, RATING_COUNT, command.role), 0 if old_score else 1)
    raters = ((rated, RATERS, ""), 1 if first else 0)
    tallies = tuple(item for item in (sums, counts, raters) if item[1])
    yield Decision(EntryKind.EVALUATED, facts=(fact,), tallies=tallies, memo=command.memo)
    yield from star_decisions(view, member.member_id)


def person_of(view: View, rater: str) -> str:
    """Gives who rates: of a duplicate, the member that it stands for."""
    if not rater.startswith(MEMBERS):
        return rater
    return MEMBERS + view.root(rater.removeprefix(MEMBERS)).member_id


def evaluation_id(rated: str, role: str, rater: str) -> str:
    """Names the evaluation of a volunteer by a rater in a role."""
    return f"{rated}|{role}|{rater}"


def _quarter(fact: object) -> str:
    return fact.quarter if isinstance(fact, Evaluation) else ""


def _refused(command: h.EvaluateMember, text: str) -> TimebankError:
    return TimebankError(
        Reason.EVALUATION_REFUSED, f"{text}: ask somebody else", member=command.member_id
    )
