"""`timebank keys`: makes, lists and rotates keys, and shows public halves only."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from timebank.keys_cli import app
from timebank.signing import KeyRing

ORIGIN = "timebank.example/ledger"
FILE = "timebank.example_ledger.key"


@pytest.fixture
def keys_dir(tmp_path: Path) -> Path:
    """A keys directory that does not exist yet."""
    return tmp_path / "keys"


def keys(*arguments: str | Path) -> Result:
    """Runs the command in this process."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def secrets_of(keys_dir: Path) -> list[str]:
    """The secret part of every key in the directory."""
    return [
        line.rpartition("+AQ")[2] or line
        for path in keys_dir.glob("*.key")
        for line in path.read_text().split()
    ]


def assert_fails_in_one_line(result: Result, words: str) -> None:
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert words in result.stderr
    assert result.stderr.count("\n") == 1


def test_new_makes_a_key_and_shows_the_verifier_key_on_its_own_line(keys_dir: Path) -> None:
    result = keys("new", ORIGIN, "--keys-dir", keys_dir)

    assert result.exit_code == 0
    (made,) = KeyRing(keys_dir).list()
    assert made.origin == ORIGIN
    assert made.vkey in result.stdout.split("\n")
    assert FILE in result.stdout


def test_new_twice_fails_and_says_what_to_do(keys_dir: Path) -> None:
    keys("new", ORIGIN, "--keys-dir", keys_dir)
    before = (keys_dir / FILE).read_text()

    assert_fails_in_one_line(keys("new", ORIGIN, "--keys-dir", keys_dir), "keys rotate")
    assert (keys_dir / FILE).read_text() == before


def test_new_refuses_an_origin_that_is_no_key_name(keys_dir: Path) -> None:
    assert_fails_in_one_line(keys("new", "my ledger", "--keys-dir", keys_dir), "key name")
    assert not keys_dir.exists()


def test_rotate_appends_a_key_that_signs_now(keys_dir: Path) -> None:
    keys("new", ORIGIN, "--keys-dir", keys_dir)

    result = keys("rotate", ORIGIN, "--keys-dir", keys_dir)

    assert result.exit_code == 0
    first, second = KeyRing(keys_dir).list()
    assert (first.current, second.current) == (False, True)
    assert second.vkey in result.stdout
    assert first.vkey not in result.stdout


def test_rotate_without_a_key_fails_and_says_what_to_do(keys_dir: Path) -> None:
    result = keys("rotate", ORIGIN, "--keys-dir", keys_dir)

    assert_fails_in_one_line(result, f"timebank keys new {ORIGIN}")


def test_list_shows_every_verifier_key(keys_dir: Path) -> None:
    keys("new", ORIGIN, "--keys-dir", keys_dir)
    keys("new", "other.example", "--keys-dir", keys_dir)
    keys("rotate", ORIGIN, "--keys-dir", keys_dir)

    result = keys("list", "--keys-dir", keys_dir)

    assert result.exit_code == 0
    listed = KeyRing(keys_dir).list()
    assert len(listed) == 3
    shown = result.stdout.split("\n")
    assert [line for line in shown if line.count("+") >= 2] == [info.vkey for info in listed]


def test_the_directory_is_that_of_the_server_s_environment(
    keys_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIMEBANK_KEYS__DIRECTORY", str(keys_dir))
    assert keys("new", ORIGIN).exit_code == 0
    assert (keys_dir / FILE).is_file()


def test_list_of_an_empty_directory_says_how_to_make_a_key(keys_dir: Path) -> None:
    result = keys("list", "--keys-dir", keys_dir)

    assert result.exit_code == 0
    assert "timebank keys new" in result.stdout


def test_list_stops_at_a_file_open_to_others(keys_dir: Path) -> None:
    keys("new", ORIGIN, "--keys-dir", keys_dir)
    (keys_dir / FILE).chmod(0o644)

    assert_fails_in_one_line(keys("list", "--keys-dir", keys_dir), "chmod 600")


def test_no_command_shows_a_secret(keys_dir: Path) -> None:
    results = [keys(command, ORIGIN, "--keys-dir", keys_dir) for command in ("new", "rotate")]
    results.append(keys("list", "--keys-dir", keys_dir))
    results.append(keys("new", ORIGIN, "--keys-dir", keys_dir))

    secrets = secrets_of(keys_dir)
    assert len(secrets) == 2
    for result in results:
        assert "PRIVATE" not in result.output
        assert not any(secret in result.output for secret in secrets)


@pytest.mark.parametrize("command", ["new", "list", "rotate"])
def test_every_command_helps_with_an_example(command: str) -> None:
    result = keys(command, "--help")

    assert result.exit_code == 0
    assert f"timebank keys {command}" in result.output


def test_the_secret_of_a_deployment_is_made_once_and_not_shown(keys_dir: Path) -> None:
    first = keys("secret", "--keys-dir", keys_dir)
    made = (keys_dir / "deployment.secret").read_text().strip()
    again = keys("secret", "--keys-dir", keys_dir)
    assert (first.exit_code, again.exit_code) == (0, 0)
    assert (keys_dir / "deployment.secret").read_text().strip() == made
    assert made not in first.stdout + again.stdout
