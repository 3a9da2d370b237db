"""The ledger's command line in the test's own process, against a server in another.

Owns running a command and reading what it said; the root command's way of showing errors is kept.
"""

import itertools
import re
from dataclasses import dataclass

from typer.testing import CliRunner

from ledger.cli import app
from tests.support.keys import make_key
from tests.support.processes import ServerProcess
from timebank.errors import Reason, TimebankError

_NUMBERS = itertools.count(1)
_ID = re.compile(r"\b[0-9a-hjkmnp-tv-z]{26}\b")


@dataclass(frozen=True, slots=True)
class Said:
    """What a command wrote and how it ended."""

    out: str
    exit_code: int
    error: TimebankError | None

    @property
    def reason(self) -> Reason | None:
        return self.error.reason if self.error is not None else None


class Terminal:
    """Runs commands with the environment of somebody who works with one ledger."""

    def __init__(self, server: ServerProcess | None = None, ledger: str = "test") -> None:
        self.ledger = ledger
        self.server = "" if server is None else server.grpc_address
        self.environment = {"COLUMNS": "160", "TIMEBANK_LEDGER": ledger}
        if server is not None:
            self.environment["TIMEBANK_SERVER"] = server.grpc_address
            self.environment["TIMEBANK_HTTP"] = f"http://{server.http_address}"

    def run(self, *arguments: str, answer: str = "") -> Said:
        result = CliRunner().invoke(app, arguments, env=self.environment, input=answer)
        error = result.exception
        if isinstance(error, TimebankError):
            return Said(result.output, 1, error)
        if error is not None and not isinstance(error, SystemExit):
            raise error
        return Said(result.output, result.exit_code, None)

    def account(self, kind: str, unit: str, holder: str = "") -> str:
        """Gives the id of the first account of a kind and unit, as the command line shows it."""
        said = self.run("accounts", "--kind", kind, "--unit", unit, "--holder", holder)
        found = _ID.search(said.out)
        assert found is not None, said
        return found[0]


def new_ledger(server: ServerProcess) -> Terminal:
    """Makes a ledger with a key and a log of its own; gives the terminal of its operator."""
    terminal = Terminal(server, f"test-{next(_NUMBERS)}")
    origin = f"timebank.example/{terminal.ledger}"
    make_key(server.folder, origin)
    said = terminal.run(
        "ledger", "create", terminal.ledger, "--origin", origin, "--name", "威海时间银行"
    )
    assert said.exit_code == 0, said
    return terminal
