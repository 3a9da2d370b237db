"""Members and records of the audited ledger: every kind of fact, and sums that are not 0."""

from ledger.domain import commands as c
from ledger.domain import hours_commands as h
from ledger.domain.facts import Evidence, Member, MemberState, Record
from ledger.domain.policy_text import parse_policy, policy_to_text
from tests.ledger.members import HOUR_US, POLICY, record


def first_commands() -> list[c.Command]:
    """A policy and two members."""
    return [
        h.AdoptPolicy(policy_to_text(parse_policy(POLICY))),
        h.RegisterMember(Member("wang", home_unit="huancui")),
        h.RegisterMember(Member("li", home_unit="huancui", officer="officer-li")),
        h.LinkFamily("wang", "li", "SIBLING"),
    ]


def next_commands(now_us: int) -> list[c.Command]:
    """Records in several states, a star, an evaluation, a no-show and a certificate."""
    start_us = now_us - 200 * HOUR_US
    long = [
        h.SubmitRecord(record(f"r-{day}", "wang", start_us + day * 24 * HOUR_US, hours=24), True)
        for day in range(5)
    ]
    claim: Record = record("r-claim", "li", start_us, hours=2)
    return [
        *(item._replace(publicised=True, memo="送药") for item in long),
        h.SubmitRecord(claim._replace(evidence=Evidence.C, recorder="officer-a"), memo="补录"),
        h.SubmitRecord(record("r-shown", "li", start_us + 6 * HOUR_US, hours=3), True),
        h.EvaluateMember("wang", "RESIDENT", "members/li", 5, "很好"),
        h.ReportNoShow("li", "植树", "2026-02-03"),
        h.IssueCertificate("zm-1", "wang", b"\1" * 32, ("r-0", "r-1"), 2880),
        h.SubmitRecord(
            record("r-fixed", "wang", start_us, hours=23)._replace(supersedes="r-0"),
            True,
            publicised=True,
        ),
        h.SetMemberState("li", MemberState.SUSPENDED, "核查"),
    ]
