"""What a caller says about a service record and a person, before the ledger knows it.

Owns: the shape of submissions. Refuses: rules on their content, which the server keeps.
Rules: members are given by volunteer number or resource name; personal data is never shown by
`repr`, so that it stays out of logs and tracebacks.
"""

from dataclasses import dataclass, field
from datetime import datetime

from timebank.client.kinds import EvidenceClass


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonalData:
    """Personal data 个人信息 of a member; kept outside the log under a key of its own."""

    display_name: str = field(repr=False)
    id_type: str = ""
    id_number: str = field(default="", repr=False)
    phone: str = field(default="", repr=False)
    national_number: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordDraft:
    """A service record 志愿服务记录 to submit.

    `record_id`: 1 to 64 of a-z, 0-9 and `-`, unique in the ledger for ever; the same draft again is
    the same record. `minutes` 0: all of the interval without breaks. `end_time` None: only with
    `date_only` (class D), or when nobody checked out and `planned_minutes` is given.
    `quality_tenths` 10 to 50, 0: not rated. `verifiers`: ids of officers, or `members/{member}`.
    `bonuses`: TEAM_LEAD, REFERRAL. `reward`: TIME or POINTS where the policy leaves the choice.
    """

    record_id: str
    volunteer: str
    activity: str
    organizer: str
    start_time: datetime
    evidence: EvidenceClass
    end_time: datetime | None = None
    date_only: bool = False
    minutes: int = 0
    break_minutes: int = 0
    planned_minutes: int = 0
    beneficiary: str = ""
    place: str = ""
    content: str = ""
    recorder: str = ""
    team_lead: str = ""
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
    bonuses: tuple[str, ...] = ()
    external_ids: tuple[str, ...] = ()
    publicised: bool = False
