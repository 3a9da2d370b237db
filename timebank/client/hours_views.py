"""What the ledger answers about members, records, policies, stars and certificates.

Owns: the shape of these answers. Refuses: messages of the wire (see
`timebank.client.hours_answers`). Rules: those of `timebank.client.views`: minutes and points are
ints, times are aware and in UTC, what is absent is None.
"""

from dataclasses import dataclass, field
from datetime import datetime

from timebank.client.kinds import (
    CertificateState,
    EvidenceClass,
    MemberState,
    RecordState,
    SpotCheck,
)


@dataclass(frozen=True, slots=True)
class MemberView:
    """A member 会员; `adult_time` None: is of age."""

    name: str
    state: MemberState
    home_unit: str | None
    officer: str | None
    guardian: str | None
    guardian_consent: bool
    adult_time: datetime | None
    publish_name: bool
    key_elder: bool
    merged_into: str | None
    hours_account: str
    time_account: str
    points_account: str

    @property
    def id(self) -> str:
        """Gives the volunteer number."""
        return self.name.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class ExportView:
    """A member who moved away 迁出, and the signed statement to take along."""

    member: MemberView
    statement: str


@dataclass(frozen=True, slots=True)
class TimeGiftView:
    """TIME that was given: the entry, and the signed checkpoint that covers it."""

    entry: str
    checkpoint: str


@dataclass(frozen=True, slots=True)
class ExpiryNoticeView:
    """A notice, 30 or 7 days before, that POINTS of a member will expire 积分到期提醒."""

    number: int
    account: str
    holder: str
    points: int
    expire_time: datetime
    days: int


@dataclass(frozen=True, slots=True)
class RecordView:
    """A service record 志愿服务记录 and what it credited, in minutes and points.

    `end_time` None: only the day of `start_time` is known. `content` is None in lists.
    """

    name: str
    state: RecordState
    volunteer: str
    beneficiary: str | None
    activity: str
    place: str | None
    content: str | None
    organizer: str
    recorder: str | None
    team_lead: str | None
    start_time: datetime
    end_time: datetime | None
    date_only: bool
    break_minutes: int
    planned_minutes: int
    minutes: int
    evidence: EvidenceClass
    quality_tenths: int | None
    quality_failed: bool
    need_type: str | None
    skill: str | None
    urgent: bool
    group: bool
    relative: bool
    reward: str | None
    verifiers: tuple[str, ...]
    supersedes: str | None
    bonuses: tuple[str, ...]
    external_ids: tuple[str, ...]
    superseded_by: str | None
    duplicate_of: str | None
    publicity_end_time: datetime | None
    spot_check: SpotCheck
    alarm: bool
    hours_minutes: int
    time_minutes: int
    pool_minutes: int
    points: int
    pending_points: int
    policy_versions: tuple[str, ...]
    auto_closed: bool
    time_payer: str | None
    entry: str

    @property
    def id(self) -> str:
        """Gives the number of the record."""
        return self.name.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class SubmittedRecord:
    """A record that a batch submitted; `replayed`: it was there before with the same content."""

    record: RecordView
    replayed: bool


@dataclass(frozen=True, slots=True)
class PolicyView:
    """A version of the policy 积分政策; `end_time` None: in force until another one is."""

    name: str
    effective_time: datetime
    end_time: datetime | None
    document: str
    replays: bool

    @property
    def version(self) -> str:
        """Gives the last part of the name."""
        return self.name.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class ReplayView:
    """How far a replay is: records looked at, and those whose credits changed."""

    records: int
    corrected: int


@dataclass(frozen=True, slots=True)
class StarView:
    """The star 星级 of a member, 0 to 5, and what the next one still needs.

    `quality_tenths` None: too few raters to show it. Reasons and what is missing are told when one
    star is read, not in lists; `display_name` in lists only.
    """

    name: str
    star: int
    under_review: bool
    kept: bool
    hours_minutes: int
    points_earned: int
    quality_tenths: int | None
    missing_minutes: int
    missing_points: int
    reasons: tuple[str, ...]
    reasons_zh: tuple[str, ...]
    medals: tuple[str, ...]
    policy_version: str | None
    display_name: str | None
    pending_points: int

    @property
    def member_id(self) -> str:
        """Gives the volunteer number."""
        return self.name.removesuffix("/star").rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class CertificateView:
    """A certificate 志愿服务证明; `document` and `compact` are None in lists.

    `pdf` is None unless asked for. `repr` leaves these out, for they hold personal data.
    """

    name: str
    state: CertificateState
    member: str
    total_minutes: int
    issue_time: datetime
    document: str | None = field(repr=False)
    compact: str | None = field(repr=False)
    pdf: bytes | None = field(repr=False)
    document_sha256: str
    entry: str

    @property
    def number(self) -> str:
        """Gives the last part of the name."""
        return self.name.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class CertificateCheck:
    """Where a certificate stands, and the SHA-256 of its document in hexadecimal."""

    state: CertificateState
    document_sha256: str
