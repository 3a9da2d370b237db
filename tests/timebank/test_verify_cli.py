"""`timebank verify`: offline, with two files only, in words, and never a traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

import timebank
from tests.timebank.tlog import worked_example as example
from tests.timebank.tlog.refusals import damaged
from timebank.ledger.v1 import entry_pb2, ledger_pb2
from timebank.tlog.checkpoint import Checkpoint, sign_checkpoint
from timebank.tlog.encoding import encode_base64
from timebank.tlog.merkle import leaf_hash
from timebank.tlog.receipt import Receipt, format_receipt
from timebank.verify_cli import NOT_VERIFIED, UNUSABLE, app

PROOF_1_TO_3 = "".join(f"{encode_base64(value)}\n" for value in example.CONSISTENCY_1_TO_3)
VERIFIED, DOES_NOT_PROVE = "VERIFIED 已验证", "This does NOT prove"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory to work in, wide enough a terminal, no colours."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")
    return tmp_path


def verify(*arguments: str) -> Result:
    """Runs the command in this process; an exception that escapes fails the test."""
    return CliRunner().invoke(app, arguments, catch_exceptions=False)


def verify_text(text: str, *arguments: str, vkey: str = example.LOG_VKEY) -> Result:
    """Writes a file and verifies it."""
    Path("given").write_bytes(text.encode("utf-8", "surrogatepass"))
    return verify("given", "--vkey", vkey, *arguments)


def assert_fails(result: Result, code: int, words: str) -> None:
    assert result.exit_code == code
    assert result.stdout == ""
    assert words in result.stderr
    assert result.stderr.count("\n") == 1


def receipt_of(entry: bytes) -> str:
    """A receipt of a log whose only entry this is."""
    head = Checkpoint(example.ORIGIN, 1, leaf_hash(entry))
    return format_receipt(Receipt(entry, 0, (), sign_checkpoint(head, example.log_signer())))


def ledger_entry() -> entry_pb2.Entry:
    """A posted service record, 120 minutes, as entry 0."""
    return entry_pb2.Entry(
        ledger_id="weihai",
        index=0,
        nonce=bytes(16),
        kind=entry_pb2.ENTRY_KIND_RECORD_POSTED,
        recorded_time_us=1_700_000_000_000_000,
        effective_time_us=1_690_000_000_000_000,
        natural_key="record-7",
        caller="service/matching",
        postings=[
            entry_pb2.Posting(account_id="issuer", unit=ledger_pb2.UNIT_TIME, amount=-120),
            entry_pb2.Posting(account_id="volunteer", unit=ledger_pb2.UNIT_TIME, amount=120),
        ],
    )


def test_a_receipt_verifies_in_an_empty_directory_with_its_key_alone(folder: Path) -> None:
    (folder / "mine.tlog-proof").write_text(example.RECEIPT_OF_1)
    (folder / "log.vkey").write_text(f"{example.LOG_VKEY}\n")
    command = [sys.executable, "-m", "timebank.verify_cli", "mine.tlog-proof", "--vkey", "log.vkey"]
    source = Path(timebank.__file__).parent.parent
    environment = {**os.environ, "PYTHONPATH": str(source), "PYTHONIOENCODING": "utf-8"}

    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, encoding="utf-8", check=False
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert VERIFIED in done.stdout
    assert sorted(path.name for path in folder.iterdir()) == ["log.vkey", "mine.tlog-proof"]


def test_a_receipt_says_what_it_proves_and_what_not() -> None:
    result = verify_text(example.RECEIPT_OF_1)

    assert result.exit_code == 0
    assert "1 of 0 to 2" in result.stdout
    assert "Exactly this entry stands in it" in result.stdout
    unproved = result.stdout.partition(DOES_NOT_PROVE)[2]
    assert "That the hours were worked" in unproved
    assert "That no later entry reversed" in unproved
    assert "an operator could show two" in unproved


def test_a_cosignature_counts_only_when_its_key_is_given() -> None:
    alone = verify_text(example.RECEIPT_OF_1)
    witnessed = verify_text(example.RECEIPT_OF_1, "--vkey", example.WITNESS_VKEY)

    assert example.WITNESS not in alone.stdout
    assert f"{example.WITNESS} at 2023-11-14T22:13:20+00:00" in witnessed.stdout
    assert "an operator could show two" not in witnessed.stdout


def test_a_ledger_entry_is_shown_in_both_languages() -> None:
    result = verify_text(receipt_of(ledger_entry().SerializeToString()))

    assert result.exit_code == 0
    for words in (
        "Ledger 账本",
        "weihai",
        "RECORD_POSTED",
        "2023-11-14T22:13:20+00:00",
        "record-7",
        "volunteer: +120 minutes of TIME 时间币",
        "issuer: -120 minutes of TIME 时间币",
    ):
        assert words in result.stdout


def test_an_entry_of_a_newer_version_or_with_wild_numbers_is_still_shown() -> None:
    entry = ledger_entry()
    entry.recorded_time_us = -(2**63)
    entry.effective_time_us = 2**63 - 1
    wild = entry.SerializeToString() + b"\x20\xe7\x07"  # field 4, kind: 999

    result = verify_text(receipt_of(wild))

    assert result.exit_code == 0
    assert "999" in result.stdout
    assert "microseconds since 1970" in result.stdout


@pytest.mark.parametrize("data", [b"two", b"\xff" * 30, b"\x0a\x01x"])
def test_an_entry_that_is_not_the_ledgers_is_shown_by_its_length(data: bytes) -> None:
    result = verify_text(receipt_of(data))

    assert result.exit_code == 0
    assert f"{len(data)} bytes that are no ledger entry" in result.stdout


def test_an_entry_that_claims_another_index_is_not_shown_as_one() -> None:
    entry = ledger_entry()
    entry.index = 5

    result = verify_text(receipt_of(entry.SerializeToString()))

    assert "no ledger entry" in result.stdout
    assert "weihai" not in result.stdout


def test_an_entry_cannot_command_the_terminal() -> None:
    entry = ledger_entry()
    entry.natural_key = "\x1b]0;owned\x07\x9b31m\u202e[bold red]\r\n"

    result = verify_text(receipt_of(entry.SerializeToString()))

    assert result.exit_code == 0
    assert "\ufffd]0;owned\ufffd\ufffd31m\ufffd[bold red]\ufffd\ufffd" in result.stdout
    assert not {"\x1b", "\x07", "\x9b", "\u202e", "\r"} & set(result.stdout)


def test_an_entry_with_thousands_of_lines_is_cut() -> None:
    entry = ledger_entry()
    for _ in range(5_000):
        entry.postings.add(account_id="x", amount=1)

    result = verify_text(receipt_of(entry.SerializeToString()))

    assert result.exit_code == 0
    assert "lines are not shown" in result.stdout
    assert result.stdout.count("\n") < 300


def test_a_plain_checkpoint_verifies() -> None:
    result = verify_text(example.CHECKPOINT)

    assert result.exit_code == 0
    assert "Checkpoint 检查点: VERIFIED" in result.stdout
    assert "Exactly this entry" not in result.stdout


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("extra dHdv", "extra b25l", "does not lead to the root"),
        ("index 1", "index 2", "inclusion proof"),
        ("index 1", "index 3", "inclusion proof"),
        ("\n3\n", "\n4\n", "signature of"),
        ("oPXB8Nxw", "oPXB8Nxx", "signature of"),
        ("oPXB8Nxw", "oPXB8dxw", "got none"),
    ],
)
def test_a_forged_receipt_is_not_verified(old: str, new: str, words: str) -> None:
    result = verify_text(example.RECEIPT_OF_1.replace(old, new, 1))

    assert_fails(result, NOT_VERIFIED, words)
    assert "NOT VERIFIED" in result.stderr


def test_the_key_of_another_log_verifies_nothing() -> None:
    assert_fails(verify_text(example.CHECKPOINT, vkey=example.WITNESS_VKEY), NOT_VERIFIED, "none")


@pytest.mark.parametrize("text", ["", "\n", "nonsense", "c2sp.org/tlog-proof@v1\n", "\ud800", "\0"])
def test_a_file_that_is_neither_receipt_nor_checkpoint_cannot_be_used(text: str) -> None:
    assert_fails(verify_text(text), UNUSABLE, "cannot be used")


def test_a_receipt_without_the_entry_cannot_be_used() -> None:
    text = example.RECEIPT_OF_1.replace("extra dHdv\n", "")

    assert_fails(verify_text(text), UNUSABLE, "does not carry the entry")


def test_a_file_that_is_missing_or_a_directory_or_too_big_cannot_be_used(folder: Path) -> None:
    assert_fails(verify("missing", "--vkey", example.LOG_VKEY), UNUSABLE, "missing: cannot be read")
    assert_fails(verify(str(folder), "--vkey", example.LOG_VKEY), UNUSABLE, "cannot be read")
    with Path("big").open("wb") as file:
        file.truncate(2**31)
    assert_fails(verify("big", "--vkey", example.LOG_VKEY), UNUSABLE, "at most")


@pytest.mark.parametrize(
    ("vkey", "words"),
    [
        ("", "expected a verifier key or a file"),
        ("missing.vkey", "expected a verifier key or a file"),
        ("x\0y", "expected a verifier key or a file"),
        ("x" * 5_000, "expected a verifier key or a file"),
        (example.LOG_VKEY[:-4], "32 bytes"),
        (example.LOG_VKEY.replace("a0f5", "a0f6"), "expected id"),
    ],
)
def test_a_verifier_key_that_is_none_cannot_be_used(vkey: str, words: str) -> None:
    assert_fails(verify_text(example.CHECKPOINT, vkey=vkey), UNUSABLE, words)


@pytest.mark.parametrize("as_file", [True, False])
def test_a_private_key_in_place_of_the_verifier_key_is_not_repeated(as_file: bool) -> None:
    secret = encode_base64(b"\x01" + b"s" * 32)
    private = f"PRIVATE+KEY+{example.ORIGIN}+a0f5c1f0+{secret}"
    Path("log.key").write_text(private)

    result = verify_text(example.CHECKPOINT, vkey="log.key" if as_file else private)

    assert_fails(result, UNUSABLE, "got a private key")
    assert secret not in result.stderr


def test_a_key_file_may_have_comments_and_several_keys() -> None:
    Path("keys").write_text(f"# of 2026\n\n{example.WITNESS_VKEY}\n{example.LOG_VKEY}\r\n")

    assert verify_text(example.CHECKPOINT, vkey="keys").exit_code == 0


def test_a_key_file_without_keys_cannot_be_used() -> None:
    Path("keys").write_text("# none yet\n")

    assert_fails(verify_text(example.CHECKPOINT, vkey="keys"), UNUSABLE, "at least one")


def sign_head(size: int, root: bytes, *, name: str = "kept") -> str:
    """Writes a checkpoint of the log to a file and returns its name."""
    head = Checkpoint(example.ORIGIN, size, root)
    Path(name).write_text(sign_checkpoint(head, example.log_signer()))
    return name


def test_a_kept_checkpoint_of_the_same_head_agrees() -> None:
    kept = sign_head(3, example.ROOTS[3])

    result = verify_text(example.RECEIPT_OF_1, "--checkpoint", kept)

    assert result.exit_code == 0
    assert "same history as the checkpoint of size 3" in result.stdout
    assert "an operator could show two" not in result.stdout


def test_two_heads_of_one_size_show_that_the_log_forked() -> None:
    kept = sign_head(3, bytes(32))

    result = verify_text(example.CHECKPOINT, "--checkpoint", kept)

    assert_fails(result, NOT_VERIFIED, "two different histories of size 3; keep both files")


def test_a_consistency_proof_joins_two_sizes_in_either_order() -> None:
    kept = sign_head(1, example.ROOTS[1])
    Path("proof").write_text(PROOF_1_TO_3)
    Path("new").write_text(example.CHECKPOINT)

    forward = verify_text(example.CHECKPOINT, "--checkpoint", kept, "--proof", "proof")
    backward = verify(kept, "--checkpoint", "new", "--vkey", example.LOG_VKEY, "--proof", "proof")

    assert (forward.exit_code, backward.exit_code) == (0, 0)
    assert "same history as the checkpoint of size 1" in forward.stdout


def test_a_wrong_consistency_proof_is_not_verified() -> None:
    kept = sign_head(2, example.ROOTS[2])
    Path("proof").write_text(PROOF_1_TO_3)

    result = verify_text(example.CHECKPOINT, "--checkpoint", kept, "--proof", "proof")

    assert_fails(result, NOT_VERIFIED, "consistency proof")


def test_a_kept_checkpoint_that_nobody_signed_is_not_verified() -> None:
    Path("kept").write_text(example.CHECKPOINT.replace("\n3\n", "\n4\n"))
    Path("proof").write_text(PROOF_1_TO_3)

    result = verify_text(example.CHECKPOINT, "--checkpoint", "kept", "--proof", "proof")

    assert_fails(result, NOT_VERIFIED, "signature of")


def test_two_sizes_without_a_proof_cannot_be_compared() -> None:
    kept = sign_head(1, example.ROOTS[1])

    assert_fails(verify_text(example.CHECKPOINT, "--checkpoint", kept), UNUSABLE, "give --proof")


def test_the_empty_log_is_the_beginning_of_every_log() -> None:
    kept = sign_head(0, example.ROOTS[0])

    result = verify_text(example.CHECKPOINT, "--checkpoint", kept)
    assert result.exit_code == 0
    assert "you kept" not in result.stdout, "every history begins with nothing"
    assert "an operator could show two" in result.stdout


def test_a_checkpoint_of_another_log_cannot_be_compared() -> None:
    Path("kept").write_text(example.CHECKPOINT.replace("ledger\n3", "other\n3"))

    result = verify_text(example.CHECKPOINT, "--checkpoint", "kept")

    assert_fails(result, UNUSABLE, "expected one of timebank.example/ledger")


@pytest.mark.parametrize("text", ["nonsense\n", "AAAA\n", f"{PROOF_1_TO_3}\n", PROOF_1_TO_3 * 40])
def test_a_malformed_consistency_proof_cannot_be_used(text: str) -> None:
    kept = sign_head(1, example.ROOTS[1])
    Path("proof").write_text(text)

    result = verify_text(example.CHECKPOINT, "--checkpoint", kept, "--proof", "proof")

    assert_fails(result, UNUSABLE, "proof")


def test_a_proof_without_a_second_checkpoint_cannot_be_used() -> None:
    Path("proof").write_text(PROOF_1_TO_3)

    result = verify_text(example.CHECKPOINT, "--proof", "proof")

    assert_fails(result, UNUSABLE, "give --checkpoint")


def test_help_has_an_example_and_the_exit_codes() -> None:
    result = verify("--help")

    assert result.exit_code == 0
    assert "Example: timebank verify" in result.output
    assert "not verified" in result.output


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(text=st.one_of(st.text(), damaged(example.RECEIPT_OF_1), damaged(example.CHECKPOINT)))
def test_hostile_files_end_in_an_exit_code_and_one_line(text: str) -> None:
    result = verify_text(text)

    assert result.exit_code in (0, NOT_VERIFIED, UNUSABLE)
    assert result.stderr.count("\n") == (result.exit_code != 0)
    assert "Traceback" not in result.output


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(data=st.binary(min_size=1, max_size=300))
def test_hostile_entries_are_shown_or_called_bytes(data: bytes) -> None:
    prefix = b"\x0a\x01w\x20\x16"  # a ledger id and a kind, so that the rest is looked at

    for entry in (data, prefix + data):
        assert verify_text(receipt_of(entry)).exit_code == 0
