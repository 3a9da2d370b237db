"""The state of the reference model: accounts, holds and the log, in plain dictionaries.

What is a sum is summed anew whenever it is asked for.
"""

from dataclasses import dataclass, field

from tests.support.commands import MEMBER, POINTS


@dataclass
class Account:
    """A balance; `lots` maps an expiry to what is left of it, reserved part included."""

    unit: int
    kind: int
    minimum: int | None
    maximum: int | None
    debt_limit: int
    name: str = ""
    state: str = "ACTIVE"
    posted: int = 0
    debt: int = 0
    changed_index: int = -1
    lots: dict[int, int] = field(default_factory=dict)

    @property
    def has_lots(self) -> bool:
        return (self.kind, self.unit) == (MEMBER, POINTS)


@dataclass
class Hold:
    """An amount reserved; `lots` maps an expiry to what it reserves of that lot."""

    account: int
    amount: int
    expires_us: int
    name: str = ""
    state: str = "ACTIVE"
    captured: int = 0
    released: int = 0
    lots: dict[int, int] = field(default_factory=dict)

    @property
    def rest(self) -> int:
        return self.amount - self.captured - self.released


@dataclass
class Entry:
    """One entry of the log: its legs as (account, amount, lots moved)."""

    kind: int
    recorded_us: int
    legs: list[tuple[int, int, dict[int, int]]] = field(default_factory=list)
    hold: int | None = None
    opened: int | None = None


@dataclass
class Books:
    """All that a request may change."""

    accounts: dict[int, Account] = field(default_factory=dict)
    holds: dict[int, Hold] = field(default_factory=dict)
    reversed_entries: set[int] = field(default_factory=set)
    refunded: dict[int, int] = field(default_factory=dict)
    log: list[Entry] = field(default_factory=list)
    opening_closed: bool = False
    posts_records: bool = False
    now_us: int = 0

    def held(self, account: int) -> int:
        """Sums the live holds of an account."""
        return sum(h.rest for h in self.live(account))

    def live(self, account: int) -> list[Hold]:
        return [h for h in self.holds.values() if h.account == account and h.state == "ACTIVE"]

    def reserved(self, account: int, expiry: int) -> int:
        return sum(hold.lots.get(expiry, 0) for hold in self.live(account))

    def free_lots(self, account: int) -> list[tuple[int, int]]:
        """Lists (expiry, unreserved rest) by expiry."""
        lots = sorted(self.accounts[account].lots.items())
        free = [(expiry, left - self.reserved(account, expiry)) for expiry, left in lots]
        return [(expiry, left) for expiry, left in free if left]

    def fresh_lots(self, account: int) -> list[tuple[int, int]]:
        """Lists the free lots that are not past their time."""
        return [(expiry, left) for expiry, left in self.free_lots(account) if expiry > self.now_us]

    def available(self, account: int) -> int:
        return self.accounts[account].posted - self.held(account)

    def spendable(self, account: int) -> int:
        """Gives what is available and not past its time."""
        past = [left for expiry, left in self.free_lots(account) if expiry <= self.now_us]
        return self.available(account) - sum(past)

    def is_due(self, account: int, now_us: int) -> bool:
        """Says whether a live hold or an unreserved lot is past its time."""
        if any(hold.expires_us <= now_us for hold in self.live(account)):
            return True
        return any(expiry <= now_us for expiry, _ in self.free_lots(account))
