"""The worked example of the log's byte formats: two seeds, three entries, and every byte they lead
to.
"""

from timebank.signing import Ed25519Signer
from timebank.tlog.encoding import decode_base64
from timebank.tlog.merkle import leaf_hash
from timebank.tlog.vkey import COSIGNATURE_V1

ORIGIN = "timebank.example/ledger"
WITNESS = "witness.example/w1"
ENTRIES = (b"one", b"two", b"three")
LEAVES = tuple(leaf_hash(entry) for entry in ENTRIES)
LOG_VKEY = "timebank.example/ledger+a0f5c1f0+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c"
WITNESS_VKEY = "witness.example/w1+df1c0a35+BIE5dw6ofRdfVqNUZsNMfszLjYqRtO43ol32D1uPybOU"
ROOTS = (
    bytes.fromhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    bytes.fromhex("d0d7360ab79f58ab1e1e3fe64ad77e2ea0bc07e36b5f46ed2223edd9298df9e9"),
    bytes.fromhex("4f55f619d9215235778b2b9f17d6f4915b16171214d152381293669764de722e"),
    bytes.fromhex("5aac771c899ac292e74bf1afe2e6e302f8b55883b2d1bf197b46a6bea6dabca9"),
)
COSIGNED_TIME_S = 1_700_000_000
SIGNED_TEXT = """\
timebank.example/ledger
3
Wqx3HImawpLnS/Gv4ubjAvi1WIOy0b8Ze0amvqbavKk=
"""
LOG_LINE = (
    "\N{EM DASH} timebank.example/ledger oPXB8NxwAEnc6IEP9p/NLSQ0Zi7nr+dKdBGqiNRDXkuHgWgOp7z/"
    "lAyyqaxdt662lY+RZkrSvPUf0oywQw910YjXzgQ=\n"
)
WITNESS_LINE = (
    "\N{EM DASH} witness.example/w1 3xwKNQAAAABlU/EA747jnl6O7giclfq+79sy7rEF4bbCSZmkBLT2xTgsaupJ"
    "LU9qH5sWppr/AlfajwupLeTZHESBsYOUy5K4+0KRAw==\n"
)
CHECKPOINT = f"{SIGNED_TEXT}\n{LOG_LINE}"
COSIGNED_CHECKPOINT = CHECKPOINT + WITNESS_LINE
INCLUSION_OF_1 = tuple(
    decode_base64(text, "example")
    for text in (
        "0Nc2CrefWKseHj/mStd+LqC8B+NrX0btIiPt2SmN+ek=",
        "Zx8UbF5HHooag6PCFM5LqQe486WIjRTMjNPOdbsS75Q=",
    )
)
CONSISTENCY_1_TO_3 = tuple(
    decode_base64(text, "example")
    for text in (
        "qxq38Hx8j+Dv9LpvqlPH5EEukaWZFT6KpOAb7s5beCU=",
        "Zx8UbF5HHooag6PCFM5LqQe486WIjRTMjNPOdbsS75Q=",
    )
)
CONSISTENCY_2_TO_3 = CONSISTENCY_1_TO_3[1:]
RECEIPT_OF_1 = f"""\
c2sp.org/tlog-proof@v1
extra dHdv
index 1
0Nc2CrefWKseHj/mStd+LqC8B+NrX0btIiPt2SmN+ek=
Zx8UbF5HHooag6PCFM5LqQe486WIjRTMjNPOdbsS75Q=

{COSIGNED_CHECKPOINT}"""


def log_signer() -> Ed25519Signer:
    """The key of the log: its seed is 32 bytes 0x01."""
    return Ed25519Signer.from_seed(ORIGIN, b"\x01" * 32)


def witness_signer() -> Ed25519Signer:
    """The key of the witness: its seed is 32 bytes 0x02."""
    return Ed25519Signer.from_seed(WITNESS, b"\x02" * 32, key_type=COSIGNATURE_V1)
