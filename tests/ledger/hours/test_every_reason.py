"""Every reason that the contract documents for members, records, policies, stars and certificates
is reached by a row of the tables, and every row's reason is documented.
"""

from tests.ledger.hours.refusals import VALID
from tests.ledger.hours.test_refusals import ENDED_POLICY, NO_POLICY, TABLES
from tests.ledger.rpc.test_every_reason import documented_in
from tests.support.contracts import PROTOS
from timebank.errors import Reason as R

SERVICES = (
    *("member_service.proto", "hours_service.proto", "policy_service.proto"),
    *("star_service.proto", "certificate_service.proto"),
)
MUST_BE_FOUND = 25
"""Far fewer reasons than this would mean that the comments were not read."""
OF_ANY_CALL = {R.VALIDATION_FAILED, R.LEDGER_NOT_FOUND, R.SCOPE_MISSING}
"""Any call that names a ledger may be refused so, also where the comment leaves it out."""


def documented() -> dict[str, set[R]]:
    """Reads the reasons of every rpc out of the comments of the contract."""
    return documented_in([PROTOS / "timebank/ledger/v1" / name for name in SERVICES])


def reached() -> dict[str, set[R]]:
    """Gives the reasons that the tables reach, by method."""
    found: dict[str, set[R]] = {}
    for table in (*TABLES.values(), NO_POLICY, ENDED_POLICY):
        for row in table:
            found.setdefault(row.method, set()).add(row.reason)
    return found


def test_every_documented_reason_of_every_rpc_is_reached() -> None:
    wanted, found = documented(), reached()
    assert set(wanted) == set(VALID)
    assert len(set().union(*wanted.values())) >= MUST_BE_FOUND
    missing = {
        (method, reason)
        for method, reasons in wanted.items()
        for reason in reasons - found.get(method, set())
    }
    assert missing == set()


def test_every_reason_that_is_reached_is_documented() -> None:
    wanted, found = documented(), reached()
    unsaid = {
        (method, reason)
        for method, reasons in found.items()
        for reason in reasons - wanted[method] - OF_ANY_CALL
    }
    assert unsaid == set()


def test_a_reason_without_a_row_would_be_noticed() -> None:
    found = reached()
    assert R.NO_SHOW_EXISTS in found["ReportNoShow"]
    assert R.NO_SHOW_EXISTS in documented()["ReportNoShow"]
    found["ReportNoShow"].discard(R.NO_SHOW_EXISTS)
    assert documented()["ReportNoShow"] - found["ReportNoShow"] == {R.NO_SHOW_EXISTS}
