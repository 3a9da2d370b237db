"""Times between Python and the wire: aware datetimes here, whole microseconds there.

Owns: the conversions. Refuses: naive datetimes, which would mean another moment on another machine.
"""

from datetime import UTC, datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp

from timebank.errors import Reason, TimebankError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
US_PER_S = 1_000_000
NS_PER_US = 1_000


def time_to_wire(time: datetime | None, field: str) -> Timestamp | None:
    """Gives the timestamp of a time; None stays None. Raises VALIDATION_FAILED when it is naive."""
    if time is None:
        return None
    if time.tzinfo is None:
        raise TimebankError(
            Reason.VALIDATION_FAILED,
            f"{field}: expected a datetime with a time zone, got {time.isoformat()} without one; "
            "use datetime(..., tzinfo=...)",
            field=field,
        )
    seconds, us = divmod((time - EPOCH) // MICROSECOND, US_PER_S)
    return Timestamp(seconds=seconds, nanos=us * NS_PER_US)


def time_from_wire(timestamp: Timestamp) -> datetime:
    """Gives the UTC time of a timestamp, cut to whole microseconds."""
    us = timestamp.seconds * US_PER_S + timestamp.nanos // NS_PER_US
    return time_from_us(us)


def optional_time(timestamp: Timestamp) -> datetime | None:
    """Gives the time of a field that may be unset, which reads as 1970-01-01T00:00:00Z: None."""
    return time_from_wire(timestamp) if timestamp.seconds or timestamp.nanos else None


def time_from_us(us: int) -> datetime:
    """Gives the UTC time of microseconds since 1970-01-01T00:00:00Z.

    Raises VALIDATION_FAILED when a datetime cannot hold it.
    """
    try:
        return EPOCH + timedelta(microseconds=us)
    except OverflowError as error:
        raise TimebankError(
            Reason.VALIDATION_FAILED,
            f"expected a time within the years 1 to 9999, got {us} microseconds since 1970",
        ) from error
