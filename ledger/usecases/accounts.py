"""Accounts, lots and holds as they are read. Reads never write: what is due shows as pending."""

from collections.abc import Sequence

from ledger.domain.account import Account, Lot
from ledger.store import reads
from ledger.usecases.caller import OWNERS, account_not_found, may_see, may_see_those_of
from ledger.usecases.ledgers import Ledgers
from timebank.auth import Principal
from timebank.errors import Reason, TimebankError


class Accounts:
    """Reads accounts for a principal."""

    def __init__(self, ledgers: Ledgers) -> None:
        self._ledgers = ledgers
        self._reader = ledgers.world.databases.reader

    async def get(self, ledger_id: str, account_id: str, principal: Principal) -> Account:
        """Reads an account. Raises ACCOUNT_NOT_FOUND, also when the caller may not see it."""
        return (await self.batch(ledger_id, [account_id], principal))[0]

    async def batch(
        self, ledger_id: str, account_ids: Sequence[str], principal: Principal
    ) -> list[Account]:
        """Reads accounts, all or none. Raises LEDGER_NOT_FOUND, ACCOUNT_NOT_FOUND."""
        handle = await self._ledgers.handle(ledger_id, principal)
        found = await reads.find_accounts(self._reader, handle.ledger_no, account_ids)
        for account_id in account_ids:
            account = found.get(account_id)
            if account is None or not may_see(principal, account):
                raise account_not_found(ledger_id, account_id)
        return [found[account_id] for account_id in account_ids]

    async def page(
        self,
        ledger_id: str,
        principal: Principal,
        *,
        holder: str,
        unit: int,
        kind: int,
        after: int,
        limit: int,
    ) -> list[Account]:
        """Lists accounts in the order of their opening; owners see their own."""
        handle = await self._ledgers.handle(ledger_id, principal)
        owned = OWNERS.get(principal.kind)
        if owned is not None:
            if holder not in ("", principal.id) or kind not in (0, owned):
                return []
            holder, kind = principal.id, int(owned)
        return await reads.list_accounts(
            self._reader,
            handle.ledger_no,
            holder=holder,
            unit=unit,
            kind=kind,
            after=after,
            limit=limit,
        )

    async def lots(
        self, ledger_id: str, account_id: str, principal: Principal, *, after_us: int, limit: int
    ) -> list[Lot]:
        """Lists the lots of an account, next expiry first. Raises ACCOUNT_NOT_FOUND."""
        account = await self.get(ledger_id, account_id, principal)
        handle = await self._ledgers.handle(ledger_id, principal)
        return await reads.list_lots(
            self._reader, handle.ledger_no, account.no, after_us=after_us, limit=limit
        )

    async def hold(self, ledger_id: str, hold_id: str, principal: Principal) -> reads.HoldRead:
        """Reads a hold. Raises HOLD_NOT_FOUND, also when the caller may not see its account."""
        handle = await self._ledgers.handle(ledger_id, principal)
        found = await reads.find_hold(self._reader, handle.ledger_no, hold_id)
        if found is None or not may_see_those_of(principal, found.account_kind, found.holder):
            raise TimebankError(
                Reason.HOLD_NOT_FOUND, f"no hold {hold_id} in ledger {ledger_id}", hold=hold_id
            )
        return found
