"""Vouchers: bought now, collected later. The code comes from the request's id by a keyed hash, so
that a repeated call shows the same one and nothing of it is stored.
"""

from __future__ import annotations

import functools
import hmac
from typing import NamedTuple, cast

from merchant.domain import payment_codes
from merchant.domain.documents import Redemption, Voucher
from merchant.domain.pins import PinTiers
from merchant.domain.states import DocumentKind
from merchant.domain.voucher_rules import (
    CollectVoucher,
    IssueVoucher,
    collect_voucher,
    issue_voucher,
    state_of,
)
from merchant.usecases.programmes import Programme, Programmes, carry_out
from merchant.usecases.redemptions import Redemptions, raise_declined, redemption_id_of
from timebank.auth import Call
from timebank.errors import Reason, TimebankError

PREFIX = "78"


class Shown(NamedTuple):
    """A voucher with its state of now, its pieces, and its code when it is shown."""

    voucher: Voucher
    quantity: int
    code: str = ""
    replayed: bool = False


class Vouchers:
    """Buying and collecting."""

    def __init__(self, programmes: Programmes, redemptions: Redemptions, *, key: bytes) -> None:
        self._programmes = programmes
        self._redemptions = redemptions
        self._key = key

    def _code(self, voucher_id: str) -> str:
        drawn = hmac.digest(self._key, f"voucher {voucher_id}".encode(), "sha256")
        return payment_codes.make_code(PREFIX, drawn)

    def digest(self, programme: Programme, typed: str) -> str:
        """Gives the digest of a code as it was scanned or typed."""
        code = payment_codes.normalise(typed)
        if not payment_codes.is_well_formed(code, PREFIX):
            return "malformed"
        return payment_codes.digest_of(self._key, programme.ledger_id, code).hex()

    async def issue(
        self,
        programme: Programme,
        voucher_id: str,
        *,
        offer: str,
        member_id: str,
        quantity: int,
        price_version: int,
        valid_us: int,
        request_id: bytes,
        call: Call,
        tiers: PinTiers = PinTiers(),  # noqa: B008  # a tuple, which nobody changes
        matched_pin: str | None = None,
    ) -> Shown:
        """Buys a voucher. Raises what refuses a redemption."""
        accounts = await self._programmes.member_accounts(programme, member_id)
        code = self._code(voucher_id)
        merchant_ref = f"voucher-{voucher_id}"
        command = IssueVoucher(
            voucher_id,
            self.digest(programme, code),
            redemption_id_of(offer.partition("/")[0], merchant_ref),
            merchant_ref,
            f"{offer} {member_id} {quantity}",
            offer,
            member_id,
            accounts.points,
            accounts.time,
            quantity,
            price_version,
            valid_us,
            programme.zone,
            tiers,
            matched_pin,
        )
        answer = await carry_out(
            programme,
            functools.partial(issue_voucher, command=command),
            call=call,
            request_id=request_id,
            said=("voucher", offer, member_id, quantity, valid_us),
        )
        redemption = await self._redemptions.settled(programme, cast("Redemption", answer.document))
        raise_declined(redemption)
        shown = await self._shown(programme, command.digest)
        return shown._replace(code=code, replayed=answer.replayed)

    async def collect(
        self, programme: Programme, typed: str, terminal: str, *, request_id: bytes, call: Call
    ) -> Shown:
        """Hands the goods out. Raises VOUCHER_NOT_FOUND, RATE_LIMITED, REDEMPTION_STATE."""
        digest = self.digest(programme, typed)
        found = await self._programmes.find(programme, DocumentKind.VOUCHER, digest)
        if found is not None:
            # Whether it is paid may still be asked of the ledger.
            await self._redemptions.look(programme, cast("Voucher", found).redemption_id)
        answer = await carry_out(
            programme,
            functools.partial(collect_voucher, command=CollectVoucher(digest, terminal)),
            call=call,
            request_id=request_id,
            said=("collect", digest, terminal),
        )
        shown = await self._shown(programme, digest)
        return shown._replace(replayed=answer.replayed)

    async def get(self, programme: Programme, voucher_id: str) -> Shown:
        """Reads a voucher. Raises VOUCHER_NOT_FOUND."""
        return await self._shown(programme, self.digest(programme, self._code(voucher_id)))

    async def _shown(self, programme: Programme, digest: str) -> Shown:
        found = await self._programmes.find(programme, DocumentKind.VOUCHER, digest)
        if found is None:
            raise TimebankError(Reason.VOUCHER_NOT_FOUND, "no such voucher")
        voucher = cast("Voucher", found)
        document = await self._programmes.find(
            programme, DocumentKind.REDEMPTION, voucher.redemption_id
        )
        redemption = cast("Redemption", document)
        now_us = self._programmes.clock.now_us()
        state = state_of(voucher, redemption, now_us)
        return Shown(voucher._replace(state=state), redemption.quantity)
