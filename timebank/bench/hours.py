"""Cases about members and records: bulk posting, stars, the audit of stars, and the policy.

Owns: `records_bulk`, `star`, `star_audit` (asked for by name: it fills a log first) and `policy`.
"""

import dataclasses
import re

from timebank.bench.audits import AUDIT, timed
from timebank.bench.cases import Figure, Stage, case, figure
from timebank.bench.commits import commits_of
from timebank.bench.plans import LoadPlan
from timebank.bench.servers import HOURS_ORIGIN
from timebank.bench.stands import Stand
from timebank.bench.volunteers import LEDGER, Volunteers, build_volunteers
from timebank.errors import Reason, TimebankError

BULK_CALLERS = 2
BULK_ITEMS = 4_000
STAR_CALLERS = 64
AUDIT_RECORDS = 1_000_000
FILLING_SECONDS_MAX = 3_600.0
POLICY_RECORDS = 200_000
SPEED = ("policy", "measure")
_RATE = re.compile(r"([\d,]+) records a second")


async def _volunteers(stand: Stand) -> Volunteers:
    found = stand.volunteers
    if found is None:
        found = stand.volunteers = await build_volunteers(
            stand.server.address,
            HOURS_ORIGIN,
            lambda done, total: stand.tell(f"registering volunteers: {done:,} of {total:,}"),
        )
    return found


def _plan(stand: Stand, found: Volunteers, workload: str, callers: int, seed: int) -> LoadPlan:
    return LoadPlan(
        workload=workload,
        address=stand.server.address,
        callers=callers,
        seconds=stand.seconds,
        ledger=LEDGER,
        debit_accounts=found.members,
        batch_items=BULK_ITEMS,
        seed=seed,
    )


@case(
    "records_bulk",
    f"BatchSubmitRecords of {BULK_ITEMS:,} records, {BULK_CALLERS} callers: records a second",
    stage=Stage.BULK,
)
async def records_bulk(stand: Stand) -> list[Figure]:
    """Measures records that each write HOURS, TIME and POINTS in one entry."""
    found = await _volunteers(stand)
    before = await stand.log_size(LEDGER)
    commits_before = await commits_of(stand.server, LEDGER)
    plan = _plan(stand, found, "records", BULK_CALLERS, before)
    measured = figure("records_bulk", stand, await stand.measure(plan))
    commits = (await commits_of(stand.server, LEDGER)).since(commits_before)
    grown = await stand.log_size(LEDGER) - before
    stand.tell("records_bulk: auditing the log")
    passed = await stand.audit(LEDGER)
    # A star that is granted is an entry too.
    exact = measured.acknowledged <= grown <= measured.acknowledged + 5 * len(found.members)
    return [
        dataclasses.replace(
            measured,
            batch_items_mean=commits.requests / commits.commits if commits.commits else None,
            log_grew_exactly=exact,
            audit_passed=passed,
            note=f"log grew by {grown:,}, stars among it",
        )
    ]


@case("star", "GetStar of one of 2,000 members, 64 callers", stage=Stage.BULK)
async def star(stand: Stand) -> list[Figure]:
    """Measures reading a star with its reasons; compare with get_balance."""
    found = await _volunteers(stand)
    return [
        figure("star", stand, await stand.measure(_plan(stand, found, "star", STAR_CALLERS, 1)))
    ]


@case("policy", "`timebank policy measure`: records a second through the policy", stage=Stage.BULK)
async def policy(stand: Stand) -> list[Figure]:
    """Measures the policy engine in one core, without any database."""
    log = stand.folder / "policy.log"
    done, _ = await timed([*SPEED, "--records", str(POLICY_RECORDS)], log)
    rate = _RATE.search(log.read_text(encoding="utf-8")) if done else None
    if rate is None:
        raise TimebankError(Reason.DATABASE_UNAVAILABLE, "bench: `timebank policy measure` failed")
    return [
        Figure(
            case="policy",
            database=stand.database,
            rate_per_s=float(rate[1].replace(",", "")),
            acknowledged=POLICY_RECORDS,
        )
    ]


@case(
    "star_audit",
    f"audit of {AUDIT_RECORDS:,} records with every star judged again: records a second",
    stage=Stage.GROWTH,
    by_default=False,
)
async def star_audit(stand: Stand) -> list[Figure]:
    """Fills the log up to a million records, then audits it."""
    found = await _volunteers(stand)
    size = await stand.log_size(LEDGER)
    missing = AUDIT_RECORDS - size
    if missing > 0:
        stand.tell(f"star_audit: posting {missing:,} records")
        plan = dataclasses.replace(
            _plan(stand, found, "records", BULK_CALLERS, size),
            seconds=FILLING_SECONDS_MAX,
            warm_up=False,
            requests_max=-(-missing // BULK_ITEMS),  # rounded up
        )
        filled = await stand.measure(plan)
        if filled.load.failures:
            text = f"bench: posting records failed: {filled.load.failures}"
            raise TimebankError(Reason.DATABASE_UNAVAILABLE, text)
    size = await stand.log_size(LEDGER)
    arguments = [*AUDIT, "--config", str(stand.server.config), "--ledger", LEDGER]
    passed, elapsed_s = await timed(arguments, stand.folder / "audit.log")
    return [
        Figure(
            case="star_audit",
            database=stand.database,
            rate_per_s=size / elapsed_s,
            acknowledged=size,
            audit_passed=passed,
            note=f"{size:,} entries in {elapsed_s:.0f} s",
        )
    ]
