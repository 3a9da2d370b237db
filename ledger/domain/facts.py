"""Facts about members, records, policies, stars and certificates: each the whole of its subject as
an entry leaves it.

The latest fact of a subject is what the ledger knows of it; the table of facts only says where in
the log it stands. Fields have the names and the order of the contract's messages. Times are
microseconds since 1970 UTC, amounts minutes or points.
"""

import enum
from typing import NamedTuple


class FactKind(enum.IntEnum):
    """What a fact is about; the numbers are those of the contract's oneof."""

    MEMBER = 1
    RECORD = 2
    POLICY = 3
    STAR = 4
    FAMILY_LINK = 5
    EVALUATION = 6
    NO_SHOW = 7
    CERTIFICATE = 8


class MemberState(enum.IntEnum):
    """Where a member stands."""

    ACTIVE = 1
    SUSPENDED = 2
    MERGED = 3
    EXPORTED = 4
    DECEASED = 5


class RecordState(enum.IntEnum):
    """Where a service record stands."""

    CLAIMED = 1
    VERIFIED = 2
    PUBLICISED = 3
    POSTED = 4
    CORRECTED = 5
    VOIDED = 6
    DISPUTED = 7


class SpotCheck(enum.IntEnum):
    """Where the spot check of a back-entry stands."""

    NONE = 0
    PENDING = 1
    PASSED = 2


class Evidence(enum.IntEnum):
    """How a service is attested; A is the strongest."""

    A = 1
    B = 2
    C = 3
    D = 4
    E = 5


class CertificateState(enum.IntEnum):
    """Where a certificate stands."""

    ISSUED = 1
    FLAGGED = 2
    REVOKED = 3


class Member(NamedTuple):
    """A volunteer or beneficiary; nothing in it names a person."""

    member_id: str
    state: MemberState = MemberState.ACTIVE
    home_unit: str = ""
    officer: str = ""
    guardian: str = ""
    guardian_consent: bool = False
    adult_from_us: int = 0
    merged_into: str = ""
    publish_name: bool = False
    hours_account: str = ""
    time_account: str = ""
    points_account: str = ""
    key_elder: bool = False
    state_before: MemberState | int = 0


class RecordPart(NamedTuple):
    """One part of a record within one day, quarter, year and version of the policy."""

    start_us: int
    end_us: int
    day: str
    minutes: int
    version: str
    time: int = 0
    pool_time: int = 0
    points: int = 0
    points_expire_us: int = 0


class Record(NamedTuple):
    """A service record 志愿服务记录."""

    record_id: str
    state: RecordState
    volunteer: str
    beneficiary: str = ""
    activity: str = ""
    place: str = ""
    organizer: str = ""
    recorder: str = ""
    team_lead: str = ""
    started_us: int = 0
    ended_us: int = 0
    date_only: bool = False
    break_minutes: int = 0
    planned_minutes: int = 0
    minutes: int = 0
    evidence: Evidence = Evidence.E
    quality_tenths: int = 0
    quality_failed: bool = False
    need_type: str = ""
    skill: str = ""
    urgent: bool = False
    group: bool = False
    relative: bool = False
    reward: str = ""
    verifiers: tuple[str, ...] = ()
    supersedes: str = ""
    superseded_by: str = ""
    duplicate_of: str = ""
    due_us: int = 0
    spot_check: SpotCheck = SpotCheck.NONE
    alarm: bool = False
    parts: tuple[RecordPart, ...] = ()
    time_payer: str = ""
    auto_closed: bool = False
    content: bytes = b""
    external_ids: tuple[str, ...] = ()
    bonuses: tuple[str, ...] = ()
    pending_points: int = 0
    pending_time: int = 0
    tally_count: int = 0
    disputed_by: str = ""
    credited_to: str = ""
    payer_account: str = ""


class PolicyRow(NamedTuple):
    """A version of the policy as it was adopted."""

    version: str
    from_us: int
    to_us: int = 0
    text: str = ""
    replays: bool = False


class Star(NamedTuple):
    """The star of a member, with what it was judged by."""

    member_id: str
    star: int = 0
    under_review: bool = False
    kept: bool = False
    selected: bool = False
    hours_minutes: int = 0
    points_earned: int = 0
    quality_tenths: int = 0
    policy_version: str = ""
    medals: tuple[str, ...] = ()
    granted_us: int = 0


class FamilyLink(NamedTuple):
    """A registered family link."""

    link_id: str
    relation: str
    ended: bool = False


class Evaluation(NamedTuple):
    """An evaluation of a volunteer; of one rater and role the last one counts."""

    evaluation_id: str
    volunteer: str
    role: str
    rater: str
    score: int
    quarter: str


class NoShow(NamedTuple):
    """A volunteer did not come."""

    no_show_id: str
    volunteer: str
    day: str
    malicious: bool = False


class CertificateRow(NamedTuple):
    """A certificate; its document is kept outside the log."""

    number: str
    member_id: str
    state: CertificateState
    document_sha256: bytes = b""
    record_ids: tuple[str, ...] = ()
    total_minutes: int = 0
    issued_us: int = 0


Fact = Member | Record | PolicyRow | Star | FamilyLink | Evaluation | NoShow | CertificateRow
KINDS: dict[type, FactKind] = {
    Member: FactKind.MEMBER,
    Record: FactKind.RECORD,
    PolicyRow: FactKind.POLICY,
    Star: FactKind.STAR,
    FamilyLink: FactKind.FAMILY_LINK,
    Evaluation: FactKind.EVALUATION,
    NoShow: FactKind.NO_SHOW,
    CertificateRow: FactKind.CERTIFICATE,
}
FactKey = tuple[int, str]
"""Kind and id of what a fact is about."""
TallyKey = tuple[str, str, str]
"""Subject, name and period of a running sum."""


class FactRow(NamedTuple):
    """Where the latest fact of a subject stands, and what it is found by."""

    kind: int
    fact_id: str
    parent: str
    state: int
    from_us: int
    until_us: int
    due_us: int | None
    log_index: int


POLICIES = ""
"""What policies are listed under."""
STAR_STATES = 100
"""The row of a star says this and its stars: no state of another kind is mistaken for it."""


def key_of(fact: Fact) -> FactKey:
    """Names what a fact is about."""
    return KINDS[type(fact)], fact[0]


def listed_under(kind: int, parent: str) -> str:
    """Gives what a row says its fact is listed under: each kind has lists of its own."""
    return f"{kind:d}/{parent}"


def row_of(fact: Fact, log_index: int) -> FactRow:
    """Gives the row by which a fact is found; the first field of a fact is its id."""
    row = _row_of(fact, log_index)
    return row._replace(parent=listed_under(row.kind, row.parent))


def _row_of(fact: Fact, log_index: int) -> FactRow:
    kind = KINDS[type(fact)]
    if isinstance(fact, Record):
        due_us = fact.due_us if fact.state is RecordState.PUBLICISED else None
        return FactRow(
            kind, fact.record_id, fact.volunteer, fact.state, fact.started_us, fact.ended_us,
            due_us, log_index,
        )  # fmt: skip
    if isinstance(fact, Member):
        due_us = fact.adult_from_us or None
        parent = fact.merged_into
        return FactRow(kind, fact.member_id, parent, fact.state, 0, 0, due_us, log_index)
    if isinstance(fact, Star):
        state = STAR_STATES + fact.star
        return FactRow(kind, fact.member_id, "", state, 0, 0, None, log_index)
    if isinstance(fact, PolicyRow):
        return FactRow(kind, fact.version, POLICIES, 0, fact.from_us, fact.to_us, None, log_index)
    if isinstance(fact, CertificateRow):
        issued_us = fact.issued_us
        return FactRow(kind, fact.number, fact.member_id, fact.state, issued_us, 0, None, log_index)
    parent = "" if isinstance(fact, FamilyLink) else fact.volunteer
    return FactRow(kind, fact[0], parent, 0, 0, 0, None, log_index)


def link_id(first: str, second: str) -> str:
    """Names the family link of two members, whoever is named first."""
    return "|".join(sorted((first, second)))
