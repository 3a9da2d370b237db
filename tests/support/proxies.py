"""A proxy between a server and PostgreSQL that reads the wire and breaks it at a COMMIT.

Owns the connections through it. Rules: everything passes unchanged until a test arms it; then the
next COMMIT of a write is treated as armed, once.
"""

import asyncio
import enum
from contextlib import suppress

HEAD_BYTES = 5
CHUNK_BYTES = 65_536
COMMIT = b"COMMIT"
LOCK = b"FOR UPDATE"


class AtCommit(enum.Enum):
    """What happens to the next COMMIT."""

    PASSES = "passes"
    ANSWER_LOST = "forwarded; the server's side of the connection breaks before the answer"
    NEVER_ARRIVES = "kept back; both connections break"
    HELD = "kept back until `release`"


class PostgresProxy:
    """Listens on a loopback port and forwards to PostgreSQL on another."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._released = asyncio.Event()
        self.at_commit = AtCommit.PASSES
        self.reached = asyncio.Event()

    async def __aenter__(self) -> "PostgresProxy":
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *error: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def url(self, database: str) -> str:
        """The url of a database through the proxy."""
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        return f"postgresql+asyncpg://postgres@127.0.0.1:{port}/{database}"

    def arm(self, at_commit: AtCommit) -> None:
        """Says what happens to the next COMMIT of a write; `reached` tells when it came."""
        self.reached.clear()
        self._released.clear()
        self.at_commit = at_commit

    def release(self) -> None:
        """Lets a COMMIT that was held go on."""
        self._released.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            upstream_reader, upstream_writer = await asyncio.open_connection(
                "127.0.0.1", self._target
            )
        except OSError:
            writer.close()
            return
        answers = asyncio.create_task(_copy(upstream_reader, writer))
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                await self._forward(reader, upstream_writer, writer, answers)
        finally:
            answers.cancel()
            upstream_writer.close()
            writer.close()

    async def _forward(
        self,
        reader: asyncio.StreamReader,
        upstream: asyncio.StreamWriter,
        client: asyncio.StreamWriter,
        answers: "asyncio.Task[None]",
    ) -> None:
        is_started = is_writer = False
        while True:
            head = await reader.readexactly(HEAD_BYTES if is_started else 4)
            body = await reader.readexactly(int.from_bytes(head[-4:], "big") - 4)
            message = head + body
            # asyncpg asks for TLS first (8 bytes); the startup message is longer.
            is_started = is_started or len(message) > 8
            is_writer = is_writer or LOCK in body
            armed = self.at_commit
            if is_writer and head[:1] == b"Q" and body.startswith(COMMIT):
                self.at_commit = AtCommit.PASSES
                if armed is AtCommit.NEVER_ARRIVES:
                    self.reached.set()
                    return
                if armed is AtCommit.ANSWER_LOST:
                    answers.cancel()
                    upstream.write(message)
                    await upstream.drain()
                    client.close()
                    self.reached.set()
                    return
                if armed is AtCommit.HELD:
                    self.reached.set()
                    await self._released.wait()
            upstream.write(message)
            await upstream.drain()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
        writer.close()
