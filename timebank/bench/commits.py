"""What the server says of its commits: how many there were, and how many requests they carried.

Owns: reading two numbers from the server's own /metrics. Refuses: any other metric.
"""

import asyncio
import urllib.request
from typing import NamedTuple, Self

from prometheus_client.parser import text_string_to_metric_families

from timebank.bench.servers import Server

FAMILY = "timebank_ledger_batch_items"
TIMEOUT_S = 10.0


class Commits(NamedTuple):
    """Commits of a ledger since its server started, and the requests in them."""

    commits: float = 0.0
    requests: float = 0.0

    def since(self, earlier: Self) -> "Commits":
        """Gives what came after an earlier reading."""
        return Commits(self.commits - earlier.commits, self.requests - earlier.requests)


async def commits_of(server: Server, ledger: str) -> Commits:
    """Reads the numbers of a ledger; zeros before its first commit."""
    return parse(await asyncio.to_thread(_metrics, server), ledger)


def _metrics(server: Server) -> str:
    # The address is that of a server which the benchmark started itself.
    url = f"http://{server.http_address}/metrics"
    with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
        text: bytes = answer.read()
    return text.decode()


def parse(metrics: str, ledger: str) -> Commits:
    """Finds the numbers of a ledger in Prometheus' text format."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(metrics):
        for sample in family.samples:
            if sample.labels.get("ledger") == ledger:
                found[sample.name] = sample.value
    return Commits(found.get(f"{FAMILY}_count", 0.0), found.get(f"{FAMILY}_sum", 0.0))
