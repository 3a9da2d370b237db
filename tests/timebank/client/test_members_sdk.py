"""Members through the client, against the real server."""

import enum
import pathlib
import re
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from types import ModuleType
from typing import Any

import pytest

from tests.timebank.client.real_ledgers import BASE, RealLedger, draft, real_ledger
from timebank.client import (
    CertificateState,
    EntryKind,
    EvidenceClass,
    LedgerClient,
    MemberState,
    PersonalData,
    RecordState,
    SpotCheck,
)
from timebank.errors import Reason, TimebankError
from timebank.ledger.v1 import (
    certificate_service_pb2,
    entry_pb2,
    fact_pb2,
    hours_service_pb2,
    member_pb2,
    member_service_pb2,
    policy_service_pb2,
    record_pb2,
    star_service_pb2,
)

SHORTER = {"batch_submit_records": "submit_records", "get_star": "star"}

LATER = datetime(2040, 1, 1, tzinfo=UTC)
PERSON = PersonalData(
    display_name="王阿姨", id_type="居民身份证", id_number="371002199001011234", phone="13800000000"
)


@pytest.fixture
async def ledger(tmp_path: pathlib.Path, database_url: str) -> AsyncIterator[RealLedger]:
    async with real_ledger(tmp_path, database_url) as opened:
        yield opened


@pytest.mark.parametrize(
    "module",
    [
        member_service_pb2,
        hours_service_pb2,
        policy_service_pb2,
        star_service_pb2,
        certificate_service_pb2,
    ],
    ids=lambda module: str(module.DESCRIPTOR.name),
)
def test_every_rpc_has_a_method(module: ModuleType) -> None:
    services = module.DESCRIPTOR.services_by_name.values()
    rpcs = [method.name for service in services for method in service.methods]
    words = [re.sub(r"(?<!^)(?=[A-Z])", "_", rpc).lower() for rpc in rpcs]
    missing = [word for word in words if not hasattr(LedgerClient, SHORTER.get(word, word))]
    assert rpcs
    assert missing == []


@pytest.mark.parametrize(
    ("kinds", "prefix", "numbers"),
    [
        (EntryKind, "ENTRY_KIND_", entry_pb2.EntryKind),
        (MemberState, "STATE_", member_pb2.Member.State),
        (RecordState, "STATE_", record_pb2.ServiceRecord.State),
        (EvidenceClass, "EVIDENCE_CLASS_", record_pb2.EvidenceClass),
        (SpotCheck, "SPOT_CHECK_", record_pb2.ServiceRecord.SpotCheck),
        (CertificateState, "CERTIFICATE_STATE_", fact_pb2.CertificateState),
    ],
)
def test_every_kind_of_the_contract_is_known(
    kinds: type[enum.StrEnum], prefix: str, numbers: Any
) -> None:
    named = {name.removeprefix(prefix) for name in numbers.DESCRIPTOR.values_by_name} - {
        "UNSPECIFIED"
    }
    assert set(kinds.__members__) - {"UNKNOWN", "NONE"} == named


async def test_a_member_is_registered_once_and_read_back(ledger: RealLedger) -> None:
    request_id = str(uuid.uuid4())
    made = await ledger.client.register_member(
        "m-1", home_unit="huancui/7", publish_name=True, personal_data=PERSON, request_id=request_id
    )
    again = await ledger.client.register_member(
        "m-1", home_unit="huancui/7", publish_name=True, personal_data=PERSON, request_id=request_id
    )
    assert made == again == await ledger.client.get_member(made.name)
    assert (made.id, made.state, made.adult_time) == ("m-1", MemberState.ACTIVE, None)
    assert made.guardian is None
    with pytest.raises(TimebankError) as refused:
        await ledger.client.register_member("m-1")
    assert refused.value.reason is Reason.MEMBER_EXISTS


async def test_members_are_listed_across_pages_by_number(ledger: RealLedger) -> None:
    await ledger.client.register_member("far", home_unit="wendeng")
    listed = ledger.client.list_members(home_unit="huancui", page_size=1)
    assert [member.id async for member in listed] == ["li", "wang"]


async def test_an_update_changes_only_what_is_given(ledger: RealLedger) -> None:
    await ledger.client.update_member("li", officer="zhao")
    child = await ledger.client.register_member(
        "child", guardian="wang", guardian_consent=True, adult_time=LATER
    )
    assert (child.adult_time, child.guardian) == (LATER, "ledgers/weihai/members/wang")
    grown = await ledger.client.update_member("child", of_age=True, guardian="")
    assert (grown.adult_time, grown.guardian, grown.guardian_consent) == (None, None, True)
    elder = await ledger.client.get_member("li")
    assert (elder.officer, elder.home_unit, elder.key_elder) == ("zhao", "huancui/12", True)


@pytest.mark.parametrize("both", [False, True])
async def test_an_update_of_nothing_or_of_two_ages_is_refused(
    ledger: RealLedger, both: bool
) -> None:
    with pytest.raises(TimebankError) as refused:
        await ledger.client.update_member("li", of_age=both, adult_time=LATER if both else None)
    assert refused.value.reason is Reason.VALIDATION_FAILED


async def test_a_registration_is_suspended_and_reinstated(ledger: RealLedger) -> None:
    suspended = await ledger.client.suspend_member("wang", memo="核查")
    assert suspended.state is MemberState.SUSPENDED
    assert (await ledger.client.reinstate_member("wang")).state is MemberState.ACTIVE


async def test_a_duplicate_is_merged_and_taken_apart(ledger: RealLedger) -> None:
    await ledger.client.register_member("wang-2")
    merged = await ledger.client.merge_member("wang-2", into="wang")
    assert (merged.state, merged.merged_into) == (
        MemberState.MERGED,
        "ledgers/weihai/members/wang",
    )
    assert (await ledger.client.unmerge_member("wang-2")).merged_into is None


async def test_time_goes_to_relatives_the_pool_and_key_elders_only(ledger: RealLedger) -> None:
    await ledger.client.submit_record(draft("r-1"))
    with pytest.raises(TimebankError) as refused:
        await ledger.client.transfer_time("wang", to="li", minutes=10)
    assert refused.value.reason is Reason.FAMILY_LINK_MISSING
    entry = await ledger.client.link_family("wang", relative="li", relation="PARENT")
    assert entry.startswith("ledgers/weihai/entries/")
    gift = await ledger.client.transfer_time("wang", to="li", minutes=10)
    assert gift.checkpoint
    await ledger.client.transfer_time("wang", minutes=20)
    assert await time_of(ledger.client, "wang") == 30
    assert await time_of(ledger.client, "li") == 10
    with pytest.raises(TimebankError) as none:
        await ledger.client.grant_time("li", minutes=5)
    assert none.value.reason is Reason.MOVEMENT_NOT_ALLOWED


async def time_of(client: LedgerClient, member: str) -> int:
    account = (await client.get_member(member)).time_account
    return (await client.get_balance(account)).posted


async def test_a_death_leaves_the_time_to_the_family(ledger: RealLedger) -> None:
    await ledger.client.submit_record(draft("r-1"))
    await ledger.client.link_family("wang", relative="li", relation="SPOUSE")
    gone = await ledger.client.record_death("wang", heir="li")
    assert gone.state is MemberState.DECEASED
    assert await time_of(ledger.client, "li") == 60


async def test_who_moves_away_takes_a_signed_statement_along(ledger: RealLedger) -> None:
    left = await ledger.client.export_member("wang", destination="烟台")
    assert left.member.state is MemberState.EXPORTED
    assert "— " in left.statement


async def test_no_shows_and_evaluations_count_once(ledger: RealLedger) -> None:
    day = (BASE + timedelta(days=1)).date()
    shown = await ledger.client.report_no_show("wang", activity="送药上门", day=day)
    assert shown.state is MemberState.ACTIVE
    with pytest.raises(TimebankError) as twice:
        await ledger.client.report_no_show("wang", activity="送药上门", day=day)
    assert twice.value.reason is Reason.NO_SHOW_EXISTS
    entry = await ledger.client.evaluate_member("wang", role="COMMUNITY", score=5, rater="zhao")
    assert entry.startswith("ledgers/weihai/entries/")
    with pytest.raises(TimebankError) as far:
        await ledger.client.report_no_show("wang", activity="x", day=date(2999, 1, 1))
    assert far.value.reason is Reason.VALIDATION_FAILED


async def test_personal_data_is_kept_read_and_erased(ledger: RealLedger) -> None:
    assert await ledger.client.put_personal_data("wang", PERSON) == PERSON
    assert await ledger.client.get_personal_data("wang") == PERSON
    await ledger.client.erase_personal_data("wang")
    with pytest.raises(TimebankError) as gone:
        await ledger.client.get_personal_data("wang")
    assert gone.value.reason is Reason.PERSONAL_DATA_ERASED


async def test_expiry_notices_are_a_feed(ledger: RealLedger) -> None:
    assert [notice async for notice in ledger.client.list_expiry_notices()] == []
    with pytest.raises(TimebankError) as refused:
        _ = [notice async for notice in ledger.client.list_expiry_notices(after=-1)]
    assert refused.value.reason is Reason.VALIDATION_FAILED


def test_personal_data_stays_out_of_what_is_logged() -> None:
    assert "王" not in repr(PERSON)
    assert "3710" not in repr(PERSON)
    assert "138" not in repr(PERSON)
