"""Messages that a test takes apart: one field replaced, by a path such as `record.place`."""

from typing import Any

from google.protobuf.message import Message


def replace_field(message: Message, path: str, value: object) -> None:
    """Replaces one field; a list replaces a list, None clears the field, and of a repeated message
    on the way it is the field of its first item.
    """
    *outer, last = path.split(".")
    place: Any = message
    for name in outer:
        place = getattr(place, name)
        place = place[0] if hasattr(place, "add") else place
    if value is None:
        place.ClearField(last)
    elif isinstance(value, list):
        del getattr(place, last)[:]
        getattr(place, last).extend(value)
    elif isinstance(value, Message):
        getattr(place, last).CopyFrom(value)
    else:
        setattr(place, last, value)
