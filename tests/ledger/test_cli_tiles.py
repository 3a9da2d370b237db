"""Copying a log in its static form: complete, resumable, and nothing wrong stays unnoticed."""

import pathlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ledger.cli_http import HttpTiles
from ledger.cli_tiles import TileCopy
from timebank.errors import Reason, TimebankError
from timebank.tlog.checkpoint import Checkpoint
from timebank.tlog.merkle import leaf_hash, root_of
from timebank.tlog.tiles import (
    TILE_WIDTH,
    bundles_of,
    encode_bundle,
    entries_path,
    tile_path,
    tile_root,
    tiles_of,
)

SIZES = [0, 1, 255, 256, 257, 700, 256 * 256 + 5]


class LogInMemory:
    """A log's files by path; partial ones may be gone, as servers drop them."""

    def __init__(self, size: int) -> None:
        entries = [b"entry %d" % index for index in range(size)]
        self.files: dict[str, bytes] = {"checkpoint": b"note\n"}
        levels = [[leaf_hash(entry) for entry in entries]]
        while len(levels[-1]) >= TILE_WIDTH:
            full = len(levels[-1]) // TILE_WIDTH
            parts = (levels[-1][n * TILE_WIDTH : (n + 1) * TILE_WIDTH] for n in range(full))
            levels.append([tile_root(part) for part in parts])
        for tile in tiles_of(size):
            start = tile.n * TILE_WIDTH
            hashes = levels[tile.level][start : start + tile.width]
            self.files[tile_path(*tile)] = b"".join(hashes)
        for bundle in bundles_of(size):
            start = bundle.n * TILE_WIDTH
            self.files[entries_path(*bundle)] = encode_bundle(entries[start : start + bundle.width])
        self.checkpoint = Checkpoint("example/log", size, root_of(levels[0]))
        self.asked: list[str] = []

    def fetch(self, path: str, bytes_max: int) -> bytes | None:
        self.asked.append(path)
        return self.files.get(path)


def copied(folder: pathlib.Path, log: LogInMemory, *, entries: bool = True) -> int:
    """Copies and checks a log; gives how many files were fetched."""
    copy = TileCopy(folder, log)
    note = copy.fetch_checkpoint()
    files = copy.files(log.checkpoint.size, entries=entries)
    fetched = copy.download(files, lambda more: None)
    copy.verify(log.checkpoint, entries=entries, advance=lambda more: None)
    copy.finish(note)
    return fetched


@pytest.mark.parametrize("size", SIZES)
def test_a_log_of_any_size_is_copied_whole(tmp_path: pathlib.Path, size: int) -> None:
    log = LogInMemory(size)
    assert copied(tmp_path, log) == len(log.files) - 1
    found = {
        str(path.relative_to(tmp_path)): path.read_bytes()
        for path in tmp_path.rglob("*")
        if path.is_file()
    }
    assert found == log.files


def test_a_copy_without_entries_asks_for_none(tmp_path: pathlib.Path) -> None:
    log = LogInMemory(700)
    copied(tmp_path, log, entries=False)
    assert not any("entries" in path for path in log.asked)


def test_what_is_there_is_not_fetched_again(tmp_path: pathlib.Path) -> None:
    log = LogInMemory(700)
    copied(tmp_path, log)
    assert copied(tmp_path, log) == 0


def test_a_copy_is_brought_up_to_date(tmp_path: pathlib.Path) -> None:
    copied(tmp_path, LogInMemory(700))
    assert copied(tmp_path, LogInMemory(1_000)) == 4 + 1


def test_a_partial_file_that_is_gone_is_cut_from_the_full_one(tmp_path: pathlib.Path) -> None:
    older, newer = LogInMemory(700), LogInMemory(768)
    newer.checkpoint = older.checkpoint
    newer.files["tile/1/000.p/2"] = older.files["tile/1/000.p/2"]
    copied(tmp_path, newer)
    for path, data in older.files.items():
        assert (tmp_path / path).read_bytes() == data


SPOILT = ["tile/0/001", "tile/0/002.p/188", "tile/1/000.p/2", "tile/entries/001"]


@pytest.mark.parametrize("entries", [True, False])
@pytest.mark.parametrize("path", SPOILT)
def test_a_spoilt_file_is_noticed_and_fetched_again(
    tmp_path: pathlib.Path, path: str, entries: bool
) -> None:
    if "entries" in path:
        entries = True
    log = LogInMemory(700)
    copied(tmp_path, log, entries=entries)
    data = bytearray((tmp_path / path).read_bytes())
    data[-1] ^= 1
    (tmp_path / path).write_bytes(data)
    with pytest.raises(TimebankError, match="fetches it again") as refused:
        copied(tmp_path, log, entries=entries)
    assert refused.value.reason is Reason.VALIDATION_FAILED
    copied(tmp_path, log, entries=entries)
    assert (tmp_path / path).read_bytes() == log.files[path]


def test_a_truncated_file_is_fetched_again(tmp_path: pathlib.Path) -> None:
    log = LogInMemory(700)
    copied(tmp_path, log)
    (tmp_path / "tile/entries/001").write_bytes(b"\x00")
    with pytest.raises(TimebankError, match=r"tile/entries/001: .* removed"):
        copied(tmp_path, log)
    assert copied(tmp_path, log) == 1


def test_a_log_with_another_root_is_refused_and_gets_no_checkpoint(tmp_path: pathlib.Path) -> None:
    log = LogInMemory(700)
    log.checkpoint = Checkpoint("example/log", 700, b"\x01" * 32)
    with pytest.raises(TimebankError, match="another root"):
        copied(tmp_path, log)
    assert not (tmp_path / "checkpoint").exists()


def test_a_file_that_the_server_lacks_is_named(tmp_path: pathlib.Path) -> None:
    log = LogInMemory(700)
    del log.files["tile/0/001"]
    with pytest.raises(TimebankError, match="tile/0/001"):
        copied(tmp_path, log)


class _Answers(BaseHTTPRequestHandler):
    """Answers by path: a file, 403, 404, 500, or too much."""

    def do_GET(self) -> None:
        name = self.path.removeprefix("/ledgers/test/")
        body = self.headers.get("Authorization", "none").encode()
        body = body * 1_000 if name == "long" else body
        self.send_response(int(name) if name.isdigit() else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_token_travels_as_a_bearer_token(address: str) -> None:
    assert HttpTiles(address, "test", "secret").fetch("x", 100) == b"Bearer secret"
    assert HttpTiles(f"{address}/", "test").fetch("x", 100) == b"none"


def test_a_missing_file_is_none(address: str) -> None:
    assert HttpTiles(address, "test").fetch("404", 100) is None


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("401", Reason.SCOPE_MISSING),
        ("403", Reason.SCOPE_MISSING),
        ("500", Reason.DATABASE_UNAVAILABLE),
        ("long", Reason.VALIDATION_FAILED),
    ],
)
def test_other_answers_are_refusals(address: str, path: str, reason: Reason) -> None:
    with pytest.raises(TimebankError) as refused:
        HttpTiles(address, "test").fetch(path, 100)
    assert refused.value.reason is reason


@pytest.mark.parametrize("address", ["127.0.0.1:9464", "file:///etc/passwd", ""])
def test_only_http_addresses_are_taken(address: str) -> None:
    with pytest.raises(TimebankError, match="--http"):
        HttpTiles(address, "test")


def test_a_server_that_is_not_there_is_one_refusal() -> None:
    with pytest.raises(TimebankError) as refused:
        HttpTiles("http://127.0.0.1:1", "test").fetch("checkpoint", 100)
    assert refused.value.reason is Reason.DATABASE_UNAVAILABLE
