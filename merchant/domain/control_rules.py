"""Setting velocity controls 限额; velocity.py checks them."""

from __future__ import annotations

from merchant.domain.documents import Control, Controls
from merchant.domain.redemption_effects import PIECES
from merchant.domain.transactions import Transaction
from merchant.domain.velocity import CONTROLS_ID, CONTROLS_MAX, SPENT
from timebank.errors import Reason, TimebankError


def set_control(transaction: Transaction, control: Control) -> Controls:
    """Sets a control or replaces it; one that limits neither amount nor count is removed.

    Raises VALIDATION_FAILED for one more than CONTROLS_MAX, and for the system's own names.
    """
    if f"{control.control_id}/" in (SPENT, PIECES):
        raise _refused(f"{control.control_id} is a name of the system's own: take another id")
    before = transaction.find(Controls, CONTROLS_ID) or Controls(CONTROLS_ID)
    kept = {known.control_id: known for known in before.controls}
    kept.pop(control.control_id, None)
    if control.amount_max or control.count_max:
        kept[control.control_id] = control
    if len(kept) > CONTROLS_MAX:
        raise _refused(f"expected at most {CONTROLS_MAX} limits: remove one first")
    changed = Controls(CONTROLS_ID, tuple(kept[name] for name in sorted(kept)))
    transaction.put(changed)
    return changed


def _refused(text: str) -> TimebankError:
    return TimebankError(
        Reason.VALIDATION_FAILED,
        f"velocity_control: {text}",
        violations=[("velocity_control", text)],
        field="velocity_control",
    )
