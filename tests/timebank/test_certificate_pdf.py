"""The printed certificate: every field, page after page, and a code that another program reads."""

import unicodedata

import pypdfium2  # type: ignore[import-untyped]  # it ships no types
import pytest
import zxingcpp

from tests.timebank.signed_certificates import COMPACT, ORIGIN, SIGNER, certificate, line
from timebank.certificate_pdf import PLACEHOLDER, certificate_pdf
from timebank.certificates import (
    compact_of,
    compact_text,
    open_certificate,
    open_compact,
    sign_certificate,
)

PIXELS_PER_POINT = 200 / 72


def pages_of(data: bytes) -> list[str]:
    """The text of each page, without line ends, as an independent reader finds it."""
    document = pypdfium2.PdfDocument(data)
    texts = [page.get_textpage().get_text_bounded() for page in document]
    # The reader writes a few characters as their radicals: ⽇ for 日.
    return [unicodedata.normalize("NFKC", text).replace("\r\n", "") for text in texts]


def codes_on(data: bytes, page: int) -> list[str]:
    """What an independent decoder reads on a rendered page."""
    document = pypdfium2.PdfDocument(data)
    image = document[range(len(document))[page]].render(scale=PIXELS_PER_POINT).to_pil()
    return [found.text for found in zxingcpp.read_barcodes(image)]


def test_the_printed_code_is_read_by_another_decoder_and_equals_the_certificate() -> None:
    data = certificate_pdf(certificate(), COMPACT)

    scanned = codes_on(data, -1)

    assert scanned == [COMPACT]
    assert open_compact(scanned[0], [SIGNER.vkey]) == compact_of(certificate())


def test_the_longest_code_is_still_read_from_paper() -> None:
    longest = certificate(
        number="编" * 64, volunteer_number="志" * 64, name="名" * 100, origin=ORIGIN
    )
    text = compact_text(longest, SIGNER)
    assert codes_on(certificate_pdf(longest, text), -1) == [text]


def test_the_page_has_every_statutory_field() -> None:
    (page,) = pages_of(certificate_pdf(certificate(), COMPACT))
    for words in (
        "志愿服务证明",
        *("张三丰", "居民身份证 3710**********1234", "371000123456"),
        *("2026 年 1 月 1 日 至 2026 年 11 月 30 日", "100 小时", "30 分钟", "record-1(1)"),
        *("威海市志愿服务联合会", "李四", "王五", "0631-1234567", "(盖章处)"),
        *("ZM-2026-000123", "2026 年 11 月 30 日", "仅用于升学", "未逐项列出的时长 99 小时"),
        *("ab" * 32, "第 1 页", "共 1 页"),
    ):
        assert words in page, words


def test_the_identity_number_is_nowhere_in_the_file_unmasked() -> None:
    data = certificate_pdf(certificate(), COMPACT)
    assert b"19900101" not in data
    assert all("19900101" not in page for page in pages_of(data))


def test_equal_input_gives_equal_bytes_dated_by_the_day_of_issue(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = certificate_pdf(certificate(), COMPACT)
    monkeypatch.setenv("TZ", "Asia/Shanghai")

    assert certificate_pdf(certificate(), COMPACT) == first
    properties = pypdfium2.PdfDocument(first).get_metadata_dict()
    assert properties["CreationDate"] == "D:20261130000000Z"
    assert properties["Keywords"] == COMPACT


def test_200_services_fill_pages_and_none_is_lost_or_printed_twice() -> None:
    many = certificate(lines=tuple(line(at, activity=f"第{at:03}次") for at in range(200)))
    data = certificate_pdf(many, COMPACT)
    pages = pages_of(data)

    assert len(pages) > 3
    whole = "".join(pages)
    assert [whole.count(f"第{at:03}次") for at in range(200)] == [1] * 200
    for number, page in enumerate(pages, start=1):
        assert f"第 {number} 页" in page
        assert f"共 {len(pages)} 页" in page
        assert ("(续)" in page) == (number > 1)
        assert "ZM-2026-000123" in page
        if "次" in page:
            assert "服务内容" in page, "a page with services has the titles of their columns"
    assert [len(codes_on(data, at)) for at in range(len(pages))] == [0] * (len(pages) - 1) + [1]


@pytest.mark.parametrize("count", range(20, 40))
def test_the_seal_and_the_code_stay_on_one_page_wherever_the_rows_end(count: int) -> None:
    data = certificate_pdf(certificate(lines=tuple(line(at) for at in range(count))), COMPACT)
    assert "(盖章处)" in pages_of(data)[-1]
    assert codes_on(data, -1) == [COMPACT]


def test_long_texts_wrap_and_are_not_cut() -> None:
    def text(first: int, count: int) -> str:
        return "".join(chr(first + at) for at in range(count))

    issuer, note, activity, place = (
        text(0x5000, 200),
        text(0x5100, 500),
        text(0x5300, 200),
        text(0x5400, 200),
    )
    long = certificate(issuer=issuer, note=note, lines=(line(activity=activity, place=place),))

    printed = set("".join(pages_of(certificate_pdf(long, COMPACT))))

    assert set(issuer + note + activity + place) <= printed


def test_a_rare_name_passes_and_is_printed_with_a_placeholder() -> None:
    rare = certificate(name="𬱖三")
    assert open_certificate(sign_certificate(rare, SIGNER), [SIGNER.vkey]).name == "𬱖三"
    assert f"{PLACEHOLDER}三" in pages_of(certificate_pdf(rare, COMPACT))[0]
