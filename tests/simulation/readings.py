"""Compares all that a ledger shows with the reference model, and checks the invariants.

Invariants of the ledger, after every step: postings of an entry sum to zero per unit; all balances
of a unit sum to zero; for accounts with lots posted = sum of lots - debt and held <= sum of lots;
held = sum of live holds.
"""

from collections import defaultdict
from collections.abc import Iterable

from tests.simulation import asked as q
from tests.simulation.over_rpcs import RpcLedger
from tests.simulation.reference import Reference
from timebank.ledger.v1 import account_pb2, hold_pb2, ledger_service_pb2

STATES = {"ACTIVE": 1, "FROZEN": 2, "CLOSED": 3}
HOLD_STATES = {"ACTIVE": 1, "CAPTURED": 2, "VOIDED": 3, "EXPIRED": 4}


async def check_everything(ledger: RpcLedger, model: Reference, *, since: int) -> None:
    """Reads the ledger over its rpcs; entries from `since` on were written by the last step."""
    assert await ledger.world.size() == len(model.books.log)
    for index in range(since, len(model.books.log)):
        await _check_entry(ledger, model, index)
    accounts = await _check_accounts(ledger, model)
    lots = await _check_lots(ledger, model)
    holds = await _check_holds(ledger, model, since)
    _check_invariants(accounts, lots, holds)


async def _check_entry(ledger: RpcLedger, model: Reference, index: int) -> None:
    entry = await ledger.world.entry(index)
    wanted = model.books.log[index]
    assert (entry.kind, entry.recorded_time_us) == (wanted.kind, wanted.recorded_us)
    sums: dict[int, int] = defaultdict(int)
    for posting in entry.postings:
        sums[posting.unit] += posting.amount
    assert not any(sums.values())
    names = {number: account.name for number, account in model.books.accounts.items()}
    legs = [
        (
            f"ledgers/weihai/accounts/{posting.account_id}",
            posting.amount,
            {lot.expire_time_us or q.NEVER: lot.remaining for lot in posting.lots},
        )
        for posting in entry.postings
    ]
    assert legs == [(names[number], amount, lots) for number, amount, lots in wanted.legs]


async def _check_accounts(ledger: RpcLedger, model: Reference) -> dict[str, account_pb2.Account]:
    books = model.books
    names = [account.name for account in books.accounts.values()]
    request = ledger_service_pb2.BatchGetAccountsRequest(parent="ledgers/weihai", names=names)
    found = (await ledger.world.stub.BatchGetAccounts(request)).accounts
    for (number, wanted), got in zip(books.accounts.items(), found, strict=True):
        held = books.held(number)
        assert (got.name, got.unit, got.kind) == (wanted.name, wanted.unit, wanted.kind)
        assert (got.posted, got.held, got.debt) == (wanted.posted, held, wanted.debt), number
        assert got.available == wanted.posted - held
        assert got.state == STATES[wanted.state]
        limits = (
            got.min_balance if got.HasField("min_balance") else None,
            got.max_balance if got.HasField("max_balance") else None,
            got.debt_limit,
        )
        assert limits == (wanted.minimum, wanted.maximum, wanted.debt_limit)
        assert got.etag == str(wanted.changed_index)
    return {account.name: account for account in found}


async def _check_lots(ledger: RpcLedger, model: Reference) -> dict[str, int]:
    """Compares lots and gives their sum by account."""
    sums = {}
    now_us = ledger.clock.now_us()
    for number, account in model.books.accounts.items():
        if not account.has_lots or account.state == "CLOSED":
            continue
        wanted = [
            (0 if expiry == q.NEVER else expiry, left, model.books.reserved(number, expiry))
            for expiry, left in sorted(account.lots.items())
        ]
        assert await ledger.world.lots(account.name) == wanted
        sums[account.name] = sum(left for _, left, _ in wanted)
        balance = await ledger.world.balance(account.name)
        assert balance.posted == account.posted
        assert balance.expired_pending == model.books.is_due(number, now_us)
    return sums


async def _check_holds(ledger: RpcLedger, model: Reference, since: int) -> dict[str, int]:
    """Compares live and lately moved holds, and gives the sum of the live ones by account."""
    sums: dict[str, int] = defaultdict(int)
    moved = {entry.hold for entry in model.books.log[since:]}
    now_us = ledger.clock.now_us()
    for number, hold in model.books.holds.items():
        if hold.state != "ACTIVE" and number not in moved:
            continue
        got: hold_pb2.Hold = await ledger.world.read_hold(hold.name)
        assert got.state == HOLD_STATES[hold.state]
        amounts = (got.amount, got.captured, got.released)
        assert amounts == (hold.amount, hold.captured, hold.released)
        pending = hold.state == "ACTIVE" and hold.expires_us <= now_us
        assert got.expired_pending == pending
        assert sorted(lot.reserved for lot in got.lots) == sorted(hold.lots.values())
        if got.state == hold_pb2.Hold.STATE_ACTIVE:
            sums[got.account] += got.amount - got.captured - got.released
    return sums


def _check_invariants(
    accounts: dict[str, account_pb2.Account], lots: dict[str, int], holds: dict[str, int]
) -> None:
    units: dict[int, int] = defaultdict(int)
    for name, account in accounts.items():
        units[account.unit] += account.posted
        assert account.held == holds.get(name, 0)
        if name in lots:
            assert account.posted == lots[name] - account.debt
            assert account.held <= lots[name]
    assert not any(units.values())


def same_reply(expected: q.Reply, got: q.Reply) -> bool:
    """Says whether an answer is the expected one, as far as its rpc tells."""
    if (expected.reason, len(expected.results)) != (got.reason, len(got.results)):
        return False
    told = [result for result in got.results if result.log_index >= 0]
    if told and expected.replayed != got.replayed:
        return False
    return not told or _places(expected.results) == _places(told)


def _places(results: Iterable[q.Result]) -> list[tuple[int, int]]:
    return [(result.log_index, result.recorded_us) for result in results]
