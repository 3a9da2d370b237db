"""LogService: checkpoints, proofs and receipts."""

from typing import Any

import grpc.aio

from ledger.names import index_from_name, ledger_id_from_name
from ledger.usecases.entries import Entries
from ledger.usecases.proofs import Proofs
from timebank.auth import current_principal
from timebank.ledger.v1 import log_service_pb2
from timebank.ledger.v1.log_service_pb2_grpc import LogServiceServicer

Context = grpc.aio.ServicerContext[Any, Any]


class LogRpcs(LogServiceServicer):
    """LogService."""

    def __init__(self, proofs: Proofs, entries: Entries) -> None:
        self._proofs = proofs
        self._entries = entries

    async def GetCheckpoint(
        self, request: log_service_pb2.GetCheckpointRequest, context: Context
    ) -> log_service_pb2.Checkpoint:
        """Signs the head."""
        signed = await self._proofs.checkpoint(ledger_id_from_name(request.parent))
        return log_service_pb2.Checkpoint(
            note=signed.note, size=signed.head.size, root=signed.head.root
        )

    async def GetInclusionProof(
        self, request: log_service_pb2.GetInclusionProofRequest, context: Context
    ) -> log_service_pb2.InclusionProof:
        """Proves that an entry is in a tree."""
        ledger_id = ledger_id_from_name(request.parent)
        proof = await self._proofs.inclusion(
            ledger_id, request.index, request.tree_size, current_principal()
        )
        return log_service_pb2.InclusionProof(
            index=proof.log_index,
            tree_size=proof.size,
            leaf_hash=proof.leaf_hash,
            path=proof.path,
        )

    async def GetConsistencyProof(
        self, request: log_service_pb2.GetConsistencyProofRequest, context: Context
    ) -> log_service_pb2.ConsistencyProof:
        """Proves that a tree is the beginning of another."""
        ledger_id = ledger_id_from_name(request.parent)
        first, second = request.first_size, request.second_size
        principal = current_principal()
        size, path = await self._proofs.consistency(ledger_id, first, second, principal)
        return log_service_pb2.ConsistencyProof(first_size=first, second_size=size, path=path)

    async def GetReceipt(
        self, request: log_service_pb2.GetReceiptRequest, context: Context
    ) -> log_service_pb2.Receipt:
        """Makes a receipt."""
        ledger_id, log_index = index_from_name(request.name)
        read = await self._entries.get(ledger_id, log_index, current_principal())
        return log_service_pb2.Receipt(
            proof=await self._proofs.receipt(ledger_id, log_index, read.leaf)
        )
