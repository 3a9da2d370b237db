"""Messages of any type, filled at random near what they should be or far from it.

A test names the values of the fields whose plain values would hardly ever get past the first check.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

FIELDS_MAX = 3
ITEMS_MAX = 3
NUMBERS = (0, 1, -1, 2, 5, 6, 10, 60, 99, 720, 1_440, 10**7, 2**31 - 1, -(2**31))
LARGE = (2**63 - 1, -(2**63), 2**53)
BAD_SECONDS = (0, -1, 1, 2**40, -(2**62))
T = TypeVar("T")


class RandomMessages:
    """Draws the fields of messages; `seconds` are times near the present."""

    def __init__(
        self,
        *,
        text: st.SearchStrategy[str],
        seconds: st.SearchStrategy[int],
        by_name: Mapping[str, st.SearchStrategy[Any]],
    ) -> None:
        self._text = text
        self._seconds = seconds
        self._by_name = by_name

    def few_of(self, message: Descriptor) -> st.SearchStrategy[dict[str, Any]]:
        """A few fields of a message, filled at random."""
        fields = st.sampled_from(list(message.fields))
        return st.lists(fields, max_size=FIELDS_MAX, unique_by=_name_of).flatmap(self._filled)

    def _filled(self, fields: list[FieldDescriptor]) -> st.SearchStrategy[dict[str, Any]]:
        chosen = {}
        for field in fields:
            one = self._value_of(field)
            chosen[field.name] = st.lists(one, max_size=ITEMS_MAX) if field.is_repeated else one
        return st.fixed_dictionaries(chosen)

    def _value_of(self, field: FieldDescriptor) -> st.SearchStrategy[Any]:
        """A value of one field, near what it should be or far from it."""
        if field.message_type is not None:
            if field.message_type.full_name == "google.protobuf.Timestamp":
                seconds = self._seconds | st.sampled_from(BAD_SECONDS)
                return st.fixed_dictionaries({"seconds": seconds})
            return self.few_of(field.message_type)
        if field.name in self._by_name:
            return self._by_name[field.name]
        if field.type == FieldDescriptor.TYPE_STRING:
            return self._text
        if field.type == FieldDescriptor.TYPE_BYTES:
            return st.binary(max_size=8)
        if field.type == FieldDescriptor.TYPE_BOOL:
            return st.booleans()
        large = LARGE if field.type == FieldDescriptor.TYPE_INT64 else ()
        return st.sampled_from((*NUMBERS, *large))


def _name_of(field: FieldDescriptor) -> str:
    return str(field.name)


def put_together(good: Message, values: dict[str, Any], *, near: bool) -> Message:
    """Makes a request; one that is near a good one has its other fields."""
    request = type(good)(**values)
    if not near:
        return request
    for field in request.DESCRIPTOR.fields:
        if field.is_repeated and field.name in values:
            good.ClearField(field.name)
    good.MergeFrom(request)
    return good


def drawn(strategy: st.SearchStrategy[T], count: int) -> list[T]:
    """Draws so many examples at most, the same ones each time."""
    found: list[T] = []

    @settings(
        max_examples=count,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(example: T) -> None:
        found.append(example)

    collect()
    return found
