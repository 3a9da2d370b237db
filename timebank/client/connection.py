"""The client of a ledger: every method of its contract in Python words.

Owns: opening and closing the connection. Rules: a client belongs to one event loop and one ledger;
leaving its block waits for what was asked for, unless an exception leaves it: then it is given up.
"""

from collections.abc import Callable
from types import TracebackType
from typing import Self

import grpc.aio

from timebank.channels import TlsFiles, open_channel
from timebank.client.administration import Administration
from timebank.client.batches import CALLS_MAX, ITEMS_MAX
from timebank.client.calls import TIMEOUT_S, Caller, Repetition
from timebank.client.certificates import Certificates
from timebank.client.members import Members
from timebank.client.movements import Movements
from timebank.client.policies import Policies
from timebank.client.readings import Readings
from timebank.client.records import Records
from timebank.client.stars import Stars
from timebank.client.time_gifts import TimeGifts


class LedgerClient(
    Administration,
    Movements,
    Readings,
    Members,
    TimeGifts,
    Records,
    Policies,
    Stars,
    Certificates,
):
    """A connection to a server, for one ledger.

    Example:
        async with LedgerClient.connect("127.0.0.1:50051", ledger="weihai") as client:
            result = await client.post(
                kind=EntryKind.REDEMPTION,
                postings=move(debit=member, credit=merchant, unit=Unit.POINTS, amount=5),
            )

    """

    @classmethod
    def connect(
        cls,
        address: str,
        *,
        ledger: str = "",
        token: str | Callable[[], str] | None = None,
        tls: TlsFiles | None = None,
        actor: str | None = None,
        language: str | None = None,
        timeout_s: float = TIMEOUT_S,
        repetition: Repetition | None = None,
        batch_items_max: int = ITEMS_MAX,
        batch_calls_max: int = CALLS_MAX,
    ) -> Self:
        """Makes a client of the server at `host:port`; use it as an asynchronous context manager.

        `token` is a bearer token or what gives a fresh one; `actor` the end user that a service
        acts for; `language` that of refusals, e.g. `zh-CN`; `timeout_s` the deadline of each
        attempt. Nothing is sent before the first call.

        Raises VALIDATION_FAILED when a TLS file cannot be read.
        """
        call = Caller(
            token=token,
            actor=actor,
            language=language,
            timeout_s=timeout_s,
            repetition=repetition,
        )
        return cls(
            open_channel(address, tls=tls),
            ledger=ledger,
            call=call,
            items_max=batch_items_max,
            calls_max=batch_calls_max,
        )

    @classmethod
    def on_channel(
        cls,
        channel: grpc.aio.Channel,
        *,
        ledger: str = "",
        call: Caller | None = None,
    ) -> Self:
        """Makes a client on a channel that is open already; leaving the block closes it."""
        return cls(channel, ledger=ledger, call=call or Caller())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._batcher is not None:
            if error is None:
                await self._batcher.drain()
            else:
                self._batcher.abandon()
        await self.close()

    async def close(self) -> None:
        """Closes the connection; calls under way fail."""
        await self._channel.close()
