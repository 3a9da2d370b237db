"""Which rule decides which request about members, records, policies, stars and certificates."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ledger.domain import evaluation_rules, member_rules, policy_rules, record_rules, time_gifts
from ledger.domain import hours_commands as h
from ledger.domain.calendar import from_us, zone_of
from ledger.domain.certificate_rules import decide_issue, decide_revoke
from ledger.domain.decisions import Decision
from ledger.domain.hours_view import MEMBERS, View
from ledger.domain.record_posting import decide_post_due, decide_reapply, decide_void
from ledger.domain.star_changes import decide_close_review, decide_select


def decide(view: View, command: h.HoursCommand, new_id: Callable[[], str]) -> Iterator[Decision]:
    """Gives the entries that a request makes, one after the other: each sees what the one before
    did. Whatever refuses, refuses before the first.
    """
    match command:
        case h.SubmitRecord():
            yield from record_rules.decide_submit(view, command)
        case h.VerifyRecord():
            yield from record_rules.decide_verify(view, command)
        case h.DisputeRecord():
            yield record_rules.decide_dispute(view, command)
        case h.ResolveDispute():
            yield from record_rules.decide_resolve(view, command)
        case h.ResolveSpotCheck():
            yield from record_rules.decide_spot_check(view, command)
        case h.VoidRecord():
            record = record_rules.visible_record(view, command.record_id)
            record_rules.check_other_person(view, record, command.by)
            yield from decide_void(view, record, command.memo)
        case h.PostDue():
            yield from decide_post_due(view, command)
        case h.ReapplyPolicy():
            yield from decide_reapply(view, command)
        case h.AdoptPolicy():
            yield policy_rules.decide_adopt(view, command)
        case h.IssueCertificate():
            yield decide_issue(view, command)
        case h.RevokeCertificate():
            yield decide_revoke(view, command)
        case _:
            for decision in _decide_member(view, command, new_id):
                yield _caused(decision, command)


def _caused(decision: Decision, command: h.HoursCommand) -> Decision:
    """Names the member as the cause of what has a text, so that it goes when they are erased."""
    if not decision.memo or decision.cause:
        return decision
    member_id = getattr(command, "member_id", "")
    return decision._replace(cause=MEMBERS + member_id) if member_id else decision


def _decide_member(
    view: View, command: h.HoursCommand, new_id: Callable[[], str]
) -> Iterator[Decision]:
    match command:
        case h.RegisterMember():
            yield from member_rules.decide_register(view, command, new_id)
        case h.ChangeMember():
            yield from member_rules.decide_change(view, command)
        case h.SetMemberState():
            yield from member_rules.decide_state(view, command)
        case h.ComeOfAge():
            yield from member_rules.decide_come_of_age(view, command)
        case h.MergeMember():
            yield from member_rules.decide_merge(view, command)
        case h.UnmergeMember():
            yield from member_rules.decide_unmerge(view, command)
        case h.LinkFamily():
            yield member_rules.decide_family(view, command)
        case h.ReportNoShow():
            yield from member_rules.decide_no_show(view, command)
        case h.EvaluateMember():
            yield from evaluation_rules.decide_evaluation(view, command, quarter_of(view))
        case h.RecordDeath():
            yield from member_rules.decide_death(view, command)
        case h.ExportMember():
            yield member_rules.decide_export(view, command)
        case h.TransferTime():
            yield time_gifts.decide_transfer(view, command)
        case h.CloseReview():
            yield decide_close_review(view, command.member_id, keep=command.keep, memo=command.memo)
        case h.SelectStar():
            yield from decide_select(view, command.member_id, command.memo)
        case h.GrantTime():
            yield time_gifts.decide_grant(view, command)
        case _:
            raise TypeError(f"no rule for {type(command).__name__}")


def quarter_of(view: View) -> str:
    """Gives the quarter of now, e.g. `2026Q1`."""
    day = from_us(view.now_us).astimezone(zone_of(view.zone)).date()
    return f"{day.year}Q{(day.month + 2) // 3}"
