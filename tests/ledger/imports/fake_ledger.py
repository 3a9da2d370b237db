"""A ledger in memory that keeps the rules an import meets: balances, natural keys, request ids.

It implements the port of the importer; what it is asked is kept in `calls`.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from timebank.client.commands import Chain, OpenAccount, Post
from timebank.client.kinds import AccountKind, AccountState
from timebank.client.views import AccountView, ChainResult, CommandResult, LedgerView
from timebank.errors import Reason, TimebankError
from timebank.units import Unit

NOW = datetime(2026, 11, 24, tzinfo=UTC)
POOL_NAME = "ledgers/test/accounts/pool"


class FakeLedger:
    """Opens TIME accounts and moves minutes between them."""

    def __init__(self) -> None:
        self.opening_closed = False
        self.minutes: dict[str, int] = {POOL_NAME: 0}
        self.holders: dict[str, str] = {}
        self.min_balances: dict[str, int] = {}
        self.posts: list[Post] = []
        self.calls: list[int] = []
        self.fail_call: int | None = None
        self.frozen: set[str] = set()
        self.request_ids: set[str] = set()
        self._keys: dict[str, tuple[object, CommandResult]] = {}
        self._declined: dict[str, TimebankError] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None

    async def get_ledger(self) -> LedgerView:
        return LedgerView(
            "ledgers/test", "test", "Asia/Shanghai", "origin", (), self.opening_closed, NOW
        )

    def balance(self, holder: str) -> int:
        return self.minutes[self.holders[holder]]

    def add_member(self, holder: str, minutes: int = 0) -> str:
        """Opens an account that no import knows of."""
        name = f"ledgers/test/accounts/{len(self.minutes)}"
        self.holders[holder] = name
        self.minutes[name] = minutes
        self.min_balances[name] = 0
        return name

    async def batch_execute(
        self, chains: Sequence[Chain], /
    ) -> Sequence[ChainResult | TimebankError]:
        self.calls.append(len(chains))
        if self.fail_call == len(self.calls):
            raise TimebankError(Reason.DATABASE_UNAVAILABLE, "the line is down")
        return [self._execute(chain) for chain in chains]

    async def list_accounts(
        self, *, holder: str = "", unit: Unit | None = None, kind: AccountKind | None = None
    ) -> AsyncIterator[AccountView]:
        assert unit is Unit.TIME
        if kind is AccountKind.POOL:
            yield self._view(POOL_NAME, "ledger-pool", AccountKind.POOL, None)
        elif holder in self.holders:
            name = self.holders[holder]
            yield self._view(name, holder, AccountKind.MEMBER, self.min_balances[name])

    async def set_account_limits(
        self,
        account: str,
        /,
        *,
        min_balance: int | None,
        max_balance: int | None,
        debt_limit: int,
    ) -> AccountView:
        assert min_balance is not None
        self.min_balances[account] = min_balance
        holder = next(holder for holder, name in self.holders.items() if name == account)
        return self._view(account, holder, AccountKind.MEMBER, min_balance)

    def _view(
        self, name: str, holder: str, kind: AccountKind, min_balance: int | None
    ) -> AccountView:
        posted = self.minutes[name]
        limits = (min_balance, None, 0)
        amounts = (posted, 0, posted, 0)
        state = AccountState.ACTIVE
        return AccountView(name, holder, Unit.TIME, kind, state, *limits, *amounts, NOW, "1")

    def _execute(self, chain: Chain) -> ChainResult | TimebankError:
        if chain.request_id in self._declined:
            return self._declined[chain.request_id]
        self.request_ids.add(chain.request_id)
        (command,) = chain.commands
        assert isinstance(command, OpenAccount | Post)
        known = self._keys.get(command.natural_key)
        if known is not None:
            if known[0] == command:
                return ChainResult((known[1],), True, "note", ())
            account = isinstance(command, OpenAccount)
            reason = Reason.ACCOUNT_EXISTS if account else Reason.ENTRY_EXISTS
            return TimebankError(reason, "used for other content")
        outcome = self._open(command) if isinstance(command, OpenAccount) else self._post(command)
        if isinstance(outcome, TimebankError):
            self._declined[chain.request_id] = outcome
            return outcome
        self._keys[command.natural_key] = (command, outcome)
        return ChainResult((outcome,), False, "note", ())

    def _open(self, command: OpenAccount) -> CommandResult:
        name = self.add_member(command.holder)
        self.min_balances[name] = command.min_balance or 0
        return CommandResult("ledgers/test/entries/0", 0, NOW, None, name)

    def _post(self, command: Post) -> CommandResult | TimebankError:
        debit, credit = command.postings
        if debit.account in self.frozen:
            return TimebankError(Reason.ACCOUNT_FROZEN, "the account is frozen")
        left = self.minutes[debit.account] + debit.amount
        if left < self.min_balances.get(debit.account, 0):
            return TimebankError(Reason.INSUFFICIENT_BALANCE, "not enough available")
        self.minutes[debit.account] = left
        self.minutes[credit.account] += credit.amount
        self.posts.append(command)
        return CommandResult("ledgers/test/entries/0", 0, NOW, None, None)
