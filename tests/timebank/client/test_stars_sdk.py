"""Policies, stars and certificates through the client, against the real server."""

import pathlib
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

import ledger.rpc.policies
from tests.support.hours import policy, preset
from tests.timebank.client.real_ledgers import BASE, RealLedger, draft, real_ledger
from timebank.client import CertificateState, CertificateView, PersonalData, ReplayView
from timebank.errors import Reason, TimebankError


async def issue(opened: RealLedger, *, pdf: bool = False) -> CertificateView:
    return await opened.client.issue_certificate(
        "wang", issuer="威海", person_in_charge="李", handler="张", contact="0631", pdf=pdf
    )


@pytest.fixture
async def opened(tmp_path: pathlib.Path, database_url: str) -> AsyncIterator[RealLedger]:
    async with real_ledger(tmp_path, database_url) as opened:
        yield opened


async def serve(opened: RealLedger, days: int, member: str = "wang") -> None:
    """Posts so many days of 24 hours."""
    drafts = [
        draft(f"{member}-{day}", member, hours=24 * day, end_time=BASE + timedelta(days=day + 1))
        for day in range(days)
    ]
    await opened.client.submit_records(drafts)


async def test_a_star_says_why_and_what_is_missing(opened: RealLedger) -> None:
    await opened.client.adopt_policy(preset("national", policy_id="stars"))
    await serve(opened, 6)
    star = await opened.client.star("wang")
    assert (star.star, star.member_id, star.hours_minutes) == (1, "wang", 6 * 1440)
    assert star.missing_minutes > 0
    assert star.reasons
    assert star.reasons_zh
    listed = [found.member_id async for found in opened.client.list_stars(page_size=1)]
    assert listed == ["wang"]
    assert [found async for found in opened.client.list_stars(star_min=2)] == []


async def test_reviews_and_selections_need_their_state(opened: RealLedger) -> None:
    for call in (
        opened.client.close_star_review("wang", keep=True),
        opened.client.select_star("wang"),
    ):
        with pytest.raises(TimebankError) as refused:
            await call
        assert refused.value.reason is Reason.STAR_STATE


async def test_versions_of_the_policy_are_listed_in_order(opened: RealLedger) -> None:
    second = await opened.client.adopt_policy(policy(effective_from="2026-02-01"))
    listed = [found async for found in opened.client.list_policies(page_size=1)]
    assert [found.version for found in listed][1:] == [second.version]
    assert second == await opened.client.get_policy(second.version)
    assert listed[0].effective_time < second.effective_time
    assert second.end_time is None
    with pytest.raises(TimebankError) as refused:
        await opened.client.get_policy("nothing@9")
    assert refused.value.reason is Reason.POLICY_NOT_FOUND


async def test_a_replay_goes_through_every_page(
    opened: RealLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger.rpc.policies, "REPLAY_PAGE_RECORDS", 2)
    await serve(opened, 5)
    document = policy(earn={"reward": "TIME"}, policy_id="again")
    adopted = await opened.client.adopt_policy(document, replay=True)
    assert adopted.replays
    told: list[ReplayView] = []
    done = await opened.client.replay_policy(adopted.version, progress=told.append)
    assert done == told[-1] == ReplayView(records=5, corrected=5)
    assert len(told) == 3
    assert (await opened.city.balances("wang"))[2] == 0
    again = await opened.client.replay_policy(adopted.version)
    assert again.corrected == 0


async def test_a_certificate_is_issued_checked_and_revoked(opened: RealLedger) -> None:
    await opened.client.put_personal_data("wang", PersonalData(display_name="王阿姨"))
    with pytest.raises(TimebankError) as empty:
        await issue(opened)
    assert empty.value.reason is Reason.CERTIFICATE_EMPTY
    await serve(opened, 1)
    issued = await issue(opened, pdf=True)
    assert (issued.pdf or b"").startswith(b"%PDF")
    assert "王阿姨" not in repr(issued)
    assert issued.total_minutes == 1440
    read = await opened.client.get_certificate(issued.number)
    assert (read.pdf, read.document) == (None, issued.document)
    listed = [found.number async for found in opened.client.list_certificates("wang")]
    assert listed == [issued.number]
    revoked = await opened.client.revoke_certificate(issued.number, memo="作废")
    assert revoked.state is CertificateState.REVOKED
    check = await opened.client.check_certificate(issued.number)
    assert check.state is CertificateState.REVOKED
    assert check.document_sha256 == issued.document_sha256
