"""Resource names of one ledger: callers may give an id or the whole name.

Owns: which of the two a text is. Refuses: checking that such a thing exists (the server's part).
"""

from timebank.errors import Reason, TimebankError

CHAINED_HOLD = "-"
"""Names the hold that an earlier command of the same chain creates."""


class Names:
    """Makes resource names below one ledger."""

    __slots__ = ("_accounts", "_entries", "_holds", "_ledger_id")

    def __init__(self, ledger_id: str) -> None:
        """Takes the id of the ledger; empty when the caller works with no particular one."""
        self._ledger_id = ledger_id.removeprefix("ledgers/")
        self._accounts = f"ledgers/{self._ledger_id}/accounts/"
        self._holds = f"ledgers/{self._ledger_id}/holds/"
        self._entries = f"ledgers/{self._ledger_id}/entries/"

    @property
    def ledger_id(self) -> str:
        """Gives the ledger's id. Raises VALIDATION_FAILED when none was given."""
        if not self._ledger_id:
            raise TimebankError(
                Reason.VALIDATION_FAILED,
                "ledger: expected the id of a ledger, got none; pass ledger=... to connect()",
                field="ledger",
            )
        return self._ledger_id

    @property
    def ledger(self) -> str:
        """Gives the ledger's resource name. Raises VALIDATION_FAILED when none was given."""
        return f"ledgers/{self.ledger_id}"

    def account(self, account: str) -> str:
        """Gives the name of an account."""
        return account if "/" in account else self._below(self._accounts, account)

    def hold(self, hold: str) -> str:
        """Gives the name of a hold; `-` is the one created earlier in the same chain."""
        return hold if "/" in hold else self._below(self._holds, hold)

    def entry(self, entry: str | int) -> str:
        """Gives the name of an entry by its index from 0 or its name."""
        text = str(entry)
        return text if "/" in text else self._below(self._entries, text)

    def member(self, member: str) -> str:
        """Gives the name of a member by its volunteer number or its name."""
        return self._child("members", member)

    def record(self, record: str) -> str:
        """Gives the name of a service record."""
        return self._child("records", record)

    def policy(self, version: str) -> str:
        """Gives the name of a version of the policy."""
        return self._child("policies", version)

    def certificate(self, number: str) -> str:
        """Gives the name of a certificate."""
        return self._child("certificates", number)

    def _child(self, collection: str, id_: str) -> str:
        """Gives a name in a collection; nothing stays nothing."""
        return id_ if "/" in id_ or not id_ else f"{self.ledger}/{collection}/{id_}"

    def _below(self, prefix: str, id_: str) -> str:
        return prefix + id_ if self._ledger_id else f"{self.ledger}/{id_}"
