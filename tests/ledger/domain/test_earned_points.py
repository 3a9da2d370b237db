"""Points earned: posted records net of corrections, by year, whatever becomes of the balance."""

import pytest

from ledger import leaf
from ledger.domain import commands as c
from ledger.domain.account import NEVER_US, AccountKind
from ledger.domain.book import Book
from ledger.domain.entry import EntryKind
from ledger.domain.fold import LedgerState, Projections
from ledger.domain.movements import Authority
from ledger.domain.outcomes import Outcome
from timebank.units import Unit

NEW_YEAR_US = 1_798_732_800_000_000
"""2027-01-01T00:00 in Shanghai."""
DAY_US = 86_400_000_000
RECORD, CORRECTION = EntryKind.RECORD_POSTED, EntryKind.RECORD_CORRECTED


class Desk:
    """A ledger in memory, with a member and a shop."""

    def __init__(self) -> None:
        counter = iter(range(1, 2**31))
        state = Projections(LedgerState("weihai"))
        self.book = Book(
            state,
            next_index=0,
            now_us=NEW_YEAR_US + DAY_US,
            random_bytes=lambda count: next(counter).to_bytes(count, "big"),
            encode=leaf.encode,
        )
        self.ask(c.CreateLedger("威海", "Asia/Shanghai", "timebank.example/test", "key"))
        kinds = {(one.kind, one.unit): name for name, one in state.accounts.items()}
        self.issuance = kinds[AccountKind.ISSUANCE, Unit.POINTS]
        self.alice = self.open("alice", AccountKind.MEMBER, 0)
        self.shop = self.open("shop", AccountKind.MERCHANT, None)

    def ask(self, command: c.Command) -> Outcome:
        """Carries a command out with every authority."""
        request = c.make_request(
            (command,), caller="service/records", request_id=b"", authorities=frozenset(Authority)
        )
        outcome = self.book.execute(request)
        assert outcome.error is None, outcome.error
        return outcome

    def open(self, holder: str, kind: AccountKind, minimum: int | None) -> str:
        """Opens an account of POINTS."""
        asked = c.OpenAccount(holder, Unit.POINTS, kind, minimum, None, 1_000, "")
        fact = self.ask(asked).entries[0].account
        assert fact is not None
        return fact.account_id

    def move(
        self, kind: EntryKind, debited: str, credited: str, amount: int, effective_us: int = 0
    ) -> int:
        """Posts a movement and gives its index."""
        legs = (
            c.PostingDraft(debited, Unit.POINTS, -amount, NEVER_US),
            c.PostingDraft(credited, Unit.POINTS, amount, NEVER_US),
        )
        posted = c.Post(kind, legs, effective_us, "", "", "", "")
        return self.ask(posted).entries[0].log_index

    @property
    def earned(self) -> dict[int, int]:
        """What the member earned by year."""
        number = self.book.state.accounts[self.alice].no
        rows = self.book.state.earned.items()
        return {year: amount for (account_no, year), amount in rows if account_no == number}


@pytest.fixture
def desk() -> Desk:
    """A desk whose ledger time is 2027-01-02."""
    return Desk()


def test_a_record_counts_in_the_year_it_happened_in_the_ledgers_zone(desk: Desk) -> None:
    desk.move(RECORD, desk.issuance, desk.alice, 10, NEW_YEAR_US - 1)
    desk.move(RECORD, desk.issuance, desk.alice, 7, NEW_YEAR_US)
    desk.move(RECORD, desk.issuance, desk.alice, 5)
    assert desk.earned == {2026: 10, 2027: 12}


def test_a_correction_counts_against_what_was_earned(desk: Desk) -> None:
    desk.move(RECORD, desk.issuance, desk.alice, 10)
    desk.move(CORRECTION, desk.alice, desk.issuance, 4)
    desk.move(CORRECTION, desk.issuance, desk.alice, 1)
    assert desk.earned == {2027: 7}


def test_spending_refunds_and_opening_balances_change_nothing_earned(desk: Desk) -> None:
    desk.move(RECORD, desk.issuance, desk.alice, 10)
    desk.move(EntryKind.OPENING_BALANCE, desk.issuance, desk.alice, 90)
    spent = desk.move(EntryKind.REDEMPTION, desk.alice, desk.shop, 60)
    desk.ask(c.Refund(spent, 20, "", ""))
    other = desk.move(EntryKind.REDEMPTION, desk.alice, desk.shop, 30)
    desk.ask(c.Reverse(other, ""))
    assert desk.earned == {2027: 10}
    assert desk.book.state.accounts[desk.alice].posted == 60
