"""What callers ask about members, records, policies, stars and certificates.

Each is a request of its own, never part of a chain. Ids of persons are `members/{id}` for members
and bare for officers. A `memo` is kept outside the log; fields in `NOT_SAID` are no part of what a
request says, so that a retry after midnight or with a new draw is still the same request.
"""

from typing import NamedTuple, TypeAlias, TypeGuard, get_args

from ledger.domain.facts import Member, MemberState, Record

NOT_SAID = frozenset({"draw"})


class RegisterMember(NamedTuple):
    """Registers a member; the accounts of `member` are made by the book."""

    member: Member


class ChangeMember(NamedTuple):
    """Replaces fields of a member by name."""

    member_id: str
    changes: tuple[tuple[str, str | bool | int], ...]


class SetMemberState(NamedTuple):
    """Suspends (SUSPENDED) or reinstates (ACTIVE)."""

    member_id: str
    state: MemberState
    memo: str = ""


class RecordDeath(NamedTuple):
    """Records a death; an empty heir is the public pool."""

    member_id: str
    heir: str = ""
    memo: str = ""


class ExportMember(NamedTuple):
    """Lets a member move to another city."""

    member_id: str
    destination: str


class MergeMember(NamedTuple):
    """Declares a member a duplicate of another."""

    member_id: str
    into: str
    memo: str = ""


class UnmergeMember(NamedTuple):
    """Undoes a merge."""

    member_id: str
    memo: str = ""


class LinkFamily(NamedTuple):
    """Registers or ends a family link."""

    member_id: str
    relative: str
    relation: str
    ended: bool = False


class ReportNoShow(NamedTuple):
    """Reports that a volunteer did not come."""

    member_id: str
    activity: str
    day: str
    malicious: bool = False


class EvaluateMember(NamedTuple):
    """Evaluates a volunteer."""

    member_id: str
    role: str
    rater: str
    score: int
    memo: str = ""


class TransferTime(NamedTuple):
    """Gives TIME to another member, or to the public pool when `to` is empty."""

    member_id: str
    to: str
    minutes: int
    memo: str = ""


class GrantTime(NamedTuple):
    """Gives TIME of the public pool to a key elder."""

    member_id: str
    minutes: int
    memo: str = ""


class SubmitRecord(NamedTuple):
    """Submits a record. `memo` is its content; `draw` (0 to 9,999) decides the spot check."""

    record: Record
    attested: bool = False
    publicised: bool = False
    memo: str = ""
    draw: int = 9_999


class VerifyRecord(NamedTuple):
    """Attests a record."""

    record_id: str
    verifier: str


class DisputeRecord(NamedTuple):
    """Disputes a record that is not posted; `by` is who does."""

    record_id: str
    by: str
    memo: str = ""


class ResolveDispute(NamedTuple):
    """Resolves a dispute; `by` is who decides."""

    record_id: str
    by: str
    upheld: bool
    memo: str = ""


class VoidRecord(NamedTuple):
    """Declares a record void."""

    record_id: str
    by: str
    memo: str = ""


class ResolveSpotCheck(NamedTuple):
    """Says how a spot check went."""

    record_id: str
    by: str
    passed: bool
    memo: str = ""


class PostDue(NamedTuple):
    """Posts a record whose publicity has ended; the sweeper's command."""

    record_id: str


class ComeOfAge(NamedTuple):
    """Ends a minority that is over; the sweeper's command."""

    member_id: str


class AdoptPolicy(NamedTuple):
    """Adopts a version of the policy; `text` is the canonical document."""

    text: str
    replay: bool = False


class ReapplyPolicy(NamedTuple):
    """Applies a replayed version to a posted record."""

    record_id: str
    version: str


class CloseReview(NamedTuple):
    """Closes the review of a star."""

    member_id: str
    keep: bool
    memo: str = ""


class SelectStar(NamedTuple):
    """Selects a member for the fifth star."""

    member_id: str
    memo: str = ""


class IssueCertificate(NamedTuple):
    """Issues a certificate whose document was signed."""

    number: str
    member_id: str
    document_sha256: bytes
    record_ids: tuple[str, ...]
    total_minutes: int


class RevokeCertificate(NamedTuple):
    """Revokes a certificate."""

    number: str
    memo: str = ""


HoursCommand: TypeAlias = (
    RegisterMember
    | ChangeMember
    | SetMemberState
    | RecordDeath
    | ExportMember
    | MergeMember
    | UnmergeMember
    | LinkFamily
    | ReportNoShow
    | EvaluateMember
    | TransferTime
    | GrantTime
    | SubmitRecord
    | VerifyRecord
    | DisputeRecord
    | ResolveDispute
    | VoidRecord
    | ResolveSpotCheck
    | PostDue
    | ComeOfAge
    | AdoptPolicy
    | ReapplyPolicy
    | CloseReview
    | SelectStar
    | IssueCertificate
    | RevokeCertificate
)
_TYPES = frozenset(get_args(HoursCommand))


def is_hours_command(command: object) -> TypeGuard[HoursCommand]:
    """Says whether a command is about members or records; one look-up, whichever it is."""
    return type(command) in _TYPES
