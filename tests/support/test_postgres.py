"""The PostgreSQL that tests use behaves like the one in production, crashes included."""

import asyncpg
import pytest

from tests.support.postgres import PostgresServer, running_postgres


def plain(url: str) -> str:
    """The url in the form that asyncpg itself understands."""
    return url.replace("postgresql+asyncpg://", "postgresql://")


async def test_a_fresh_database_is_empty(postgresql_url: str) -> None:
    connection = await asyncpg.connect(plain(postgresql_url))
    tables = await connection.fetchval(
        "SELECT count(*) FROM pg_tables"
        " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
    )
    await connection.close()
    assert tables == 0


@pytest.mark.parametrize("setting", ["fsync", "synchronous_commit", "full_page_writes"])
async def test_durability_is_never_off(postgresql_url: str, setting: str) -> None:
    connection = await asyncpg.connect(plain(postgresql_url))
    value = await connection.fetchval(f"SHOW {setting}")
    await connection.close()
    assert value == "on"


def test_a_committed_row_survives_a_crash_of_the_server() -> None:
    with running_postgres() as server:
        name = server.create_database()
        server.sql("CREATE TABLE kept AS SELECT 42 AS answer", name)
        server.restart("immediate")
        assert server.sql("SELECT answer FROM kept", name) == "42"


def test_a_template_is_built_once_and_copied(postgres: PostgresServer) -> None:
    builds: list[str] = []

    def build(url: str) -> None:
        builds.append(url)
        postgres.sql("CREATE TABLE ready AS SELECT 1 AS one", url.rsplit("/", 1)[1])

    names = [
        postgres.create_database(postgres.template("template_under_test", build)) for _ in range(2)
    ]
    assert [postgres.sql("SELECT one FROM ready", name) for name in names] == ["1", "1"]
    assert len(builds) == 1


def test_a_failing_statement_raises_with_the_message_of_the_server(
    postgres: PostgresServer,
) -> None:
    with pytest.raises(RuntimeError, match='relation "nowhere" does not exist'):
        postgres.sql("SELECT * FROM nowhere")


def test_programs_that_others_cannot_reach_are_copied_and_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tests.support.postgres._others_may_enter", lambda folder: False)
    with running_postgres() as server:
        assert server.sql("SELECT 1") == "1"
