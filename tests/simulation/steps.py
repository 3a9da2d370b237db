"""Steps of a simulation: which there are, how often each comes, and what it asks."""

import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.simulation import asked as q
from tests.simulation.reference import Reference
from tests.simulation.tellers import Teller
from tests.support.commands import (
    DAY_S,
    ISSUANCE,
    MEMBER,
    MERCHANT,
    OPENING,
    POINTS,
    START_US,
    TIME,
)

HOUR_S = 3_600
ASKING = (
    *("grant",) * 4,
    *("movement",) * 6,
    *("hold", "capture", "correction") * 4,
    *("batch",) * 3,
    *("chain", "replay") * 3,
    *("void", "opening") * 2,
    *("change", "change", "close_opening"),
)
"""Kinds of steps that ask something, each as often as it shall come."""
CLOCK_MOVES_S = (1, HOUR_S, HOUR_S, 11 * HOUR_S, 25 * HOUR_S, 3 * DAY_S, 8 * DAY_S)
FIRST_ACCOUNTS = (
    q.Open(POINTS, MEMBER, debt_limit=1_000),
    q.Open(POINTS, MEMBER, debt_limit=50),
    q.Open(POINTS, MERCHANT),
    q.Open(TIME, MEMBER, maximum=300),
    q.Open(TIME, MEMBER, minimum=-100),
    q.Open(TIME, MERCHANT),
)
LATE_ENTRIES = 80
"""Openings are closed late, or nothing more could be granted."""


@dataclass
class Steps:
    """What one simulation asked so far, and what comes next."""

    model: Reference
    asked: list[q.Request] = field(default_factory=list)
    reached: Counter[str] = field(default_factory=Counter)
    made: int = 0

    def teller(self, seed: int) -> Teller:
        """A teller of its own for each step."""
        self.made += 1
        return Teller(f"{seed}/{self.made}", self.model)

    def request(self, *commands: q.Command) -> q.Request:
        """A request with an id of its own; the last digit of the id chooses the rpc."""
        self.made += 1
        return q.Request(str(uuid.UUID(int=self.made + (1 << 100))), commands)

    def next(self, which: str, teller: Teller) -> tuple[list[q.Request], bool]:
        """Draws the requests of a step, and whether they go in one batch; none when unfit."""
        single: dict[str, Callable[[], q.Command]] = {
            "grant": teller.grant,
            "movement": teller.movement,
            "opening": teller.opening,
            "hold": teller.hold,
            "capture": teller.capture,
            "void": teller.void,
            "correction": teller.correction,
            "change": teller.change,
            "record": teller.record,
            "close_opening": q.CloseOpening,
        }
        if which == "close_opening" and len(self.model.books.log) < LATE_ENTRIES:
            return [], False
        if which in single:
            return [self.request(single[which]())], False
        if which == "chain":
            return [self.request(*teller.chain())], False
        return self._batch(teller) if which == "batch" else self._replay(teller)

    def _batch(self, teller: Teller) -> tuple[list[q.Request], bool]:
        """Chains of one batch, some of them repeated in it with the same or other content."""
        requests: list[q.Request] = []
        for number in teller.several(range(8)):
            if number < 6:
                requests.append(self.request(teller.single(number)))
            elif number == 6:
                requests.append(self.request(*teller.chain()))
            elif requests:
                requests.append(teller.choose(requests))
        if requests and teller.seldom():
            requests.append(requests[0]._replace(commands=(teller.movement(),)))
        return requests, True

    def _replay(self, teller: Teller) -> tuple[list[q.Request], bool]:
        """An earlier request again, sometimes with other content or by another method."""
        request = teller.choose(self.asked)
        if teller.choose((False, True)):
            request = request._replace(commands=(teller.movement(),))
        alone = any(isinstance(x, q.Change | q.Limits | q.CloseOpening) for x in request.commands)
        return [request], not alone and teller.choose((False, True))

    def note(self, request: q.Request, reply: q.Reply) -> None:
        """Remembers a request and counts what it reached."""
        self.asked.append(request)
        word = reply.reason or ("replayed" if reply.replayed else "accepted")
        kind = type(request.commands[0]).__name__ if len(request.commands) == 1 else "Chain"
        self.reached[f"{kind} {word}"] += 1

    def note_entries(self, since: int) -> None:
        """Counts the kinds of the entries that a step wrote."""
        log = self.model.books.log
        self.reached.update(f"entry of kind {entry.kind}" for entry in log[since:])
        accounts = self.model.books.accounts.values()
        self.reached["steps in debt"] += any(account.debt for account in accounts)


def first_grants(system: list[tuple[str, int, int]]) -> list[q.Post]:
    """Opening balances for the first accounts of members; points expire after a day."""
    sources = {(kind, unit): number for number, (_, kind, unit) in enumerate(system)}
    grants = []
    for number, opened in enumerate(FIRST_ACCOUNTS, start=len(system)):
        unit = opened.unit
        if opened.kind == MEMBER:
            expires_us = START_US + DAY_S * 1_000_000 if unit == POINTS else 0
            legs = (
                q.Leg(sources[ISSUANCE, unit], unit, -200),
                q.Leg(number, unit, 200, expires_us),
            )
            grants.append(q.Post(OPENING, legs))
    return grants
