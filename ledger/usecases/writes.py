"""Writes: hand chains of commands to the ledger's sequencer and give their outcomes."""

from collections.abc import Sequence
from typing import NamedTuple

from ledger.domain import commands as c
from ledger.domain.entry import Entry
from ledger.domain.outcomes import Outcome
from ledger.sequencer import Answer
from ledger.usecases.caller import authorities_of, who_is
from ledger.usecases.ledgers import Ledgers
from timebank.auth import Call, Principal


class Chain(NamedTuple):
    """Commands that succeed or fail together, with the caller's id for them."""

    request_id: bytes
    commands: tuple[c.Command, ...]


class Written(NamedTuple):
    """What one chain wrote, and the checkpoint that covers it."""

    entries: tuple[Entry, ...]
    replayed: bool
    answer: Answer


class Writes:
    """Carries chains of commands out."""

    def __init__(self, ledgers: Ledgers) -> None:
        self._ledgers = ledgers

    async def one(self, ledger_id: str, chain: Chain, call: Call) -> Written:
        """Carries one chain out. Raises what the book declines with."""
        answer = await self.many(ledger_id, [chain], call)
        outcome: Outcome = answer.outcomes[0]
        if outcome.error is not None:
            raise outcome.error
        return Written(outcome.entries, outcome.replayed, answer)

    async def many(self, ledger_id: str, chains: Sequence[Chain], call: Call) -> Answer:
        """Carries chains out in order, each by itself.

        Raises LEDGER_NOT_FOUND, QUEUE_FULL, DEADLINE_PASSED and what makes the whole batch fail.
        """
        principal = call.principal
        assert principal is not None, "writes are never public"
        handle = await self._ledgers.handle(ledger_id, principal)
        requests = self.requests(chains, principal, call.actor)
        return await handle.sequencer.submit(requests, deadline_s=call.deadline_s)

    @staticmethod
    def requests(chains: Sequence[Chain], principal: Principal, actor: str) -> list[c.Request]:
        """Builds requests with who asks and by which way."""
        caller = principal.name
        authorities = authorities_of(principal)
        who = who_is(principal)
        actor = "" if actor == caller else actor
        return [
            c.make_request(
                chain.commands,
                caller=caller,
                request_id=chain.request_id,
                actor=actor,
                authorities=authorities,
                who=who,
            )
            for chain in chains
        ]
