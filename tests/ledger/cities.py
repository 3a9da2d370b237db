"""A ledger with a policy that posts at once, for tests of commands about members and records.

Owns its opening, and a record as the command line submits it. All services lie in 2024, and the
policy is in force since 2020, so that nothing depends on the day on which a test runs.
"""

import json
import pathlib

from tests.ledger.terminal import Said, Terminal, new_ledger
from tests.support.processes import ServerProcess

POLICY: dict[str, object] = {
    "policy_id": "test",
    "effective_from": "2020-01-01",
    "earn": {"reward": "BOTH"},
    "publicity_days": 0,
    "spot_check_percent": 0,
}
WORDING = ("--issuer", "威海", "--person-in-charge", "李", "--handler", "张", "--contact", "0631")


def policy_file(folder: pathlib.Path, **changes: object) -> str:
    """Writes a policy and gives its path."""
    path = folder / "policy.json"
    path.write_text(json.dumps(POLICY | changes), encoding="utf-8")
    return str(path)


def new_city(server: ServerProcess, folder: pathlib.Path) -> Terminal:
    """Makes a ledger with the policy and the members `wang` and `li`."""
    terminal = new_ledger(server)
    done(terminal.run("policy", "adopt", policy_file(folder)))
    done(terminal.run("member", "register", "wang", "--unit", "huancui/12", "--name", "王阿姨"))
    done(terminal.run("member", "register", "li", "--unit", "huancui/12", "--key-elder"))
    return terminal


def done(said: Said) -> str:
    """Expects that a command did its work, and gives what it wrote."""
    assert (said.error, said.exit_code) == (None, 0), said
    return said.out


def submission(
    record: str, volunteer: str = "wang", *more: str, day: int = 1, evidence: str = "A"
) -> list[str]:
    """A record of two hours in March 2024."""
    start = f"2024-03-{day:02}"
    command = ["record", "submit", record, "--volunteer", volunteer, "--activity", "送药上门"]
    command += ["--organizer", "community", "--evidence", evidence]
    return [*command, "--start", f"{start} 09:00", "--end", f"{start} 11:00", *more]
