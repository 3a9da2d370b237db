"""The static files of a log as a server's HTTP side gives them.

Owns: addresses, permission, a few attempts, and the length of an answer. Refuses: judging content.
"""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from typing import Protocol

from timebank.errors import Reason, TimebankError

FETCH_TIMEOUT_S = 30
FETCH_ATTEMPTS_MAX = 3
NOT_FOUND = 404


class TileSource(Protocol):
    """Where the files of a log come from."""

    def fetch(self, path: str, bytes_max: int) -> bytes | None:
        """Gives the bytes of a path; None when there is no such file."""


class HttpTiles:
    """The files of one ledger's log below the address of a server's HTTP side."""

    def __init__(self, address: str, ledger: str, token: str | None = None) -> None:
        """Takes an address such as `http://127.0.0.1:9464`. Raises VALIDATION_FAILED otherwise."""
        if not address.startswith(("http://", "https://")):
            raise TimebankError(
                Reason.VALIDATION_FAILED,
                f"--http: expected an address such as http://127.0.0.1:9464, got {address[:80]!r}",
                field="http",
            )
        self._base = f"{address.rstrip('/')}/ledgers/{ledger}/"
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def fetch(self, path: str, bytes_max: int) -> bytes | None:
        """Fetches a path; None on 404.

        Raises SCOPE_MISSING without permission, VALIDATION_FAILED when it is too long, and
        DATABASE_UNAVAILABLE when the server does not answer after a few attempts.
        """
        url = self._base + path
        problem = ""
        for _ in range(FETCH_ATTEMPTS_MAX):
            request = urllib.request.Request(url, headers=self._headers)
            try:
                with urllib.request.urlopen(request, timeout=FETCH_TIMEOUT_S) as answer:
                    data: bytes = answer.read(bytes_max + 1)
            except urllib.error.HTTPError as error:
                if error.code == NOT_FOUND:
                    return None
                _refuse_forbidden(error.code, url)
                problem = f"HTTP status {error.code}"
            except (OSError, http.client.HTTPException) as error:
                problem = str(error) or type(error).__name__
            else:
                if len(data) > bytes_max:
                    raise TimebankError(
                        Reason.VALIDATION_FAILED,
                        f"{url}: is longer than {bytes_max:,} bytes, which no such file is",
                        url=url,
                    )
                return data
        raise TimebankError(
            Reason.DATABASE_UNAVAILABLE,
            f"{url}: {problem}; check --http and that the server runs, then run it again",
            url=url,
        )


def _refuse_forbidden(status: int, url: str) -> None:
    if status in (401, 403):
        raise TimebankError(
            Reason.SCOPE_MISSING,
            f"{url}: HTTP status {status}; entries need an auditor's --token, or use --no-entries",
            url=url,
        )
