"""Puts the sample city into the ledger `huancui`, once, through the services themselves.

Owns: the order of the calls, and their request ids. Refuses: any way past the contract.
Rules: every request id follows from what is asked, so that loading that was cut off at any point is
completed by the next one and nothing counts twice; the first day of the city's year is read back
from the policy in the ledger; the closed opening says that all is done.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from ledger.domain.calendar import from_us
from ledger.domain.policy_text import parse_policy
from ledger.sample.city import FUND_FEN, LEDGER, NAME, ORIGIN, VOLUNTEERS, City
from ledger.sample.records import ZONE, Service
from ledger.sample_client import SampleClient
from timebank.auth import Principal, PrincipalKind
from timebank.client import AccountKind, EntryKind, LedgerClient, Unit, move
from timebank.client.calls import Caller
from timebank.errors import Reason, TimebankError
from timebank.local_channels import LocalChannel
from timebank.runtime import Runtime

BATCH_RECORDS = 2_000
CALLS_AT_ONCE = 100
CALL_TIMEOUT_S = 120.0
CALLER = "sample-city"
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, f"https://{ORIGIN}")

Step = Callable[[str, int, int], None]
"""Hears what is being done, how much of it is, and of how much."""


async def load_in_background(runtime: Runtime) -> None:
    """Loads the city while the server serves; a refusal is logged, and the server goes on."""
    try:
        await load_city(runtime)
    except TimebankError as error:
        if not runtime.draining.is_set():
            runtime.logger.warning("sample city not loaded", cause=str(error))


async def load_city(
    runtime: Runtime, *, volunteers: int = VOLUNTEERS, step: Step | None = None
) -> bool:
    """Loads the city, or what is missing of it; says whether anything was to be done.

    Raises TimebankError: VALIDATION_FAILED when another ledger has the id, SIGNER_UNAVAILABLE when
    no key can be made, and what the services refuse.
    """

    def log(what: str, done: int, total: int) -> None:
        runtime.logger.info("sample city", loading=what, done=done, total=total)

    loading = _Loading.on(runtime, step or log)
    if await loading.is_done():
        return False
    _make_key(runtime)
    city = await loading.begin(from_us(runtime.clock.now_us()).astimezone(ZoneInfo(ZONE)).date())
    city = City(city.first_day, volunteers)
    await loading.people(city)
    await loading.fund()
    await loading.records(city)
    await loading.night(city)
    await loading.ratings(city)
    await loading.end()
    return True


def request_id(step: str, key: str = "") -> str:
    """Gives the id of a request by what it asks for."""
    return str(uuid.uuid5(_NAMESPACE, f"{step}/{key}"))


def _make_key(runtime: Runtime) -> None:
    """Makes the key that signs the city's log, on a developer's machine alone."""
    try:
        runtime.keyring.signer(ORIGIN)
    except TimebankError as error:
        missing = error.reason is Reason.SIGNING_KEY_MISSING
        if not missing or runtime.config.identity.mode != "development":
            raise
        runtime.keyring.create(ORIGIN)


@dataclass(frozen=True, slots=True)
class _Loading:
    """The ledger as its operator, and the members' services as a service of the city."""

    operator: LedgerClient
    adopter: SampleClient
    service: LedgerClient
    submitter: SampleClient
    step: Step

    @classmethod
    def on(cls, runtime: Runtime, step: Step) -> _Loading:
        call = Caller(timeout_s=CALL_TIMEOUT_S)
        kinds = (PrincipalKind.OPERATOR, PrincipalKind.SERVICE)
        channels = [LocalChannel(runtime.interceptors, Principal(kind, CALLER)) for kind in kinds]
        clients = [LedgerClient.on_channel(item, ledger=LEDGER, call=call) for item in channels]
        others = [SampleClient(item, LEDGER, call) for item in channels]
        return cls(clients[0], others[0], clients[1], others[1], step)

    async def is_done(self) -> bool:
        """Says whether the city is loaded. Raises VALIDATION_FAILED for a ledger of its id that is
        not the city.
        """
        try:
            ledger = await self.operator.get_ledger()
        except TimebankError as error:
            if error.reason is not Reason.LEDGER_NOT_FOUND:
                raise
            return False
        if ledger.log_origin != ORIGIN:
            raise TimebankError(
                Reason.VALIDATION_FAILED,
                f"ledger {LEDGER} has the log {ledger.log_origin}, expected {ORIGIN}: it is not the"
                " sample city; set ledger.sample_city = false",
            )
        return ledger.opening_closed

    async def begin(self, today: date) -> City:
        """Creates the ledger and adopts the policy; gives the city whose year they began."""
        with _done_before(Reason.LEDGER_EXISTS):
            await self.operator.create_ledger(
                display_name=NAME, log_origin=ORIGIN, request_id=request_id("ledger")
            )
        documents = await self.adopter.policies()
        if documents:
            return City(parse_policy(documents[0]).effective_from)
        city = City.until(today)
        await self.adopter.adopt(city.policy, request_id("policy"))
        return city

    async def people(self, city: City) -> None:
        """Registers everybody."""

        async def register(number: int) -> None:
            person = city.people[number]
            with _done_before(Reason.MEMBER_EXISTS):
                await self.submitter.register(person, request_id("member", person.member_id))

        await self._each("members", len(city.people), register)

    async def fund(self) -> None:
        """Pays the special fund in; the shops' accounts are the merchant service's to open."""
        fund = await anext(self.service.list_accounts(kind=AccountKind.FUND, unit=Unit.FUND))
        clearing = await anext(
            self.service.list_accounts(kind=AccountKind.CLEARING, unit=Unit.FUND)
        )
        await self.service.post(
            kind=EntryKind.FUND_INCOME,
            postings=move(debit=clearing.name, credit=fund.name, unit=Unit.FUND, amount=FUND_FEN),
            natural_key="sample-fund",
            cause="sample-city",
            memo="专项基金首期拨款",
            request_id=request_id("fund"),
        )

    async def records(self, city: City) -> None:
        """Submits the year. Raises the first refusal: none is expected."""
        total = len(city.services)
        for start in range(0, total, BATCH_RECORDS):
            batch = city.services[start : start + BATCH_RECORDS]
            refused = await self._submit(batch, f"records/{start}")
            for service, reason in zip(batch, refused, strict=True):
                if reason is not None:
                    raise TimebankError(
                        reason, f"record {service.record_id} of the sample city was refused"
                    )
            self.step("records", start + len(batch), total)

    async def night(self, city: City) -> None:
        """Submits the night of back-entries, most of which are refused; only once, for the cap of
        another day would let more of them in.
        """
        night = city.night
        if await self.submitter.find_record(night[0].record_id) is None:
            await self._submit(night, "night")
        self.step("night", len(night), len(night))

    async def _submit(self, services: Sequence[Service], key: str) -> list[Reason | None]:
        return await self.submitter.submit_many(services, request_id(key))

    async def ratings(self, city: City) -> None:
        """Enters the evaluations."""
        ratings = city.ratings

        async def rate(number: int) -> None:
            rating = ratings[number]
            key = f"{rating.member_id}/{rating.role}/{rating.rater}"
            with _done_before(Reason.EVALUATION_EXISTS):
                await self.submitter.rate(rating, request_id("rating", key))

        await self._each("ratings", len(ratings), rate)

    async def end(self) -> None:
        """Closes the opening: from here on no policy applies backwards."""
        await self.operator.close_opening(request_id=request_id("opening"))
        self.step("done", 1, 1)

    async def _each(
        self, what: str, total: int, work: Callable[[int], Coroutine[Any, Any, None]]
    ) -> None:
        """Does a piece of work for each number below `total`, many at once."""
        for start in range(0, total, CALLS_AT_ONCE):
            numbers = range(start, min(start + CALLS_AT_ONCE, total))
            await _together(work(number) for number in numbers)
            if not numbers.stop % (10 * CALLS_AT_ONCE) or numbers.stop == total:
                self.step(what, numbers.stop, total)


async def _together(works: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Waits for all; the first failure cancels the others and is raised itself."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextmanager
def _done_before(reason: Reason) -> Iterator[None]:
    """Takes one refusal for what it says here: it was done before."""
    try:
        yield
    except TimebankError as error:
        if error.reason is not reason:
            raise
