"""Who may move what: every cell of the movement table, against a table written here by hand.

A line of the table below is one cell that is allowed; everything else must be refused.
"""

import itertools
from typing import Any

import pytest

from ledger.domain.account import NEVER_US, Account, AccountKind
from ledger.domain.commands import Post, PostingDraft
from ledger.domain.entry import EntryKind
from ledger.domain.fold import LedgerState, Projections
from ledger.domain.movements import Authority
from ledger.domain.posting_rules import decide_post
from timebank.errors import Reason, TimebankError
from timebank.units import Unit

NOW_US = 1_772_323_200_000_000
ALLOWED = {
    tuple(line.split())
    for line in """
    OPENING_BALANCE HOURS ISSUANCE MEMBER
    OPENING_BALANCE TIME ISSUANCE MEMBER
    OPENING_BALANCE TIME ISSUANCE POOL
    OPENING_BALANCE POINTS ISSUANCE MEMBER
    OPENING_BALANCE POINTS ISSUANCE MERCHANT
    OPENING_BALANCE FUND CLEARING FUND
    OPENING_BALANCE FUND CLEARING MERCHANT
    IMPORT TIME MEMBER MEMBER
    IMPORT TIME MEMBER POOL
    IMPORT TIME POOL MEMBER
    IMPORT TIME POOL POOL
    RECORD_POSTED HOURS ISSUANCE MEMBER
    RECORD_POSTED TIME ISSUANCE MEMBER
    RECORD_POSTED TIME ISSUANCE POOL
    RECORD_POSTED TIME POOL MEMBER
    RECORD_POSTED TIME POOL POOL
    RECORD_POSTED TIME MEMBER MEMBER
    RECORD_POSTED TIME MEMBER POOL
    RECORD_POSTED POINTS ISSUANCE MEMBER
    RECORD_CORRECTED HOURS ISSUANCE ISSUANCE
    RECORD_CORRECTED HOURS ISSUANCE MEMBER
    RECORD_CORRECTED HOURS MEMBER ISSUANCE
    RECORD_CORRECTED HOURS MEMBER MEMBER
    RECORD_CORRECTED TIME ISSUANCE ISSUANCE
    RECORD_CORRECTED TIME ISSUANCE MEMBER
    RECORD_CORRECTED TIME ISSUANCE POOL
    RECORD_CORRECTED TIME MEMBER ISSUANCE
    RECORD_CORRECTED TIME MEMBER MEMBER
    RECORD_CORRECTED TIME MEMBER POOL
    RECORD_CORRECTED TIME POOL ISSUANCE
    RECORD_CORRECTED TIME POOL MEMBER
    RECORD_CORRECTED TIME POOL POOL
    RECORD_CORRECTED POINTS ISSUANCE ISSUANCE
    RECORD_CORRECTED POINTS ISSUANCE MEMBER
    RECORD_CORRECTED POINTS MEMBER ISSUANCE
    RECORD_CORRECTED POINTS MEMBER MEMBER
    TRANSFER TIME MEMBER MEMBER
    DONATION TIME MEMBER POOL
    POOL_GRANT TIME POOL MEMBER
    SERVICE_PAYMENT TIME MEMBER MEMBER
    SERVICE_PAYMENT TIME POOL MEMBER
    REDEMPTION POINTS MEMBER MERCHANT
    REDEMPTION TIME MEMBER MERCHANT
    SETTLEMENT POINTS MERCHANT ISSUANCE
    SETTLEMENT TIME MERCHANT ISSUANCE
    SETTLEMENT FUND FUND MERCHANT
    FUND_INCOME FUND CLEARING FUND
    FUND_SPENDING FUND FUND CLEARING
    FUND_SPENDING FUND MERCHANT CLEARING
    LOT_EXPIRED POINTS MEMBER EXPIRED
    LOT_EXPIRED TIME MEMBER EXPIRED
    MEMBER_EXPORTED TIME MEMBER ISSUANCE
    MEMBER_EXPORTED POINTS MEMBER ISSUANCE
    MEMBER_DIED TIME MEMBER MEMBER
    MEMBER_DIED TIME MEMBER POOL
    MEMBER_DIED POINTS MEMBER EXPIRED
    """.splitlines()
    if line.strip()
}
"""Entry kind, unit, kind of the account debited, kind of the account credited."""
OPENING = {"OPENING_BALANCE", "IMPORT"}
RECORDS = {"RECORD_POSTED", "RECORD_CORRECTED", "MEMBER_EXPORTED", "MEMBER_DIED"}
LEDGERS_OWN = {"LOT_EXPIRED", "REVERSAL", "REFUND"}
EVERY_WAY = frozenset(Authority)
SIDES = ("from", "to")


@pytest.fixture(scope="module")
def books() -> Projections:
    """A ledger with two full accounts of every kind and unit."""
    state = Projections(LedgerState("weihai", time_zone="Asia/Shanghai"))
    rows = itertools.product(AccountKind, Unit, SIDES)
    for number, (kind, unit, side) in enumerate(rows):
        name = account_name(side, kind, unit)
        account = Account(number, name, side, unit, kind, NOW_US, min_balance=None, posted=1_000)
        state.accounts[name] = account
    return state


def account_name(side: str, kind: AccountKind, unit: Unit) -> str:
    return f"{side}-{kind.name}-{unit.name}".lower()


def refusal_of(
    books: Projections,
    cell: tuple[EntryKind, Unit, AccountKind, AccountKind],
    authorities: frozenset[Authority],
) -> Reason | None:
    """Gives why a movement is refused, None when it is not."""
    kind, unit, debited, credited = cell
    legs = (
        PostingDraft(account_name("from", debited, unit), unit, -1, NEVER_US),
        PostingDraft(account_name("to", credited, unit), unit, 1, NEVER_US),
    )
    try:
        decide_post(books, Post(kind, legs, 0, "", "", "", ""), NOW_US, authorities)
    except TimebankError as error:
        return error.reason
    return None


@pytest.mark.parametrize("kind", EntryKind)
def test_every_cell_is_allowed_or_refused_as_written_here(
    books: Projections, kind: EntryKind
) -> None:
    cells = list(itertools.product([kind], Unit, AccountKind, AccountKind))
    assert len(cells) == 4 * 7 * 7
    for cell in cells:
        allowed = tuple(part.name for part in cell) in ALLOWED
        wanted = None if allowed else Reason.MOVEMENT_NOT_ALLOWED
        assert refusal_of(books, cell, EVERY_WAY) is wanted, cell


def test_the_table_names_only_what_exists() -> None:
    for kind, unit, debited, credited in ALLOWED:
        assert EntryKind[kind]
        assert Unit[unit]
        assert AccountKind[debited]
        assert AccountKind[credited]


def test_each_movement_comes_only_by_its_own_way(books: Projections) -> None:
    for words in sorted(ALLOWED):
        kind = words[0]
        cell: Any = tuple(
            table[word]
            for table, word in zip((EntryKind, Unit, AccountKind, AccountKind), words, strict=True)
        )
        own = Authority.POST
        if kind in OPENING:
            own = Authority.OPENING
        elif kind in RECORDS:
            own = Authority.RECORDS
        elif kind in LEDGERS_OWN:
            own = Authority.LEDGER
        assert refusal_of(books, cell, frozenset({own})) is None, words
        others = EVERY_WAY - {own}
        assert refusal_of(books, cell, others) is Reason.MOVEMENT_NOT_ALLOWED, words


def test_a_unit_of_another_account_is_refused_whatever_the_kinds(books: Projections) -> None:
    for unit, other in itertools.permutations(Unit, 2):
        legs = (
            PostingDraft(account_name("from", AccountKind.MEMBER, unit), other, -1, NEVER_US),
            PostingDraft(account_name("to", AccountKind.MEMBER, other), other, 1, NEVER_US),
        )
        with pytest.raises(TimebankError) as refused:
            decide_post(books, Post(EntryKind.TRANSFER, legs, 0, "", "", "", ""), NOW_US, EVERY_WAY)
        assert refused.value.reason is Reason.MOVEMENT_NOT_ALLOWED


def test_hours_are_issued_and_corrected_and_never_spent() -> None:
    moving_hours = {words[0] for words in ALLOWED if words[1] == "HOURS"}
    assert moving_hours == {"OPENING_BALANCE", "RECORD_POSTED", "RECORD_CORRECTED"}


def test_what_is_issued_comes_from_records_and_openings_alone() -> None:
    issuing = {words[0] for words in ALLOWED if words[2] == "ISSUANCE"}
    assert issuing == {"OPENING_BALANCE", "RECORD_POSTED", "RECORD_CORRECTED"}
