"""The key ring: files that only their owner reads, the newest key signs, no secret is shown."""

import os
import stat
from pathlib import Path

import pytest

from tests.timebank.key_texts import FILE, LOG_VKEY, ORIGIN, PRIVATE, SEED_TEXT, reason_of
from timebank.errors import Reason, TimebankError
from timebank.key_files import KEY_FILE_BYTES_MAX
from timebank.signing import KEYS_PER_ORIGIN_MAX, KeyInfo, KeyRing


class CountedSeeds:
    """Random bytes that a test can foretell: 32 times 1, then 32 times 2, and so on."""

    def __init__(self) -> None:
        self.given = 0

    def __call__(self, count: int) -> bytes:
        self.given += 1
        return bytes([self.given]) * count


@pytest.fixture
def keys_dir(tmp_path: Path) -> Path:
    """A keys directory that does not exist yet."""
    return tmp_path / "etc" / "keys"


@pytest.fixture
def ring(keys_dir: Path) -> KeyRing:
    """A ring over that directory with foretold seeds: the first is 32 times 1."""
    return KeyRing(keys_dir, random_bytes=CountedSeeds())


def write_key(keys_dir: Path, text: str, *, name: str = FILE, mode: int = 0o600) -> Path:
    """Writes a key file by hand."""
    keys_dir.mkdir(parents=True, exist_ok=True)
    path = keys_dir / name
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_new_key_is_written_for_its_owner_only(ring: KeyRing, keys_dir: Path) -> None:
    made = ring.create(ORIGIN)

    assert made == KeyInfo(ORIGIN, LOG_VKEY, FILE, current=True)
    assert (keys_dir / FILE).read_text() == f"{PRIVATE}\n"
    assert stat.S_IMODE((keys_dir / FILE).stat().st_mode) == 0o600
    assert stat.S_IMODE(keys_dir.stat().st_mode) == 0o700
    assert sorted(path.name for path in keys_dir.iterdir()) == [FILE, FILE[:-3] + "vkey"]


def test_the_verifier_keys_are_written_beside_it_for_everybody(
    ring: KeyRing, keys_dir: Path
) -> None:
    ring.create(ORIGIN)
    rotated = ring.rotate(ORIGIN)

    public = keys_dir / "timebank.example_ledger.vkey"
    assert public.read_text() == f"{LOG_VKEY}\n{rotated.vkey}\n"


def test_random_keys_differ(keys_dir: Path) -> None:
    ring = KeyRing(keys_dir)

    assert ring.create("a.example").vkey[-40:] != ring.create("b.example").vkey[-40:]


def test_the_newest_key_signs_and_older_ones_can_be_asked_for(ring: KeyRing) -> None:
    first = ring.create(ORIGIN)
    assert ring.signer(ORIGIN).vkey == first.vkey

    second = ring.rotate(ORIGIN)

    assert ring.signer(ORIGIN).vkey == second.vkey
    assert ring.signer(ORIGIN, first.vkey).vkey == first.vkey
    assert [(info.vkey, info.current) for info in ring.list()] == [
        (first.vkey, False),
        (second.vkey, True),
    ]


def test_a_key_that_another_process_wrote_is_seen_at_the_next_call(
    ring: KeyRing, keys_dir: Path
) -> None:
    ring.create(ORIGIN)
    ring.signer(ORIGIN)

    rotated = KeyRing(keys_dir).rotate(ORIGIN)

    assert ring.signer(ORIGIN).vkey == rotated.vkey


def test_an_unchanged_file_is_read_once(ring: KeyRing) -> None:
    ring.create(ORIGIN)

    assert ring.signer(ORIGIN) is ring.signer(ORIGIN)


def test_a_removed_key_no_longer_signs(ring: KeyRing, keys_dir: Path) -> None:
    ring.create(ORIGIN)
    ring.signer(ORIGIN)
    (keys_dir / FILE).unlink()

    refused = reason_of(lambda: ring.signer(ORIGIN), "no signing key")

    assert refused is Reason.SIGNING_KEY_MISSING


def test_a_missing_key_says_what_to_do(ring: KeyRing) -> None:
    refused = reason_of(lambda: ring.signer(ORIGIN), f"timebank keys new {ORIGIN}")

    assert refused is Reason.SIGNING_KEY_MISSING
    assert reason_of(lambda: ring.rotate(ORIGIN), "keys new") is Reason.SIGNING_KEY_MISSING


def test_a_missing_key_of_a_known_origin_is_named(ring: KeyRing) -> None:
    ring.create("other.example")

    refused = reason_of(lambda: ring.signer("other.example", LOG_VKEY), LOG_VKEY)

    assert refused is Reason.SIGNING_KEY_MISSING


def test_asking_for_a_missing_key_makes_no_directory(ring: KeyRing, keys_dir: Path) -> None:
    with pytest.raises(TimebankError):
        ring.rotate(ORIGIN)

    assert not keys_dir.exists()
    assert ring.list() == []


def test_creating_twice_keeps_the_first_key(ring: KeyRing, keys_dir: Path) -> None:
    ring.create(ORIGIN)

    refused = reason_of(lambda: ring.create(ORIGIN), "keys rotate")

    assert refused is Reason.VALIDATION_FAILED
    assert (keys_dir / FILE).read_text() == f"{PRIVATE}\n"


def test_two_origins_that_share_a_file_name_are_told_apart(ring: KeyRing) -> None:
    ring.create(ORIGIN)
    alike = ORIGIN.replace("/", "_")

    assert reason_of(lambda: ring.create(alike), "exists") is Reason.VALIDATION_FAILED
    refused = reason_of(lambda: ring.signer(alike), f"got keys of {ORIGIN}")
    assert refused is Reason.SIGNER_UNAVAILABLE


@pytest.mark.parametrize("origin", ["", "a b", "a+b", "a\x00b", "x" * 201, "\ud800"])
def test_an_origin_that_is_no_key_name_is_refused(ring: KeyRing, origin: str) -> None:
    for call in (ring.create, ring.rotate, ring.signer):
        with pytest.raises(TimebankError, match="key name") as caught:
            call(origin)
        assert caught.value.reason is Reason.VALIDATION_FAILED


@pytest.mark.parametrize("origin", ["../../escape", "/absolute", "..", ".", "行" * 66])
def test_an_origin_never_leaves_the_directory(ring: KeyRing, keys_dir: Path, origin: str) -> None:
    made = ring.create(origin)

    assert (keys_dir / made.source).is_file()
    assert {path.parent for path in keys_dir.parent.rglob("*.*key")} == {keys_dir}
    assert ring.signer(origin).vkey == made.vkey
    assert list(ring.list()) == [made]


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o660, 0o604, 0o610, 0o601, 0o777])
def test_a_file_open_to_others_is_refused_with_what_to_do(
    ring: KeyRing, keys_dir: Path, mode: int
) -> None:
    write_key(keys_dir, PRIVATE, mode=mode)

    for call in (lambda: ring.signer(ORIGIN), ring.list, lambda: ring.rotate(ORIGIN)):
        assert reason_of(call, "chmod 600") is Reason.SIGNER_UNAVAILABLE


def test_rights_given_to_others_later_are_noticed(ring: KeyRing, keys_dir: Path) -> None:
    ring.create(ORIGIN)
    ring.signer(ORIGIN)
    (keys_dir / FILE).chmod(0o644)

    assert reason_of(lambda: ring.signer(ORIGIN), "chmod 600") is Reason.SIGNER_UNAVAILABLE


def test_a_read_only_file_of_the_owner_signs(ring: KeyRing, keys_dir: Path) -> None:
    write_key(keys_dir, PRIVATE, mode=0o400)

    assert ring.signer(ORIGIN).vkey == LOG_VKEY


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "1 to 100 private keys, got 0"),
        ("\n \n", "1 to 100 private keys, got 0"),
        ("nonsense", "key 1: private key"),
        (f"{PRIVATE}\n{PRIVATE[:-1]}\n", "key 2: private key"),
        (LOG_VKEY, "key 1: private key"),
        (f"{PRIVATE}\n" * (KEYS_PER_ORIGIN_MAX + 1), "got 101"),
        ("x" * (KEY_FILE_BYTES_MAX + 1), "at most"),
        ("PRIVATE+KEY+other.example+b7ee0cf2+" + SEED_TEXT, "key 1"),
    ],
)
def test_a_malformed_file_is_refused_in_one_line(
    ring: KeyRing, keys_dir: Path, text: str, words: str
) -> None:
    write_key(keys_dir, text)

    assert reason_of(lambda: ring.signer(ORIGIN), words) is Reason.SIGNER_UNAVAILABLE
    assert reason_of(ring.list, words) is Reason.SIGNER_UNAVAILABLE


def test_a_file_that_is_no_text_is_refused(ring: KeyRing, keys_dir: Path) -> None:
    write_key(keys_dir, "").write_bytes(b"\xff\xfe")

    assert reason_of(lambda: ring.signer(ORIGIN), "text") is Reason.SIGNER_UNAVAILABLE


def test_a_directory_or_a_pipe_in_place_of_a_file_is_refused(ring: KeyRing, keys_dir: Path) -> None:
    (keys_dir / FILE).mkdir(parents=True)
    assert reason_of(lambda: ring.signer(ORIGIN), "key file") is Reason.SIGNER_UNAVAILABLE

    os.mkfifo(keys_dir / "pipe.example.key", 0o600)
    refused = reason_of(lambda: ring.signer("pipe.example"), "regular file")
    assert refused is Reason.SIGNER_UNAVAILABLE


def test_a_file_under_another_name_than_its_origin_is_refused(
    ring: KeyRing, keys_dir: Path
) -> None:
    write_key(keys_dir, PRIVATE, name="wrong.example.key")

    for call in (lambda: ring.signer("wrong.example"), ring.list):
        assert reason_of(call, f"expected {FILE}") is Reason.SIGNER_UNAVAILABLE


def test_keys_of_two_origins_in_one_file_are_refused(ring: KeyRing, keys_dir: Path) -> None:
    other = KeyRing(keys_dir).create("other.example")
    text = (keys_dir / other.source).read_text()
    (keys_dir / other.source).unlink()
    write_key(keys_dir, f"{PRIVATE}\n{text}")

    assert reason_of(lambda: ring.signer(ORIGIN), "one origin") is Reason.SIGNER_UNAVAILABLE


def test_a_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ring = KeyRing(tmp_path / "file" / "keys")

    assert reason_of(lambda: ring.create(ORIGIN), "key file") is Reason.SIGNER_UNAVAILABLE
    assert reason_of(lambda: ring.signer(ORIGIN), "key file") is Reason.SIGNER_UNAVAILABLE
    assert reason_of(ring.list, "keys directory") is Reason.SIGNER_UNAVAILABLE


def test_an_origin_has_at_most_a_hundred_keys(ring: KeyRing, keys_dir: Path) -> None:
    write_key(keys_dir, f"{PRIVATE}\n" * KEYS_PER_ORIGIN_MAX)

    refused = reason_of(lambda: ring.rotate(ORIGIN), "at most 100 keys")

    assert refused is Reason.VALIDATION_FAILED
    assert not list(keys_dir.glob("*.lock"))


def test_a_change_in_progress_keeps_others_out(ring: KeyRing, keys_dir: Path) -> None:
    ring.create(ORIGIN)
    lock = keys_dir / f"{FILE}.lock"
    lock.touch()

    refused = reason_of(lambda: ring.rotate(ORIGIN), f"remove {lock.name}")

    assert refused is Reason.SIGNER_UNAVAILABLE
    assert ring.signer(ORIGIN).vkey == LOG_VKEY
    lock.unlink()
    assert ring.rotate(ORIGIN).current


def test_a_write_cut_short_before_leaves_the_old_keys(ring: KeyRing, keys_dir: Path) -> None:
    ring.create(ORIGIN)
    (keys_dir / f"{FILE}.part").write_text("half a k")

    assert ring.signer(ORIGIN).vkey == LOG_VKEY
    rotated = ring.rotate(ORIGIN)
    assert [info.vkey for info in ring.list()] == [LOG_VKEY, rotated.vkey]


def test_a_variable_of_the_environment_signs_like_a_file(keys_dir: Path) -> None:
    ring = KeyRing(keys_dir, {"TIMEBANK_KEY_MAIN": f" {PRIVATE}\n", "TIMEBANK_KEYS": "no key"})

    assert ring.signer(ORIGIN).vkey == LOG_VKEY
    assert list(ring.list()) == [KeyInfo(ORIGIN, LOG_VKEY, "TIMEBANK_KEY_MAIN", current=True)]


def test_variables_and_files_are_listed_together_by_origin(ring: KeyRing, keys_dir: Path) -> None:
    ring.create("z.example")
    ring.create("a.example")

    both = KeyRing(keys_dir, {"TIMEBANK_KEY_MAIN": PRIVATE})

    assert [info.origin for info in both.list()] == ["a.example", ORIGIN, "z.example"]


def test_a_malformed_variable_is_named_and_its_value_is_not_shown(keys_dir: Path) -> None:
    environment = {"TIMEBANK_KEY_MAIN": PRIVATE[:-1]}

    refused = reason_of(lambda: KeyRing(keys_dir, environment), "variable TIMEBANK_KEY_MAIN: key 1")

    assert refused is Reason.SIGNER_UNAVAILABLE


def test_one_origin_in_two_variables_or_in_file_and_variable_is_refused(
    ring: KeyRing, keys_dir: Path
) -> None:
    twice = {"TIMEBANK_KEY_A": PRIVATE, "TIMEBANK_KEY_B": PRIVATE}
    assert reason_of(lambda: KeyRing(keys_dir, twice), "both") is Reason.SIGNER_UNAVAILABLE

    ring.create(ORIGIN)
    both = KeyRing(keys_dir, {"TIMEBANK_KEY_A": PRIVATE})
    assert reason_of(lambda: both.signer(ORIGIN), "both") is Reason.SIGNER_UNAVAILABLE


def test_a_key_from_the_environment_is_not_changed_here(keys_dir: Path) -> None:
    ring = KeyRing(keys_dir, {"TIMEBANK_KEY_A": PRIVATE})

    for call in (ring.rotate, ring.create):
        with pytest.raises(TimebankError, match="TIMEBANK_KEY_A") as caught:
            call(ORIGIN)
        assert caught.value.reason is Reason.VALIDATION_FAILED
    assert not keys_dir.exists()
