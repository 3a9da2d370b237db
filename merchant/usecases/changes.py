"""Changes that somebody asks for: each once by its request id."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from merchant.domain.documents import Document
from merchant.domain.transactions import Transaction
from merchant.usecases.programmes import Programme, carry_out
from timebank.auth import Call


class Asker(NamedTuple):
    """Who asks for a change, and the id of the request."""

    call: Call
    request_id: bytes


async def changed(
    programme: Programme, rule: Callable[[Transaction], Document], said: object, asker: Asker
) -> Document:
    """Carries a rule out, or gives what it ended with before. Raises what the rule refuses with."""
    answer = await carry_out(
        programme, rule, call=asker.call, request_id=asker.request_id, said=said
    )
    return answer.document
