"""Formats of the signed log, for the service that writes it and for anybody who verifies it.

Owns: the Merkle tree and its proofs (RFC 6962), and the C2SP text and byte formats around them:
tiles, signed notes, checkpoints, cosignatures and offline proofs. Refuses: input and output,
clocks, storage and protobuf.
"""
