"""What the commands about members, records, stars and certificates share: options and files.

Owns: these options, asking back before what cannot be undone, and writing what a command answers
to a file. Refuses: the connection (see ledger/cli_options.py).
"""

from __future__ import annotations

import enum
import uuid
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from timebank.client.kinds import EvidenceClass, RecordState
from timebank.errors import Reason, TimebankError

MINUTES_MAX = 10_000_000

MemberId = Annotated[
    str, typer.Argument(metavar="MEMBER", help="Volunteer number 志愿者编号.", show_default=False)
]
RecordId = Annotated[
    str, typer.Argument(metavar="RECORD", help="Number of the record 记录编号.", show_default=False)
]
Memo = Annotated[str, typer.Option("--memo", help="Why; kept outside the log 备注.")]
RequestId = Annotated[
    str, typer.Option("--request-id", help="UUID; the same one never acts twice 请求编号.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask back 不再询问.")]
Minutes = Annotated[
    int,
    typer.Option(
        "--minutes", min=1, max=MINUTES_MAX, help="Minutes of TIME 分钟.", show_default=False
    ),
]


class EvidenceName(enum.StrEnum):
    """The classes of evidence by name, for options."""

    A = "A"
    B = "B"
    C = "C"
    D = "D"
    E = "E"

    @property
    def evidence(self) -> EvidenceClass:
        """Gives the class."""
        return EvidenceClass[self.value]


class RecordStateName(enum.StrEnum):
    """The states of a record by name, for options."""

    CLAIMED = "CLAIMED"
    VERIFIED = "VERIFIED"
    PUBLICISED = "PUBLICISED"
    POSTED = "POSTED"
    CORRECTED = "CORRECTED"
    VOIDED = "VOIDED"
    DISPUTED = "DISPUTED"

    @property
    def state(self) -> RecordState:
        """Gives the state."""
        return RecordState[self.value]


class RelationName(enum.StrEnum):
    """What a relative is to a member, for options."""

    SPOUSE = "SPOUSE"
    PARENT = "PARENT"
    CHILD = "CHILD"
    SIBLING = "SIBLING"
    GRANDPARENT = "GRANDPARENT"
    GRANDCHILD = "GRANDCHILD"


class RoleName(enum.StrEnum):
    """As what somebody evaluates a volunteer, for options."""

    RESIDENT = "RESIDENT"
    PEER = "PEER"
    COMMUNITY = "COMMUNITY"


def same_request(request_id: str) -> str:
    """Gives the request id that was said, or a new one."""
    return request_id or str(uuid.uuid4())


def ask_back(question: str, *, yes: bool) -> None:
    """Asks before what cannot be undone; ends the command unless the answer is yes."""
    if not yes:
        typer.confirm(question, abort=True)


def write_file(path: Path, data: bytes, *, option: str, done: str) -> None:
    """Writes what a command answered. Raises VALIDATION_FAILED saying what is `done` already."""
    try:
        path.write_bytes(data)
    except OSError as error:
        raise TimebankError(
            Reason.VALIDATION_FAILED,
            f"{option} {path}: {error.strerror}; {done}",
            field=option.lstrip("-"),
        ) from error


def say(text: str) -> None:
    """Writes a line, whole, for people and pipes."""
    Console(soft_wrap=True).print(Text(text))


def refusal(message: str, field: str) -> TimebankError:
    """Says what is wrong with the options."""
    return TimebankError(Reason.VALIDATION_FAILED, message, field=field)
