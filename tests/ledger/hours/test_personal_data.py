"""Personal data: sealed at rest, never in the log, gone when it is erased, masked in public."""

import pathlib
from typing import Any

import pytest
from sqlalchemy import text

from ledger.store.hours_schema import SCHEMA_TABLES
from tests.ledger.hours.refusals import WANG, Scene, wording
from tests.support.hours import BASE_US, MATCHING, OFFICER, HoursWorld, policy, preset
from tests.support.keys import ORIGIN
from tests.support.ledgers import refused
from timebank.certificates import open_certificate
from timebank.config import DatabaseConfig
from timebank.database import open_databases
from timebank.errors import Reason
from timebank.ledger.v1 import log_service_pb2
from timebank.tlog.receipt import parse_receipt, verify_receipt

PERSON = {
    "display_name": "王桂兰",
    "id_type": "居民身份证",
    "id_number": "371002195203041529",
    "phone": "13963100000",
    "national_number": "3710000000012345",
}
SQLITE = "sqlite:///"
FOUR_STAR_HOURS = 1_000


async def cells(city: HoursWorld) -> dict[str, list[bytes]]:
    """Every value of every row of every table, as bytes, by table."""
    databases = open_databases(DatabaseConfig(url=city.world.database_url), exclusive=False)
    found: dict[str, list[bytes]] = {}
    try:
        async with databases.reader.connect() as connection:
            for table in SCHEMA_TABLES:
                names = ", ".join(f'"{column.name}"' for column in table.columns)
                rows = await connection.execute(text(f"SELECT {names} FROM {table.name}"))
                found[table.name] = [_bytes(value) for row in rows for value in row]
    finally:
        await databases.close()
    return found


def _bytes(value: Any) -> bytes:
    return bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode()


async def tables_with(city: HoursWorld, word: str) -> list[str]:
    """The tables in which a text stands in some row."""
    found = await cells(city)
    assert found["entries"]
    return [name for name, values in found.items() if any(word.encode() in v for v in values)]


def files_with(city: HoursWorld, word: str) -> list[str]:
    """The files of a SQLite database in which a text stands."""
    file = pathlib.Path(city.world.database_url.removeprefix(SQLITE))
    files = [path for path in file.parent.glob(f"{file.name}*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) > 0
    return [path.name for path in files if word.encode() in path.read_bytes()]


async def registered(city: HoursWorld) -> Scene:
    """王桂兰 with an hour of service and a certificate."""
    scene = Scene(city)
    await city.adopt(policy())
    await city.call(
        "RegisterMember",
        parent=city.name,
        member_id="wang",
        member={"home_unit": "huancui/12dong"},
        personal_data=PERSON,
    )
    record = city.record("wang", content="陪老人去医院")
    await city.submit(record, MATCHING, record_id="r-1")
    issued = await city.call("IssueCertificate", **wording(scene))
    scene.certificates["issued"] = issued.name
    return scene


async def test_personal_data_is_read_back_as_it_was_put(bare: HoursWorld) -> None:
    scene = await registered(bare)
    found = await scene.call("GetPersonalData", WANG)
    assert {name: getattr(found, name) for name in PERSON} == PERSON
    changed = {"display_name": "王桂兰", "phone": "13000000000"}
    await bare.call("PutPersonalData", OFFICER, name=scene.member("wang"), personal_data=changed)
    found = await scene.call("GetPersonalData", WANG)
    assert (found.phone, found.id_number) == ("13000000000", "")


async def test_personal_data_stands_in_clear_nowhere_in_the_database(bare: HoursWorld) -> None:
    scene = await registered(bare)
    assert await tables_with(bare, "陪老人去医院") == ["texts"]
    for word in PERSON.values():
        assert await tables_with(bare, word) == [], word
    if bare.world.database_url.startswith(SQLITE):
        assert files_with(bare, "陪老人去医院")
        for word in PERSON.values():
            assert files_with(bare, word) == [], word
    assert (await scene.call("GetCertificate")).document.count("王桂兰") == 1


async def test_no_answer_about_the_log_names_a_person(bare: HoursWorld) -> None:
    await registered(bare)
    for index in range(await bare.world.size()):
        entry = await bare.world.entry(index)
        for word in PERSON.values():
            assert word.encode() not in entry.SerializeToString(), index


async def test_two_persons_with_the_same_data_have_different_keys_and_seals(
    bare: HoursWorld,
) -> None:
    await bare.adopt(policy())
    for word in ("wang", "wang-2"):
        await bare.register(word, name="王桂兰")
    found = await cells(bare)
    for table, columns in (("person_keys", 3), ("person_data", 4)):
        sealed = found[table][columns - 1 :: columns]
        assert len(set(sealed)) == len(sealed) == 2, table


async def test_erasing_destroys_key_data_texts_and_certificates(bare: HoursWorld) -> None:
    scene = await registered(bare)
    size = await bare.world.size()
    erased = await bare.call("ErasePersonalData", once=True, name=scene.member("wang"))
    assert erased.texts == 1
    found = await cells(bare)
    assert found["person_data"] == []
    # An empty key stands for the one that was destroyed.
    assert found["person_keys"] == [b"1", b"wang", b""]
    assert await tables_with(bare, "陪老人去医院") == []
    assert await bare.world.size() == size
    data = scene.call("GetPersonalData", WANG)
    assert await refused(data) is Reason.PERSONAL_DATA_ERASED
    assert await refused(scene.call("GetCertificate", WANG)) is Reason.PERSONAL_DATA_ERASED
    issue = scene.call("IssueCertificate", WANG)
    assert await refused(issue) is Reason.PERSONAL_DATA_ERASED
    assert (await scene.call("GetRecord", name=scene.a_record("r-1"))).content == ""
    again = await bare.call("ErasePersonalData", once=True, name=scene.member("wang"))
    assert again.texts == 0


async def test_erasing_one_person_leaves_the_others(bare: HoursWorld) -> None:
    scene = await registered(bare)
    await bare.register("chen", name="陈建国")
    record = bare.record("chen", content="理发")
    await bare.submit(record, record_id="r-2")
    await bare.call("ErasePersonalData", once=True, name=scene.member("wang"))
    kept = await scene.call("GetPersonalData", name=scene.member("chen"))
    assert kept.display_name == "陈建国"
    assert (await scene.call("GetRecord", name=scene.a_record("r-2"))).content == "理发"


async def test_the_log_stays_whole_after_erasing(bare: HoursWorld) -> None:
    scene = await registered(bare)
    posted = await scene.call("GetRecord", name=scene.a_record("r-1"))
    index = int(posted.entry.rsplit("/", 1)[1])
    request = log_service_pb2.GetReceiptRequest(name=posted.entry)
    before = (await bare.world.log.GetReceipt(request)).proof
    await bare.call("ErasePersonalData", once=True, name=scene.member("wang"))
    after = (await bare.world.log.GetReceipt(request)).proof
    for proof in (before, after):
        receipt = parse_receipt(proof)
        assert verify_receipt(receipt, [bare.world.verifier_key]).checkpoint.origin == ORIGIN
        assert receipt.index == index
    assert await bare.balances("wang") == (60, 60, 1)
    await bare.audit()


async def test_a_certificate_that_somebody_kept_still_verifies_after_erasing(
    bare: HoursWorld,
) -> None:
    scene = await registered(bare)
    kept = await scene.call("GetCertificate", WANG)
    await bare.call("ErasePersonalData", once=True, name=scene.member("wang"))
    certificate = open_certificate(kept.document, [bare.world.verifier_key])
    assert (certificate.name, certificate.total_minutes) == ("王桂兰", 60)
    check = await scene.call("CheckCertificate")
    assert check.document_sha256 == kept.document_sha256
    listed = (await scene.call("ListCertificates")).certificates
    assert [item.name for item in listed] == [kept.name]
    assert listed[0].document == listed[0].compact == ""


async def test_an_identity_number_is_masked_on_a_certificate(bare: HoursWorld) -> None:
    scene = await registered(bare)
    document = (await scene.call("GetCertificate")).document
    assert PERSON["id_number"] not in document
    assert PERSON["phone"] not in document
    masked = open_certificate(document, [bare.world.verifier_key]).id_number_masked
    assert masked != PERSON["id_number"]
    assert "*" in masked


@pytest.mark.parametrize("consent", [False, True])
async def test_names_on_the_publicity_list_are_masked_without_consent(
    bare: HoursWorld, consent: bool
) -> None:
    await bare.adopt(preset("national"))
    await bare.register("wang", name="王桂兰", publish_name=consent)
    await bare.register("nameless", publish_name=True)
    for word in ("wang", "nameless"):
        await bare.serve(word, 100, start_us=BASE_US)
    page = await bare.call("ListStars", WANG, parent=bare.name)
    shown = {star.name.split("/")[3]: star.display_name for star in page.stars}
    assert shown == {"wang": "王桂兰" if consent else "王**", "nameless": ""}
    await bare.call(
        "UpdateMember",
        member={"name": bare.member_name("wang"), "publish_name": False},
        update_mask={"paths": ["publish_name"]},
    )
    page = await bare.call("ListStars", WANG, parent=bare.name)
    assert [star.display_name for star in page.stars if "wang" in star.name] == ["王**"]


async def test_an_erased_person_stands_on_the_publicity_list_without_a_name(
    bare: HoursWorld,
) -> None:
    await bare.adopt(preset("national"))
    await bare.register("wang", name="王桂兰", publish_name=True)
    await bare.serve("wang", 100, start_us=BASE_US)
    await bare.call("ErasePersonalData", once=True, name=bare.member_name("wang"))
    [star] = (await bare.call("ListStars", parent=bare.name)).stars
    assert (star.star, star.display_name) == (1, "")
