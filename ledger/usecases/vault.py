"""Personal data 个人信息, sealed under a key of each person, which is sealed under a master key.

Erasing destroys the person's key; the log, which holds none of it, stays valid.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from ledger.domain.hours_view import MEMBERS
from ledger.store.vault import (
    DESTROYED,
    delete_data,
    erase_person,
    read_data,
    read_key,
    write_data,
)
from ledger.usecases.ledgers import Handle, Ledgers
from timebank.database import scrub
from timebank.database.sessions import open_session
from timebank.errors import Reason, TimebankError
from timebank.sealing import KEY_BYTES, seal, unseal
from timebank.secret_keys import SecretKeys

PERSON = "person"
LABEL = "timebank personal data"


class Vault:
    """Keeps what names a person."""

    def __init__(self, ledgers: Ledgers, secret_keys: SecretKeys) -> None:
        self._ledgers = ledgers
        self._master = secret_keys.key(LABEL)
        self._random_bytes = ledgers.world.random_bytes

    async def put(self, handle: Handle, member_id: str, name: str, data: Mapping[str, str]) -> None:
        """Keeps a document of a person under a name, replacing what was there."""
        session = open_session(self._ledgers.world.databases)
        place = f"{handle.ledger_id}/{member_id}"
        try:
            sealed_key = await session.run(handle.ledger_no, read_key(member_id), begin=True)
            new_key = None
            if not sealed_key:
                key = self._random_bytes(KEY_BYTES)
                new_key = self._seal(self._master, key, place)
            else:
                key = unseal(self._master, sealed_key, place)
            text = json.dumps(dict(data), ensure_ascii=False, sort_keys=True)
            sealed = self._seal(key, text.encode(), f"{place}/{name}")
            plan = write_data(member_id, name, sealed, sealed_key=new_key)
            await session.run(handle.ledger_no, plan, commit=True)
        finally:
            await session.close()

    def _seal(self, key: bytes, data: bytes, place: str) -> bytes:
        return seal(key, data, place, random_bytes=self._random_bytes)

    async def find(
        self, handle: Handle, member_ids: Sequence[str], name: str = PERSON
    ) -> dict[str, dict[str, str]]:
        """Reads the documents of a name that persons have; who has none is left out."""
        session = open_session(self._ledgers.world.databases)
        try:
            found = await session.run(handle.ledger_no, read_data(list(member_ids), name))
        finally:
            await session.close()
        opened = {}
        for member_id, (sealed, sealed_key) in found.items():
            place = f"{handle.ledger_id}/{member_id}"
            key = unseal(self._master, bytes(sealed_key), place)
            opened[member_id] = json.loads(unseal(key, bytes(sealed), f"{place}/{name}"))
        return opened

    async def get(self, handle: Handle, member_id: str, name: str = PERSON) -> dict[str, str]:
        """Reads a document of a person. Raises PERSONAL_DATA_ERASED."""
        found = await self.find(handle, [member_id], name)
        if member_id not in found:
            raise TimebankError(
                Reason.PERSONAL_DATA_ERASED,
                f"no personal data of member {member_id} is kept",
                member=member_id,
            )
        return found[member_id]

    async def was_erased(self, handle: Handle, member_id: str) -> bool:
        """Says whether a person's key was destroyed, and none made since."""
        session = open_session(self._ledgers.world.databases)
        try:
            return await session.run(handle.ledger_no, read_key(member_id)) == DESTROYED
        finally:
            await session.close()

    async def drop(self, handle: Handle, member_id: str, name: str) -> None:
        """Deletes one document of a person."""
        session = open_session(self._ledgers.world.databases)
        try:
            plan = delete_data(member_id, name)
            await session.run(handle.ledger_no, plan, begin=True, commit=True)
        finally:
            await session.close()

    async def erase(self, handle: Handle, member_id: str) -> int:
        """Destroys the key and data of a person and the texts about them; gives how many texts."""
        session = open_session(self._ledgers.world.databases)
        try:
            plan = erase_person(member_id, MEMBERS + member_id)
            texts = await session.run(handle.ledger_no, plan, begin=True, commit=True)
        finally:
            await session.close()
        await scrub(self._ledgers.world.databases)
        return texts
