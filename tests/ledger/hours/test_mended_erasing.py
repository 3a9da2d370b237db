"""Erasing that once left texts behind: none about the person is left, in no table and, on SQLite,
on no page of the file or of its log of changes. Each test ends with an audit.
"""

import pathlib
from typing import Any

from tests.ledger.hours.refusals import ELDER, Scene, wording
from tests.ledger.hours.test_personal_data import SQLITE, cells, files_with, tables_with
from tests.support.commands import POOL, TIME
from tests.support.hours import BASE_US, DAY_US, OFFICER, SECOND, UNIT, C, HoursWorld, policy
from timebank.auth import Principal, PrincipalKind

THIRD = Principal(PrincipalKind.OFFICER, "sun", units=frozenset({UNIT}))
LEVELS = [
    {"star": star, "hours": star, "points": 0, "quality_tenths": 0} for star in (1, 2, 3, 4, 5)
]
"""A star an hour."""
LIFE: tuple[tuple[str, dict[str, Any]], ...] = (
    ("SuspendMember", {}),
    ("ReinstateMember", {}),
    ("EvaluateMember", {"role": "PEER", "rater": "p-1", "score": 5}),
    ("GrantTime", {"minutes": 10}),
    ("TransferTime", {"minutes": 10}),
    ("SelectStar", {}),
)
"""What happens to a member, each with a text."""


SEALED = 3
"""A key, the personal data, and a certificate."""
PIECE_BYTES = 32
"""So much of what is sealed lies on one page."""


class Written:
    """Texts about a member that a test wrote, each of its own."""

    def __init__(self, member_id: str) -> None:
        self.member_id = member_id
        self.words: list[str] = []

    def word(self, about: str) -> str:
        """A text that stands nowhere else."""
        self.words.append(f"{self.member_id}的{about}-{len(self.words)}")
        return self.words[-1]


async def _texts_of_records(city: HoursWorld, written: Written) -> None:
    """Claims, disputes, resolves, voids, spot-checks and corrects records."""
    claims = {"r-upheld": THIRD, "r-void": SECOND, "r-checked": SECOND}
    for day, name in enumerate(claims):
        content = written.word("content")
        record = city.record(
            written.member_id, start_us=BASE_US + day * DAY_US, evidence=C, content=content
        )
        await city.submit(record, OFFICER, record_id=f"{name}-{written.member_id}")
    about = {name: city.record_name(f"{name}-{written.member_id}") for name in claims}
    upheld, void, checked = about.values()
    await city.call("DisputeRecord", SECOND, name=upheld, memo=written.word("dispute"))
    memo = written.word("resolution")
    await city.call("ResolveDispute", THIRD, name=upheld, upheld=True, memo=memo)
    await city.call("VoidRecord", SECOND, name=void, memo=written.word("void"))
    await city.call("VerifyRecord", SECOND, name=checked)
    memo = written.word("spot check")
    await city.call("ResolveSpotCheck", THIRD, name=checked, passed=False, memo=memo)
    for day in (4, 5):
        record = city.record(
            written.member_id,
            start_us=BASE_US + day * DAY_US,
            minutes=120,
            content=written.word("content"),
        )
        await city.submit(record, record_id=f"r-{day}-{written.member_id}")
    fixed = city.record(
        written.member_id,
        start_us=BASE_US + 5 * DAY_US,
        minutes=119,
        content=written.word("correction"),
        supersedes=city.record_name(f"r-5-{written.member_id}"),
    )
    await city.submit(fixed, record_id=f"r-6-{written.member_id}")


async def _texts_of_a_life(city: HoursWorld, written: Written) -> None:
    """Suspends, reinstates, rates, grants, gives, selects, merges, unmerges, revokes, and dies."""
    name = city.member_name(written.member_id)
    review = written.word("review")
    await city.call("CloseStarReview", name=name, keep=True, memo=review)
    for method, more in LIFE:
        text = "comment" if method == "EvaluateMember" else "memo"
        said: dict[str, Any] = {text: written.word(method)}
        await city.call(method, name=name, **more, **said)
    fields: dict[str, Any] = wording(Scene(city)) | {"parent": name}
    issued = await city.call("IssueCertificate", **fields)
    await city.call("RevokeCertificate", name=issued.name, memo=written.word("revocation"))
    into = city.member_name("root")
    await city.call("MergeMember", name=name, into=into, memo=written.word("merge"))
    await city.call("UnmergeMember", name=name, memo=written.word("parting"))
    await city.call("RecordDeath", name=name, memo=written.word("death"))


async def _lived(bare: HoursWorld, *member_ids: str) -> dict[str, Written]:
    """Members about whom everything was written that can be."""
    stars = {"levels": LEVELS, "five_by_selection": True}
    fields: dict[str, Any] = {
        "transfers": ["POOL"],
        "elder_issue_minutes": 600,
        "spot_check_percent": 100,
    }
    await bare.adopt(policy(stars=stars, **fields))
    await bare.register("root")
    await bare.world.grant(bare.world.system[POOL, TIME], 600, TIME)
    lives = {}
    for member_id in member_ids:
        written = lives[member_id] = Written(member_id)
        await bare.register(member_id, name=f"{member_id}的名字", key_elder=True)
        await _texts_of_records(bare, written)
        await _texts_of_a_life(bare, written)
    return lives


async def test_erasing_leaves_no_text_about_the_person_and_every_text_about_others(
    bare: HoursWorld,
) -> None:
    lives = await _lived(bare, "wang", "chen")
    for written in lives.values():
        for word in written.words:
            assert await tables_with(bare, word) == ["texts"], word
    name = bare.member_name("wang")
    erased = await bare.call("ErasePersonalData", once=True, name=name)
    assert erased.texts == len(lives["wang"].words)
    left = [word for word in lives["wang"].words if await tables_with(bare, word)]
    assert left == []
    for word in lives["chen"].words:
        assert await tables_with(bare, word) == ["texts"], word


async def test_what_is_erased_is_on_no_page_of_the_file(bare: HoursWorld) -> None:
    lives = await _lived(bare, "wang", "chen")
    if not bare.world.database_url.startswith(SQLITE):
        return
    sealed = await _sealed(bare)
    assert all(_files_with_bytes(bare, cell[:PIECE_BYTES]) for cell in sealed)
    words = lives["wang"].words
    assert all(files_with(bare, word) for word in words)
    await bare.call("ErasePersonalData", once=True, name=bare.member_name("wang"))
    assert [word for word in words if files_with(bare, word)] == []
    gone = sealed - await _sealed(bare)
    assert len(gone) == SEALED
    pieces = [piece for cell in gone for piece in (cell[:PIECE_BYTES], cell[-PIECE_BYTES:])]
    assert [piece for piece in pieces if _files_with_bytes(bare, piece)] == []
    assert all(files_with(bare, word) for word in lives["chen"].words)


async def _sealed(city: HoursWorld) -> set[bytes]:
    """The sealed keys of all persons, and what is sealed under them: each the last column."""
    found = await cells(city)
    return {*found["person_keys"][2::3], *found["person_data"][3::4]}


def _files_with_bytes(city: HoursWorld, sealed: bytes) -> list[str]:
    file = pathlib.Path(city.world.database_url.removeprefix(SQLITE))
    files = [path for path in file.parent.glob(f"{file.name}*") if path.is_file()]
    return [path.name for path in files if sealed in path.read_bytes()]


async def test_what_a_member_wrote_about_another_goes_with_the_other(bare: HoursWorld) -> None:
    await bare.adopt(policy())
    for member_id in ("wang", "li-elder"):
        await bare.register(member_id, name=f"{member_id}的名字")
    rating: dict[str, Any] = {"name": bare.member_name("wang"), "role": "RESIDENT", "score": 4}
    await bare.call("EvaluateMember", ELDER, comment="王阿姨来得晚", **rating)
    await bare.call("ErasePersonalData", once=True, name=bare.member_name("li-elder"))
    assert await tables_with(bare, "王阿姨来得晚") == ["texts"]
    await bare.call("ErasePersonalData", once=True, name=bare.member_name("wang"))
    assert await tables_with(bare, "王阿姨来得晚") == []
