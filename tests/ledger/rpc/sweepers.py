"""The product's sweeper, whose rounds the test asks for."""

import asyncio
from typing import ClassVar

from ledger.usecases.ledgers import Ledgers
from ledger.usecases.sweeper import Sweeper


class HandSweeper(Sweeper):
    """Stands still until `sweep` is called; the last one made is `latest`."""

    latest: ClassVar["HandSweeper"]

    def __init__(self, ledgers: Ledgers, *, interval_s: float) -> None:
        super().__init__(ledgers, interval_s=interval_s)
        self.ledgers = ledgers
        HandSweeper.latest = self

    async def run(self) -> None:
        """Waits to be stopped."""
        await asyncio.Event().wait()
