"""Facts and tallies as messages, and back: the part of a leaf that is about members and records.

A message has the fields of its domain class, by name; fields at their defaults are left out.
"""

import enum
from collections.abc import Iterable
from typing import Any

from ledger.domain import facts as f
from ledger.domain.register import Known
from timebank.ledger.v1 import entry_pb2, fact_pb2

_FIELDS: dict[type, str] = {
    f.Member: "member",
    f.Record: "record",
    f.PolicyRow: "policy",
    f.Star: "star",
    f.FamilyLink: "family_link",
    f.Evaluation: "evaluation",
    f.NoShow: "no_show",
    f.CertificateRow: "certificate",
}
_CLASSES: dict[str, Any] = {name: cls for cls, name in _FIELDS.items()}
_ENUMS: dict[tuple[type, str], type[enum.IntEnum]] = {
    (f.Member, "state"): f.MemberState,
    (f.Record, "state"): f.RecordState,
    (f.Record, "evidence"): f.Evidence,
    (f.Record, "spot_check"): f.SpotCheck,
    (f.CertificateRow, "state"): f.CertificateState,
}
_IDS = {name: cls._fields[0] for name, cls in _CLASSES.items()}
"""The field of each fact that names its subject."""
_PUBLICISED = int(f.RecordState.PUBLICISED)
_TUPLES = {"verifiers", "external_ids", "bonuses", "medals", "record_ids"}


def _plan(cls: Any) -> list[tuple[str, type[enum.IntEnum] | None, bool]]:
    return [(name, _ENUMS.get((cls, name)), name in _TUPLES) for name in cls._fields]


_PLANS = {cls: _plan(cls) for cls in _FIELDS}


Fields = dict[str, Any]
"""Fields of a message by name: protobuf builds messages within messages from them at once."""


def facts_to_fields(facts: Iterable[f.Fact]) -> list[Fields]:
    """Gives the facts of an entry as fields."""
    found = []
    for fact in facts:
        said: Fields = {
            name: value for name, value in zip(fact._fields, fact, strict=True) if value
        }
        if "parts" in said:
            said["parts"] = [part._asdict() for part in said["parts"]]
        found.append({_FIELDS[type(fact)]: said})
    return found


def tallies_to_fields(tallies: Iterable[tuple[f.TallyKey, int]]) -> list[Fields]:
    """Gives the changes of running sums of an entry as fields."""
    return [
        {"subject": subject, "name": name, "period": period, "amount": amount}
        for (subject, name, period), amount in tallies
    ]


def facts_from_message(message: entry_pb2.Entry) -> tuple[f.Fact, ...]:
    """Reads the facts of an entry. Raises ValueError for a kind or state that is not known."""
    return tuple(fact_from_message(item) for item in message.facts)


def fact_from_message(item: fact_pb2.Fact) -> f.Fact:
    """Reads one fact."""
    which = item.WhichOneof("fact")
    cls: Any = _CLASSES.get(which or "")
    if cls is None:
        raise ValueError("a fact is empty or of a kind that this program does not know")
    body = getattr(item, which or "")
    values: list[Any] = []
    for name, states, is_tuple in _PLANS[cls]:
        value = getattr(body, name)
        if name == "parts":
            value = tuple(_part(part) for part in value)
        elif is_tuple:
            value = tuple(value)
        elif states is not None:
            value = states(value)
        values.append(value)
    fact: f.Fact = cls(*values)
    return fact


def _part(part: fact_pb2.RecordPart) -> f.RecordPart:
    return f.RecordPart(
        part.start_us,
        part.end_us,
        part.day,
        part.minutes,
        part.version,
        part.time,
        part.pool_time,
        part.points,
        part.points_expire_us,
    )


def known_in(data: bytes, wanted: f.FactKey | None = None) -> list[Known]:
    """Reads the facts of a leaf, or only the one wanted."""
    message = entry_pb2.Entry.FromString(data)
    tallies = tallies_from_message(message)
    return [
        Known(fact, message.index, tallies)
        for item in message.facts
        if wanted is None or _is_about(item, wanted)
        for fact in (fact_from_message(item),)
    ]


def _is_about(item: fact_pb2.Fact, wanted: f.FactKey) -> bool:
    which = item.WhichOneof("fact") or ""
    kind, fact_id = wanted
    cls = _CLASSES.get(which)
    if cls is None or f.KINDS[cls] != kind:
        return False
    return bool(getattr(getattr(item, which), _IDS[which]) == fact_id)


def tallies_from_message(message: entry_pb2.Entry) -> tuple[tuple[f.TallyKey, int], ...]:
    """Reads the changes of running sums of an entry."""
    return tuple(((t.subject, t.name, t.period), t.amount) for t in message.tallies)


def fact_row(item: fact_pb2.Fact, index: int) -> tuple[f.FactRow, f.Fact | None]:
    """Gives the row of a fact, and the fact itself unless it is a record: for audits, which keep no
    records.

    Raises ValueError for a kind that is not known.
    """
    if item.WhichOneof("fact") != "record":
        fact = fact_from_message(item)
        return f.row_of(fact, index), fact
    record = item.record
    state = record.state
    return f.FactRow(
        2,
        record.record_id,
        f"2/{record.volunteer}",
        state,
        record.started_us,
        record.ended_us,
        record.due_us if state == _PUBLICISED else None,
        index,
    ), None
