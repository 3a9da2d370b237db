"""Rules of policies: a version never applies backwards, but while the opening is not closed or as
an announced replay.
"""

from __future__ import annotations

from ledger.domain import hours_commands as h
from ledger.domain.account import NEVER_US
from ledger.domain.decisions import Decision
from ledger.domain.entry import EntryKind
from ledger.domain.facts import POLICIES, FactKind, PolicyRow
from ledger.domain.hours_view import View, policy_of, star_table_of
from ledger.domain.member_rules import invalid
from ledger.domain.service_split import day_of, policy_version


def decide_adopt(view: View, command: h.AdoptPolicy) -> Decision:
    """Adopts a version. Raises VALIDATION_FAILED for one that would apply backwards, and for a
    star table that contradicts itself.
    """
    policy = policy_of(command.text)
    star_table_of(policy.stars_json)
    ids = view.state.register.listed(FactKind.POLICY, POLICIES)
    version = f"{policy.policy_id}@{len(ids) + 1}"
    found = policy_version(version, policy, view.zone)
    today_us = day_of(view.now_us, view.zone).start_us
    backwards = found.from_us < today_us
    if backwards and view.state.ledger.opening_closed and not command.replay:
        raise invalid(
            "effective_from",
            "a policy never applies backwards: start it today or later, or adopt it as a replay",
        )
    if command.replay and not backwards:
        raise invalid("replay", "a policy that starts today or later has nothing to replay")
    to_us = 0 if found.to_us == NEVER_US else found.to_us
    row = PolicyRow(version, found.from_us, to_us, command.text, command.replay)
    return Decision(EntryKind.POLICY_ADOPTED, facts=(row,), policy_version=version)
