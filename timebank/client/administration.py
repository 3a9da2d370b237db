"""The methods about ledgers and accounts.

Owns: opening, reading and changing them. Rules: an `etag` given makes a change fail with
ETAG_MISMATCH when the account changed meanwhile; read it again and decide anew.
"""

from collections.abc import AsyncIterator, Sequence

from timebank.client.answers import account_from_wire, ledger_from_wire
from timebank.client.commands import OpenAccount
from timebank.client.kinds import AccountKind
from timebank.client.pages import PAGE_SIZE, Page, pages
from timebank.client.requests import (
    account_kind_to_wire,
    command_to_wire,
    new_request_id,
    unit_to_wire,
)
from timebank.client.session import Session
from timebank.client.views import AccountView, LedgerView
from timebank.ledger.v1 import account_pb2, ledger_pb2
from timebank.ledger.v1 import ledger_service_pb2 as service_pb2
from timebank.units import Unit

ANY_UNIT = ledger_pb2.UNIT_UNSPECIFIED
ANY_KIND = account_pb2.ACCOUNT_KIND_UNSPECIFIED


class Administration(Session):
    """Ledgers and accounts."""

    async def create_ledger(
        self,
        *,
        display_name: str,
        log_origin: str,
        time_zone: str = "Asia/Shanghai",
        ledger: str = "",
        request_id: str = "",
    ) -> LedgerView:
        """Creates a ledger (by default the client's own) with its log and its own accounts.

        Raises TimebankError: VALIDATION_FAILED, LEDGER_EXISTS, SIGNING_KEY_MISSING.
        """
        request = service_pb2.CreateLedgerRequest(
            ledger_id=ledger or self._names.ledger_id,
            ledger=ledger_pb2.Ledger(
                display_name=display_name, time_zone=time_zone, log_origin=log_origin
            ),
            request_id=request_id or new_request_id(),
        )
        return ledger_from_wire(await self._call(self._ledger_stub.CreateLedger, request))

    async def get_ledger(self) -> LedgerView:
        """Reads the ledger. Raises TimebankError: LEDGER_NOT_FOUND."""
        request = service_pb2.GetLedgerRequest(name=self.ledger)
        return ledger_from_wire(await self._call(self._ledger_stub.GetLedger, request))

    def list_ledgers(self, *, page_size: int = PAGE_SIZE) -> AsyncIterator[LedgerView]:
        """Yields the ledgers that the caller may use, by id."""

        async def read(token: str) -> Page[LedgerView]:
            request = service_pb2.ListLedgersRequest(page_size=page_size, page_token=token)
            response = await self._call(self._ledger_stub.ListLedgers, request)
            return map(ledger_from_wire, response.ledgers), response.next_page_token

        return pages(read)

    async def close_opening(self, *, request_id: str = "") -> LedgerView:
        """Ends the opening for ever: no opening balances and no imports afterwards.

        Raises TimebankError: LEDGER_NOT_FOUND, OPENING_CLOSED.
        """
        request = service_pb2.CloseOpeningRequest(
            name=self.ledger, request_id=request_id or new_request_id()
        )
        return ledger_from_wire(await self._call(self._ledger_stub.CloseOpening, request))

    async def rotate_signing_key(self, verifier_key: str, *, request_id: str = "") -> LedgerView:
        """Logs that another key of the same origin signs from here on.

        Raises TimebankError: LEDGER_NOT_FOUND, SIGNING_KEY_MISSING, VALIDATION_FAILED.
        """
        request = service_pb2.RotateSigningKeyRequest(
            name=self.ledger,
            request_id=request_id or new_request_id(),
            verifier_key=verifier_key,
        )
        return ledger_from_wire(await self._call(self._ledger_stub.RotateSigningKey, request))

    async def create_account(
        self,
        *,
        holder: str,
        unit: Unit,
        kind: AccountKind = AccountKind.MEMBER,
        min_balance: int | None = None,
        max_balance: int | None = None,
        debt_limit: int = 0,
        natural_key: str = "",
        request_id: str = "",
    ) -> AccountView:
        """Opens an account.

        Raises TimebankError: VALIDATION_FAILED, LEDGER_NOT_FOUND, ACCOUNT_EXISTS.
        """
        opening = OpenAccount(
            holder=holder,
            unit=unit,
            kind=kind,
            min_balance=min_balance,
            max_balance=max_balance,
            debt_limit=debt_limit,
            natural_key=natural_key,
        )
        request = service_pb2.CreateAccountRequest(
            parent=self.ledger,
            request_id=request_id or new_request_id(),
            open_account=command_to_wire(opening, self._names).open_account,
        )
        return account_from_wire(await self._call(self._ledger_stub.CreateAccount, request))

    async def get_account(self, account: str) -> AccountView:
        """Reads an account. Raises TimebankError: ACCOUNT_NOT_FOUND."""
        request = service_pb2.GetAccountRequest(name=self._names.account(account))
        return account_from_wire(await self._call(self._ledger_stub.GetAccount, request))

    async def get_accounts(self, accounts: Sequence[str]) -> tuple[AccountView, ...]:
        """Reads 1 to 1,000 accounts, all or none, in the order given.

        Raises TimebankError: VALIDATION_FAILED, ACCOUNT_NOT_FOUND, BATCH_TOO_LARGE.
        """
        request = service_pb2.BatchGetAccountsRequest(
            parent=self.ledger, names=[self._names.account(account) for account in accounts]
        )
        response = await self._call(self._ledger_stub.BatchGetAccounts, request)
        return tuple(map(account_from_wire, response.accounts))

    def list_accounts(
        self,
        *,
        holder: str = "",
        unit: Unit | None = None,
        kind: AccountKind | None = None,
        page_size: int = PAGE_SIZE,
    ) -> AsyncIterator[AccountView]:
        """Yields accounts in the order of their opening; None and empty: any."""

        async def read(token: str) -> Page[AccountView]:
            request = service_pb2.ListAccountsRequest(
                parent=self.ledger,
                page_size=page_size,
                page_token=token,
                holder=holder,
                unit=ANY_UNIT if unit is None else unit_to_wire(unit),
                kind=ANY_KIND if kind is None else account_kind_to_wire(kind),
            )
            response = await self._call(self._ledger_stub.ListAccounts, request)
            return map(account_from_wire, response.accounts), response.next_page_token

        return pages(read)

    async def freeze_account(
        self, account: str, *, etag: str = "", request_id: str = ""
    ) -> AccountView:
        """Refuses new debits and holds on an account; corrections still go through.

        Raises TimebankError: ACCOUNT_NOT_FOUND, ACCOUNT_FROZEN, ACCOUNT_CLOSED, ETAG_MISMATCH.
        """
        request = service_pb2.FreezeAccountRequest(
            name=self._names.account(account),
            request_id=request_id or new_request_id(),
            etag=etag,
        )
        return account_from_wire(await self._call(self._ledger_stub.FreezeAccount, request))

    async def unfreeze_account(
        self, account: str, *, etag: str = "", request_id: str = ""
    ) -> AccountView:
        """Lets debits and holds through again.

        Raises TimebankError: ACCOUNT_NOT_FOUND, ACCOUNT_NOT_FROZEN, ACCOUNT_CLOSED, ETAG_MISMATCH.
        """
        request = service_pb2.UnfreezeAccountRequest(
            name=self._names.account(account),
            request_id=request_id or new_request_id(),
            etag=etag,
        )
        return account_from_wire(await self._call(self._ledger_stub.UnfreezeAccount, request))

    async def close_account(
        self, account: str, *, etag: str = "", request_id: str = ""
    ) -> AccountView:
        """Closes an account whose balance and holds are zero (HOURS: any balance).

        Raises TimebankError: ACCOUNT_NOT_FOUND, ACCOUNT_NOT_EMPTY, ACCOUNT_CLOSED, ETAG_MISMATCH.
        """
        request = service_pb2.CloseAccountRequest(
            name=self._names.account(account),
            request_id=request_id or new_request_id(),
            etag=etag,
        )
        return account_from_wire(await self._call(self._ledger_stub.CloseAccount, request))

    async def set_account_limits(
        self,
        account: str,
        *,
        min_balance: int | None,
        max_balance: int | None,
        debt_limit: int,
        etag: str = "",
        request_id: str = "",
    ) -> AccountView:
        """Replaces the limits of an account; None: no bound.

        Raises TimebankError: ACCOUNT_NOT_FOUND, VALIDATION_FAILED, ACCOUNT_CLOSED, ETAG_MISMATCH.
        """
        request = service_pb2.SetAccountLimitsRequest(
            name=self._names.account(account),
            request_id=request_id or new_request_id(),
            etag=etag,
            min_balance=min_balance,
            max_balance=max_balance,
            debt_limit=debt_limit,
        )
        return account_from_wire(await self._call(self._ledger_stub.SetAccountLimits, request))
