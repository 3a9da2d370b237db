"""What a failing database is called: driver errors in the words of the time bank.

Owns: which failures mean that the database is unavailable or read-only. Refuses: everything else,
which is a mistake in the program: a wrong statement or a broken constraint stays the error it is.
Rules: a message never contains SQL, values or the url; it says what to do next.
"""

import sqlite3
from collections.abc import Iterator

import asyncpg
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from timebank.errors import Reason, TimebankError

DATABASE_ERRORS = (
    OSError,
    SQLAlchemyError,
    sqlite3.Error,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
)
"""Everything that a driver or SQLAlchemy raises when a database fails."""

_UNAVAILABLE = Reason.DATABASE_UNAVAILABLE
_READ_ONLY = Reason.READ_ONLY
_Failure = tuple[Reason, str]

_SQLITE_PRIMARY_CODE_MASK = 0xFF
_SQLITE: dict[int, _Failure] = {
    sqlite3.SQLITE_BUSY: (_UNAVAILABLE, "locked by another process; end it, or call again"),
    sqlite3.SQLITE_LOCKED: (_UNAVAILABLE, "locked by another connection; call again"),
    sqlite3.SQLITE_CANTOPEN: (_UNAVAILABLE, "the file cannot be opened; check its path and rights"),
    sqlite3.SQLITE_PERM: (_UNAVAILABLE, "the file may not be opened; check its rights"),
    sqlite3.SQLITE_IOERR: (_UNAVAILABLE, "the disk failed; check it, then start again"),
    sqlite3.SQLITE_NOTADB: (_UNAVAILABLE, "the file is no SQLite database; check database.url"),
    sqlite3.SQLITE_CORRUPT: (_UNAVAILABLE, "the file is damaged; restore the last backup"),
    sqlite3.SQLITE_FULL: (_READ_ONLY, "the disk is full; free some space"),
    sqlite3.SQLITE_READONLY: (_READ_ONLY, "the file may not be written; check its rights"),
}
# By SQLSTATE or its first two characters (PostgreSQL, appendix A); the longer one wins.
_POSTGRESQL: dict[str, _Failure] = {
    "08": (_UNAVAILABLE, "the connection broke; call again"),
    "25006": (_READ_ONLY, "the server is read-only (a standby); connect to the primary"),
    "25P03": (_UNAVAILABLE, "the transaction stood still for too long; call again"),
    "28": (
        _UNAVAILABLE,
        "the server refuses user or password; check database.url and password_file",
    ),
    "3D000": (_UNAVAILABLE, "the server has no such database; create it or check database.url"),
    "40": (_UNAVAILABLE, "the transaction collided with another one; call again"),
    "42P07": (
        _UNAVAILABLE,
        "it holds tables of another program; set database.url to a database of its own",
    ),
    "53": (_UNAVAILABLE, "the server has no room for another connection or query; call again"),
    "53100": (_READ_ONLY, "the server's disk is full; free some space"),
    "55P03": (_UNAVAILABLE, "a lock was not given in time; call again"),
    "57014": (_UNAVAILABLE, "a statement took too long; call again"),
    "57P": (_UNAVAILABLE, "the server is stopping or starting; call again"),
    "58": (_UNAVAILABLE, "the server's disk failed; check it, then call again"),
}
_SQLSTATE_PREFIXES = (5, 3, 2)


def translate_database_error(error: BaseException) -> TimebankError:
    """Gives the TimebankError of a driver's or SQLAlchemy's error: DATABASE_UNAVAILABLE or
    READ_ONLY.

    A mistake in the program has no such error: then `error` itself is raised.
    """
    for cause in _causes(error):
        failure = _failure(cause)
        if failure is not None:
            reason, what = failure
            return TimebankError(reason, f"database: {what}")
    raise error


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yields an error, what it wraps, and what caused it."""
    while error is not None:
        yield error
        inner = error.orig if isinstance(error, DBAPIError) else None
        error = inner if inner is not None else error.__cause__


def _failure(error: BaseException) -> _Failure | None:
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK)
        return _SQLITE.get(code & _SQLITE_PRIMARY_CODE_MASK)
    sqlstate = getattr(error, "sqlstate", None)
    if isinstance(sqlstate, str):
        found = (_POSTGRESQL.get(sqlstate[:length]) for length in _SQLSTATE_PREFIXES)
        return next((failure for failure in found if failure is not None), None)
    if isinstance(error, PoolTimeoutError):
        return (_UNAVAILABLE, "all connections are in use; call again")
    if isinstance(error, asyncpg.InterfaceError) and "clos" in str(error):
        return (_UNAVAILABLE, "the connection was closed; call again")
    if isinstance(error, TimeoutError):
        return (_UNAVAILABLE, "no answer in time; check that it runs and can be reached")
    if isinstance(error, OSError):
        what = error.strerror or type(error).__name__
        return (_UNAVAILABLE, f"cannot be reached ({what}); check that it runs and database.url")
    return None
