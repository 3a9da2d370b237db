"""What Go's own log libraries make of 300 entries: ours is the same to the byte.

The vectors are made by tests/vectors/tlog/main.go.
"""

import json
from functools import cache
from itertools import starmap
from pathlib import Path
from typing import Any

from timebank.signing import Ed25519Signer
from timebank.tlog.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from timebank.tlog.encoding import encode_base64
from timebank.tlog.merkle import leaf_hash, root_of
from timebank.tlog.proof import consistency_path, inclusion_path
from timebank.tlog.receipt import Receipt, format_receipt, parse_receipt, verify_receipt
from timebank.tlog.tiles import node_reader, tile_path, tile_root

VECTORS = Path(__file__).parents[2] / "vectors" / "tlog" / "vectors.json"
ORIGIN = "timebank.example/ledger"
ENTRIES = [b"entry %d" % index for index in range(300)]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]
READ = node_reader(
    {
        (0, 0): b"".join(LEAVES[:256]),
        (0, 1): b"".join(LEAVES[256:]),
        (1, 0): tile_root(LEAVES[:256]),
    }
)


@cache
def vectors() -> dict[str, Any]:
    """The vectors as Go wrote them."""
    loaded: dict[str, Any] = json.loads(VECTORS.read_text(encoding="utf-8"))
    assert {"vkey", "heads", "receipts", "consistency", "tiles"} == loaded.keys()
    assert min(map(len, loaded.values())) > 0
    return loaded


def test_every_checkpoint_of_go_is_ours_to_the_byte() -> None:
    signer = Ed25519Signer.from_seed(ORIGIN, b"\x01" * 32)
    assert signer.vkey == vectors()["vkey"]

    for head in vectors()["heads"]:
        ours = Checkpoint(ORIGIN, head["size"], root_of(LEAVES[: head["size"]]))

        assert encode_base64(ours.root) == head["root"]
        assert sign_checkpoint(ours, signer) == head["checkpoint"]
        assert open_checkpoint(head["checkpoint"], [signer.vkey]) == ours


def test_every_receipt_of_go_verifies_and_is_ours_to_the_byte() -> None:
    for text in vectors()["receipts"]:
        receipt = parse_receipt(text)
        size = verify_receipt(receipt, [vectors()["vkey"]]).checkpoint.size
        path = tuple(inclusion_path(receipt.index, size, READ))

        ours = Receipt(ENTRIES[receipt.index], receipt.index, path, receipt.checkpoint)
        assert format_receipt(ours) == text


def test_every_consistency_proof_of_go_is_ours() -> None:
    for given in vectors()["consistency"]:
        ours = consistency_path(given["first"], given["second"], READ)

        assert [encode_base64(value) for value in ours] == (given["proof"] or [])


def test_every_tile_path_of_go_is_ours() -> None:
    coordinates = [(tile["level"], tile["n"], tile["width"]) for tile in vectors()["tiles"]]

    assert list(starmap(tile_path, coordinates)) == [tile["path"] for tile in vectors()["tiles"]]
