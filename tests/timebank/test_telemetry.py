"""Logs tell what failed and keep secrets to themselves."""

import io

import pytest

from timebank.telemetry import open_logger

SECRET = "Bearer S3Cr3T"


@pytest.mark.parametrize("format_", ["console", "json"])
def test_a_traceback_shows_no_local_variables(format_: str) -> None:
    stream = io.StringIO()
    logger = open_logger(stream, level="info", format=format_)

    def fail(authorization: str) -> None:
        raise ValueError(f"{len(authorization)} characters")

    try:
        fail(SECRET)
    except ValueError as error:
        logger.error("unexpected", exc_info=error)
    assert "13 characters" in stream.getvalue()
    assert "S3Cr3T" not in stream.getvalue()
