"""A random village: members, officers and everything that they may ask of a ledger, from one seed.

Owns what is asked next, by what the village has become so far; refusals are part of it. The history
of one village is kept as it was asked, so that another writer can carry out the same again.
"""

import random
from collections.abc import Callable
from typing import Any, NamedTuple

from ledger.domain import commands as c
from ledger.domain import hours_commands as h
from ledger.domain.account import AccountKind
from ledger.domain.calendar import from_us, zone_of
from ledger.domain.entry import EntryKind
from ledger.domain.facts import (
    CertificateRow,
    Evidence,
    Fact,
    FactKey,
    Member,
    MemberState,
    PolicyRow,
    Record,
    RecordState,
    SpotCheck,
    Star,
    key_of,
)
from ledger.domain.hours_view import Who
from ledger.domain.movements import Authority
from ledger.domain.outcomes import Outcome
from ledger.domain.service_split import day_of
from tests.ledger.hours.village_policies import policy_text
from tests.support.commands import START_US, ZONE
from timebank.units import Unit

NAMES = tuple(f"m-{number}" for number in range(8))
OFFICERS = ("o-0", "o-1", "o-2", "o-3")
UNITS = ("huancui", "wendeng")
RELATIONS = ("SPOUSE", "CHILD", "SIBLING")
ROLES = ("RESIDENT", "PEER", "COMMUNITY")
MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US
WAITS_S = (0, 600, 3_600, 7_200, 20_000, 86_400, 3 * 86_400, 12 * 86_400)
LENGTHS = (20, 30, 45, 60, 90, 120, 240, 700)
SLOTS = 60
"""Half hours of the past in which services begin."""


class Given(NamedTuple):
    """One request, and what the clock said."""

    clock_us: int
    request: c.Request


class Village:
    """Asks at random and remembers what the ledger made of it."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.now_us = START_US
        self.facts: dict[FactKey, Fact] = {}
        self.merchant = ""
        self._submitted: list[h.SubmitRecord] = []
        self._asked: list[c.Request] = []
        self._numbers = 0
        self._kinds: list[Callable[[], c.Command]] = [
            *(self._submit,) * 14,
            *(self._verify,) * 4,
            *(self._correct,) * 3,
            *(self._register, self._change, self._state, self._death, self._export),
            *(self._merge, self._merge, self._unmerge, self._family, self._no_show),
            *(self._evaluate, self._evaluate, self._transfer, self._transfer, self._grant),
            *(self._again, self._dispute, self._resolve, self._void, self._check),
            *(self._issue, self._revoke, self._review, self._select, self._adopt, self._reapply),
            *(self._redeem, self._redeem),
        ]

    def first(self) -> list[c.Request]:
        """Founds the village: a policy, a shop and most of its members."""
        text = policy_text(self.chance, "2026-01-01")
        shop = c.OpenAccount("shop", Unit.POINTS, AccountKind.MERCHANT, natural_key="shop")
        members = [self._member(name) for name in NAMES[:7]]
        commands: list[c.Command] = [h.AdoptPolicy(text), shop, *map(h.RegisterMember, members)]
        return [self._request(command) for command in commands]

    def wait(self) -> None:
        """Lets time pass, often none."""
        if self.chance.random() < 0.4:
            self.now_us += self.chance.choice(WAITS_S) * 1_000_000

    def next(self) -> c.Request:
        """Asks for something; sometimes for what was asked before."""
        if self._asked and self.chance.random() < 0.04:
            return self.chance.choice(self._asked)
        request = self._request(self.chance.choice(self._kinds)())
        self._asked.append(request)
        return request

    def learn(self, outcome: Outcome) -> None:
        """Takes in what a request came to."""
        for entry in outcome.entries:
            for fact in entry.facts:
                self.facts[key_of(fact)] = fact
            if entry.account is not None and entry.account.holder == "shop":
                self.merchant = entry.account.account_id

    def _request(self, command: c.Command) -> c.Request:
        draw = self.chance.random()
        who = Who("officer/li", units=frozenset({self.chance.choice(UNITS)}))
        if draw < 0.95:
            who = Who("operator/op")
        elif draw < 0.97:
            who = Who("member/wang", member=self._name())
        return c.make_request(
            (command,),
            caller=who.caller,
            request_id=self.chance.randbytes(16),
            authorities=frozenset({Authority.POST, Authority.OPENING}),
            who=who,
        )

    def _name(self) -> str:
        """Names a member, mostly an active one."""
        active: list[str] = [item.member_id for item in self._known(Member, MemberState.ACTIVE)]
        return self.chance.choice(active if active and self.chance.random() < 0.9 else NAMES)

    def _number(self, prefix: str) -> str:
        self._numbers += 1
        return f"{prefix}-{self._numbers}"

    def _known(self, kind: type, *states: int) -> list[Any]:
        """Lists what the village knows of a kind, preferring some states to all."""
        found: list[Any] = [fact for fact in self.facts.values() if isinstance(fact, kind)]
        fitting = [fact for fact in found if not states or fact.state in states]
        return fitting if fitting and self.chance.random() < 0.85 else found

    def _record_id(self, *states: RecordState) -> str:
        known: list[Record] = self._known(Record, *states)
        return self.chance.choice(known).record_id if known else "r-none"

    def _memo(self) -> str:
        return self.chance.choice(("", "", "电话核实"))

    # Members.

    def _member(self, name: str) -> Member:
        unit = f"{self.chance.choice(UNITS)}/1dong"
        if name != NAMES[0] and self.chance.random() < 0.15:
            adult_us = self.now_us + 10 * 24 * HOUR_US
            return Member(name, MemberState.ACTIVE, unit, "", NAMES[0], True, adult_us)
        officer = self.chance.choice(("", "", "", *OFFICERS))
        return Member(name, home_unit=unit, officer=officer, key_elder=self.chance.random() < 0.3)

    def _register(self) -> c.Command:
        return h.RegisterMember(self._member(self._name()))

    def _change(self) -> c.Command:
        changes: tuple[tuple[str, str | bool | int], ...] = self.chance.choice(
            (
                (("home_unit", f"{UNITS[0]}/2dong"),),
                (("key_elder", True),),
                (("officer", self.chance.choice(OFFICERS)), ("publish_name", True)),
                (("guardian", self._name()), ("guardian_consent", True)),
            )
        )
        return h.ChangeMember(self._name(), changes)

    def _state(self) -> c.Command:
        state = self.chance.choice((MemberState.SUSPENDED, MemberState.ACTIVE))
        suspended = self._known(Member, MemberState.SUSPENDED)
        name = self.chance.choice(suspended).member_id if suspended else self._name()
        return h.SetMemberState(name, state, self._memo())

    def _death(self) -> c.Command:
        if self.chance.random() < 0.6:
            return self._family()
        return h.RecordDeath(self._name(), self.chance.choice(("", self._name())))

    def _export(self) -> c.Command:
        return (
            self._submit() if self.chance.random() < 0.6 else h.ExportMember(self._name(), "烟台")
        )

    def _merge(self) -> c.Command:
        return h.MergeMember(self._name(), self._name(), self._memo())

    def _unmerge(self) -> c.Command:
        merged = self._known(Member, MemberState.MERGED)
        return h.UnmergeMember(self.chance.choice(merged).member_id if merged else self._name())

    def _family(self) -> c.Command:
        relation, ended = self.chance.choice(RELATIONS), self.chance.random() < 0.2
        return h.LinkFamily(self._name(), self._name(), relation, ended)

    def _no_show(self) -> c.Command:
        day = from_us(self.now_us).astimezone(zone_of(ZONE)).date().isoformat()
        activity, malicious = f"a-{self.chance.randrange(9)}", self.chance.random() < 0.5
        return h.ReportNoShow(self.chance.choice(NAMES[:3]), activity, day, malicious)

    def _evaluate(self) -> c.Command:
        rater = self.chance.choice((f"members/{self._name()}", self.chance.choice(OFFICERS)))
        role, score = self.chance.choice(ROLES), self.chance.randint(1, 5)
        return h.EvaluateMember(self.chance.choice(NAMES[:4]), role, rater, score, self._memo())

    def _transfer(self) -> c.Command:
        to, minutes = self.chance.choice(("", self._name())), self.chance.choice((10, 45, 5_000))
        return h.TransferTime(self._name(), to, minutes, self._memo())

    def _grant(self) -> c.Command:
        return h.GrantTime(self._name(), self.chance.choice((30, 120, 400)))

    # Records.

    def _submit(self) -> c.Command:
        slot_us = self.now_us // (30 * MINUTE_US) * 30 * MINUTE_US
        start_us = slot_us - self.chance.randint(1, SLOTS) * 30 * MINUTE_US
        minutes = self.chance.choice(LENGTHS)
        record = Record(
            self._number("r"),
            RecordState.CLAIMED,
            self._name(),
            beneficiary=self.chance.choice(("", self._name())),
            activity="送餐",
            organizer=self.chance.choice(("community", "redcross")),
            recorder=self.chance.choice(("", *OFFICERS)),
            started_us=start_us,
            ended_us=start_us + minutes * MINUTE_US,
            minutes=minutes,
            evidence=self.chance.choice((*Evidence, Evidence.A, Evidence.C)),
            urgent=self.chance.random() < 0.2,
            group=self.chance.random() < 0.2,
            reward=self.chance.choice(("TIME", "POINTS")),
            quality_tenths=self.chance.choice((0, 0, 35)),
            bonuses=self.chance.choice(((), (), ("TEAM_LEAD",), ("REFERRAL",))),
        )
        return self._submission(self._shaped(record))

    def _shaped(self, record: Record) -> Record:
        """Makes some records unusual, and gives each class what it asks for."""
        draw = self.chance.random()
        if record.evidence is Evidence.D:
            record = record._replace(external_ids=("x-1",))
            if draw < 0.6:
                day_us = day_of(record.started_us, ZONE).start_us
                return record._replace(date_only=True, started_us=day_us, ended_us=day_us)
        if record.evidence is Evidence.C and not record.recorder:
            record = record._replace(recorder=OFFICERS[0])
        if draw < 0.1:
            record = record._replace(planned_minutes=2 * record.minutes)
        elif draw < 0.2:
            record = record._replace(planned_minutes=record.minutes, auto_closed=True)
        return record

    def _submission(self, record: Record) -> h.SubmitRecord:
        attested = self.chance.random() < 0.6
        if attested and record.evidence in (Evidence.B, Evidence.C):
            elder = f"members/{record.beneficiary}" if record.beneficiary else OFFICERS[3]
            officer = self.chance.choice(OFFICERS)
            verifier = elder if record.evidence is Evidence.B else officer
            record = record._replace(verifiers=(verifier,))
        publicised = self.chance.random() < 0.3
        command = h.SubmitRecord(record, attested, publicised, self._memo())
        content = c.fingerprint_of((command,))[:16]
        draw = self.chance.randrange(10_000)
        command = command._replace(record=record._replace(content=content), draw=draw)
        self._submitted.append(command)
        return command

    def _again(self) -> c.Command:
        """The same record once more; or another one of the same number."""
        if not self._submitted:
            return self._submit()
        command = self.chance.choice(self._submitted)
        if self.chance.random() < 0.6:
            return command._replace(draw=self.chance.randrange(10_000))
        shift_us = self.chance.choice((-30, -60, -1_440)) * MINUTE_US
        record = command.record._replace(
            started_us=command.record.started_us + shift_us,
            ended_us=command.record.ended_us + shift_us,
            content=self.chance.randbytes(16),
        )
        return command._replace(record=record)

    def _correct(self) -> c.Command:
        posted = self._known(Record, RecordState.POSTED)
        if not posted:
            return self._submit()
        old: Record = self.chance.choice(posted)
        minutes = self.chance.choice(LENGTHS)
        blank = Record(self._number("r"), RecordState.CLAIMED, old.volunteer)
        same = ("beneficiary", "activity", "organizer", "recorder", "started_us", "reward")
        record = blank._replace(
            **{name: getattr(old, name) for name in same},
            ended_us=min(old.started_us + minutes * MINUTE_US, self.now_us),
            minutes=min(minutes, (self.now_us - old.started_us) // MINUTE_US),
            evidence=self.chance.choice((Evidence.A, Evidence.A, Evidence.C)),
            supersedes=old.record_id,
        )
        return self._submission(record)

    def _verify(self) -> c.Command:
        known = self._known(Record, RecordState.CLAIMED)
        if not known:
            return self._submit()
        record: Record = self.chance.choice(known)
        verifier = self.chance.choice((*OFFICERS, f"members/{record.beneficiary or NAMES[1]}"))
        return h.VerifyRecord(record.record_id, verifier)

    def _dispute(self) -> c.Command:
        states = (RecordState.CLAIMED, RecordState.VERIFIED, RecordState.PUBLICISED)
        return h.DisputeRecord(self._record_id(*states), self._memo())

    def _resolve(self) -> c.Command:
        record_id = self._record_id(RecordState.DISPUTED)
        upheld = self.chance.random() < 0.3
        return h.ResolveDispute(record_id, self.chance.choice(OFFICERS), upheld, self._memo())

    def _void(self) -> c.Command:
        record_id = self._record_id(RecordState.POSTED, RecordState.PUBLICISED)
        return h.VoidRecord(record_id, self.chance.choice(OFFICERS), self._memo())

    def _check(self) -> c.Command:
        known = self._known(Record)
        pending = [item for item in known if item.spot_check is SpotCheck.PENDING]
        name = self.chance.choice(pending).record_id if pending else self._record_id()
        passed = self.chance.random() < 0.7
        return h.ResolveSpotCheck(name, self.chance.choice(OFFICERS), passed, self._memo())

    # Policies, stars, certificates, shopping.

    def _adopt(self) -> c.Command:
        shift = self.chance.choice((-20, -5, 0, 0, 1, 2))
        when_us = self.now_us + shift * 24 * HOUR_US
        day = from_us(when_us).astimezone(zone_of(ZONE)).date().isoformat()
        if shift < 0 and self.chance.random() < 0.2:
            return c.CloseOpening()
        return h.AdoptPolicy(policy_text(self.chance, day), shift < 0)

    def _reapply(self) -> c.Command:
        replays = [row for row in self._known(PolicyRow) if row.replays]
        version = self.chance.choice(replays).version if replays else "village@1"
        return h.ReapplyPolicy(self._record_id(RecordState.POSTED), version)

    def _issue(self) -> c.Command:
        name = self._name()
        cited = [item.record_id for item in self._known(Record) if item.volunteer == name]
        return h.IssueCertificate(self._number("zm"), name, b"\1" * 32, tuple(cited[:20]), 60)

    def _revoke(self) -> c.Command:
        known = self._known(CertificateRow)
        return h.RevokeCertificate(self.chance.choice(known).number if known else "zm-none")

    def _review(self) -> c.Command:
        known = [star for star in self._known(Star) if star.under_review]
        name = self.chance.choice(known).member_id if known else self._name()
        return h.CloseReview(name, self.chance.random() < 0.5, self._memo())

    def _select(self) -> c.Command:
        known = [star for star in self._known(Star) if star.star == 4]
        name = self.chance.choice(known).member_id if known else self._name()
        return h.SelectStar(name, self._memo())

    def _redeem(self) -> c.Command:
        members = self._known(Member)
        account = self.chance.choice(members).points_account if members else "none"
        amount = self.chance.choice((1, 2, 5))
        debit = c.PostingDraft(account, Unit.POINTS, -amount)
        credit = c.PostingDraft(self.merchant or "none", Unit.POINTS, amount)
        return c.Post(EntryKind.REDEMPTION, (debit, credit))
