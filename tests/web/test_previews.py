"""The preview and the print page over HTTP: what stands in them, whose list one walks in, what is said of the rest."""

import io
import re
from dataclasses import dataclass
from typing import Any

import lxml.html
import pytest
from PIL import Image
from werkzeug.test import TestResponse

from medfiles.sandbox.render import spec
from medfiles.web import printing
from tests.support import samples
from tests.support.factories import Browser, World

HOSTILE = "Pain & <b>fever</b> <script>alert(1)</script>"
ABSENT = 1_999_999_999


@dataclass
class Desk:
    world: World
    browser: Browser
    record: Any

    def __post_init__(self) -> None:
        self.record_id: int = self.record.id

    def put(self, name: str, content: bytes | None = None, **paper: Any) -> int:
        return self.world.attach(self.record, name, content, **paper).id

    def look(self, file_id: int, **query: Any) -> Any:
        return parsed(self.browser.get(f"/documents/files/{file_id}/preview", **query))

    def print(self, *ids: int) -> Any:
        chosen = ",".join(map(str, ids))
        return parsed(
            self.browser.post(f"/documents/lab-result/{self.record_id}/bulk", action="print", file_ids=chosen)
        )


@pytest.fixture
def desk(world: World) -> Desk:
    return Desk(world, world.browser(), world.record("lab-result"))


def parsed(answer: TestResponse) -> Any:
    assert answer.status_code == 200, answer.text
    return lxml.html.fromstring(answer.text)


def words(tree: Any, selector: str) -> list[str]:
    return [" ".join(one.text_content().split()) for one in tree.cssselect(selector)]


def place(tree: Any) -> str:
    return words(tree, ".mf-look-number")[0]


def beside(tree: Any) -> list[str]:
    return words(tree, ".mf-look-walk")


def test_a_pdf_comes_with_the_page_that_was_asked_for_in_every_size(desk: Desk) -> None:
    tree = desk.look(desk.put("Letter.pdf", samples.pdf(3)), page=2)
    [picture] = tree.cssselect(".mf-look-page img")
    assert picture.get("alt") == "Page 2 of 3 of Letter.pdf"
    sizes = re.findall(r"-v2w(\d+)/2\.webp (\d+)w", picture.get("srcset"))
    assert sizes == [("480", "480"), ("960", "960"), ("1600", "1600"), ("2400", "2400")]


def test_each_size_of_a_picture_is_one_that_the_server_draws(desk: Desk) -> None:
    tree = desk.look(desk.put("Photo.jpg", samples.jpeg(1200, 900)))
    [picture] = tree.cssselect(".mf-look-page img")
    listed = re.findall(r"(\S+) (\d+)w", picture.get("srcset"))
    assert [width for _, width in listed] == ["480", "960", "1200"]
    for address, width in listed:
        answer = desk.browser.get(address)
        assert (answer.status_code, answer.mimetype) == (200, "image/webp")
        assert width_of(answer.data) == int(width)


def width_of(content: bytes) -> int:
    with Image.open(io.BytesIO(content)) as image:
        return int(image.width)


def test_a_page_that_does_not_exist_is_the_nearest(desk: Desk) -> None:
    file_id = desk.put("Letter.pdf", samples.pdf(3))
    for page, nearest in (("99", "3"), ("0", "1"), ("x", "1")):
        assert desk.look(file_id, page=page).cssselect("[data-mf-page-field]")[0].get("value") == nearest


def test_one_walks_in_the_order_of_the_list(desk: Desk) -> None:
    ids = {name: desk.put(name) for name in ("B.txt", "A.txt", "C.txt")}
    tree = desk.look(ids["B.txt"], sort="name")
    assert [event.file_id for event in desk.world.events(action="preview")] == [ids["B.txt"]]
    assert place(tree) == "2 of 3"
    assert beside(tree) == ["Previous document: A.txt", "Next document: C.txt"]
    assert words(tree, ".mf-look-film li") == [f"TXT{name}" for name in ("A.txt", "B.txt", "C.txt")]
    assert all("sort=name" in link.get("hx-get") for link in tree.cssselect("[data-mf-look]"))


def test_neighbours_are_those_of_the_search_or_the_trash(desk: Desk) -> None:
    first, letter, last = (desk.put(name) for name in ("Scan 1.txt", "Letter.txt", "Scan 2.txt"))
    assert place(desk.look(first, q="scan", sort="name")) == "1 of 2"
    assert beside(desk.look(last, q="scan", sort="name")) == ["Previous document: Scan 1.txt"]
    assert not desk.look(letter, q="scan").cssselect(".mf-look-number, .mf-look-walk")
    for file_id in (first, last):
        desk.world.documents().trash(file_id)
    assert place(desk.look(first, sort="name")) == "1 of 2"


def test_of_a_long_list_the_first_the_nearest_and_the_last_are_shown(desk: Desk) -> None:
    ids = desk.world.store(desk.record, *(f"Note {number}.txt" for number in range(100)))
    tree = desk.look(ids[50], sort="name")
    assert place(tree) == "51 of 100"
    shown = [name.removeprefix("TXT") for name in words(tree, ".mf-look-film li")]
    assert shown == [f"Note {number}.txt" for number in (0, *range(38, 63), 99)]


def test_text_tables_and_letters_are_shown_without_markup_of_their_own(desk: Desk) -> None:
    tree = desk.look(desk.put("Note.txt", HOSTILE.encode()))
    assert (words(tree, ".mf-look-text"), tree.cssselect("script")) == ([HOSTILE], [])
    tree = desk.look(desk.put("Values.csv", f"day,note\n1,{HOSTILE}\n".encode()))
    assert words(tree, ".mf-look-table th, .mf-look-table td") == ["day", "note", "1", HOSTILE]
    tree = desk.look(desk.put("Letter.docx", samples.docx()))
    assert words(tree, ".mf-prose p") == ["Visit summary"]
    assert not tree.cssselect(".mf-prose [style], .mf-prose [class], .mf-prose a, .mf-prose img")
    assert "200 rows" in words(desk.look(desk.put("Long.csv", samples.csv(500))), ".mf-look-note")[0]


def test_what_cannot_be_shown_says_why_and_offers_the_download(desk: Desk) -> None:
    file_id = desk.put("Locked.pdf", samples.locked_pdf())
    tree = desk.look(file_id)
    assert "password" in words(tree, ".mf-look-none")[0]
    assert tree.cssselect(f".mf-look-none a[href='/documents/files/{file_id}/download']")
    assert not tree.cssselect("[data-mf-key=print]")


def test_a_medical_picture_is_not_for_diagnosis(world: World) -> None:
    desk = Desk(world, world.browser(), world.record("procedure"))
    tree = desk.look(desk.put("CT.dcm", samples.dicom()))
    assert words(tree, ".mf-look-warning") == ["Not for diagnosis"]
    presets = [one.get("data-mf-preset") for one in tree.cssselect("[data-mf-preset]")]
    assert presets
    assert tree.cssselect("[data-mf-preset][aria-pressed=true]")[0].get("data-mf-preset") == presets[0]


def test_a_window_is_a_link_without_script(world: World) -> None:
    desk = Desk(world, world.browser(htmx=False), world.record("procedure"))
    file_id = desk.put("CT.dcm", samples.dicom())
    lung = desk.look(file_id).cssselect("[data-mf-preset='-600.0,1500.0']")[0].get("href")
    tree = parsed(desk.browser.get(lung))
    word = spec.recipe(960, (-600, 1500))
    assert f"-{word}/1.webp" in tree.cssselect(".mf-look-page img")[0].get("src")
    assert words(tree, "[data-mf-preset][aria-pressed=true]") == ["Lung"]


def test_an_impossible_window_is_refused(world: World) -> None:
    desk = Desk(world, world.browser(), world.record("procedure"))
    path = f"/documents/files/{desk.put('CT.dcm', samples.dicom())}/preview"
    for window in ("40", "a,b", "1,0", "1e30,5", "nan,3", "1,2,3"):
        assert desk.browser.get(path, window=window).status_code == 422


def test_without_script_the_preview_is_a_page_of_its_own(desk: Desk) -> None:
    desk.browser = desk.world.browser(htmx=False)
    ids = [desk.put(name) for name in ("A.txt", "B.pdf")]
    tree = desk.look(ids[0], sort="name")
    assert words(tree, "h1") == ["A.txt"]
    assert tree.cssselect(".mf-look-next")[0].get("href") == f"/documents/files/{ids[1]}/preview?sort=name"
    assert not tree.cssselect(".mf-look-in a[hx-get]")
    assert tree.cssselect(".mf-back a")[0].get("href") == f"/documents/lab-result/{desk.record_id}?sort=name"


def test_without_previews_there_are_thumbnails_and_no_dialog(without_previews: World) -> None:
    desk = Desk(without_previews, without_previews.browser(), without_previews.record("insurance"))
    file_id = desk.put("Card.png")
    tree = parsed(desk.browser.get(f"/documents/insurance/{desk.record_id}"))
    [thumb] = tree.cssselect(".mf-row .mf-thumb img")
    assert (thumb.get("width"), thumb.get("height"), thumb.get("loading")) == ("240", "320", "lazy")
    assert desk.browser.get(thumb.get("src")).mimetype == "image/webp"
    assert not tree.cssselect("[data-mf-look], .mf-look, [value=print]")
    assert desk.browser.get(f"/documents/files/{file_id}/preview").status_code == 403


def test_an_insurance_card_is_shown_in_the_preview(world: World) -> None:
    desk = Desk(world, world.browser(), world.record("insurance"))
    tree = desk.look(desk.put("Card.png"))
    [picture] = tree.cssselect("img[srcset]")
    assert desk.browser.get(picture.get("src")).mimetype == "image/webp"


def test_a_row_opens_the_dialog_of_its_list(desk: Desk) -> None:
    file_id = desk.put("Letter.pdf")
    tree = parsed(desk.browser.get(f"/documents/lab-result/{desk.record_id}?q=letter"))
    [link] = tree.cssselect(".mf-row [data-mf-look]")
    assert link.get("href") == f"/documents/files/{file_id}/preview?q=letter"
    assert tree.cssselect(f"dialog#{link.get('data-mf-look')}")


@pytest.mark.usefixtures("without_previews")
def test_a_recent_document_opens_and_its_record_is_one_link_further(desk: Desk) -> None:
    file_id = desk.put("Letter.pdf")
    insurance = desk.world.record("insurance")
    desk.world.attach(insurance, "Card.png")
    tree = parsed(desk.browser.get("/"))
    assert [one.get("href") for one in tree.cssselect(".mf-page-tiles a")] == [
        f"/insurance/{insurance.id}",
        f"/insurance/{insurance.id}",
        f"/documents/files/{file_id}/preview",
        f"/lab-result/{desk.record_id}",
    ]
    assert tree.cssselect("#mf-recent-look-body")


def test_uploaded_and_recent_documents_and_those_in_the_trash_have_thumbnails(desk: Desk) -> None:
    answer = desk.browser.upload(f"/documents/lab-result/{desk.record_id}/files", "Photo.png", samples.png())
    [thumb] = lxml.html.fromstring(answer.text).cssselect(".mf-row .mf-thumb img")
    assert desk.browser.get(thumb.get("src")).mimetype == "image/webp"
    assert parsed(desk.browser.get("/")).cssselect(".mf-page-tiles .mf-paper img")
    desk.world.documents().trash(desk.put("Scan.png"))
    trash = parsed(desk.browser.get(f"/patients/{desk.record.patient_id}/trash"))
    assert trash.cssselect(".mf-recent .mf-thumb img")
    assert parsed(desk.browser.get(f"/documents/lab-result/{desk.record_id}/trash")).cssselect(".mf-row .mf-thumb img")


def test_a_document_is_printed_page_by_page(desk: Desk) -> None:
    file_id = desk.put("Letter.pdf", samples.pdf(3), description="After the operation")
    tree = parsed(desk.browser.get(f"/documents/files/{file_id}/print"))
    pictures = [one.get("src").rpartition("-")[2] for one in tree.cssselect(".mf-print-page img")]
    assert pictures == ["v2w1600/1.webp", "v2w1600/2.webp", "v2w1600/3.webp"]
    [caption] = words(tree, ".mf-print-caption")
    assert caption.startswith("Letter.pdf Ella Sample")
    assert "Lab result: Something" in caption
    assert not [one for one in tree.cssselect(".mf-print-page img") if one.get("loading")]


def test_several_documents_are_printed_together_and_the_others_named(desk: Desk) -> None:
    ids = [desk.put("Note.txt", HOSTILE.encode()), desk.put("Values.csv"), desk.put("Photo.png")]
    locked = desk.put("Locked.pdf", samples.locked_pdf())
    other = desk.world.attach(desk.world.record("visit"), "Other.txt").id
    tree = desk.print(*ids, locked, other, ABSENT)
    assert words(tree, ".mf-print-caption h2") == ["Note.txt", "Values.csv", "Photo.png"]
    refused = words(tree, ".mf-print-refused li")
    assert "password" in refused[0]
    assert refused[1:] == ["A document no longer exists."] * 2
    assert words(tree, ".mf-look-text") == [HOSTILE]
    assert "Other.txt" not in tree.text_content()


def test_what_does_not_fit_on_the_page_is_said(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(printing, "MAX_PICTURES", 4)
    long, more, text = desk.put("Long.pdf", samples.pdf(6)), desk.put("Photo.png"), desk.put("Note.txt")
    tree = desk.print(long, more, text)
    assert words(tree, ".mf-print-note") == [
        "Only the first 4 of 6 pages are shown. Download the document to print the rest."
    ]
    assert "Photo.png does not fit" in words(tree, ".mf-print-refused li")[0]
    assert words(tree, ".mf-print-caption h2") == ["Long.pdf", "Note.txt"]


def test_nothing_is_printed_of_what_may_not_be_previewed(without_previews: World) -> None:
    desk = Desk(without_previews, without_previews.browser(), without_previews.record("insurance"))
    file_id = desk.put("Card.png")
    answer = desk.browser.get(f"/documents/files/{file_id}/print")
    assert "do not support this" in answer.text
    assert "pictures" not in answer.text


def test_a_guessed_encoding_can_be_exchanged_for_another(desk: Desk) -> None:
    file_id = desk.put("note.txt", "анализ крови в норме".encode("koi8_r"))
    tree = desk.look(file_id)
    assert words(tree, ".mf-look-encoding option[selected]") == ["Cyrillic (KOI8-R)"]
    assert words(tree, ".mf-look-text") == ["анализ крови в норме"]
    other = desk.look(file_id, encoding="cp1251")
    assert words(other, ".mf-look-encoding option[selected]") == ["Cyrillic (Windows-1251)"]
    assert words(other, ".mf-look-text") == ["анализ крови в норме".encode("koi8_r").decode("cp1251")]
    assert not desk.look(desk.put("plain.txt", samples.txt())).cssselect(".mf-look-encoding")


def test_comments_of_a_word_document_reach_the_page(desk: Desk) -> None:
    parts = samples.docx_parts()
    main = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    body = str(parts["word/document.xml"]).replace("</w:r>", '<w:commentReference w:id="0"/></w:r>')
    comment = '<w:comment w:id="0"><w:p><w:r><w:t>Check again</w:t></w:r></w:p></w:comment>'
    comments = f'<w:comments xmlns:w="{main}">{comment}</w:comments>'
    data = samples.package(parts | {"word/document.xml": body, "word/comments.xml": comments})
    assert "Check again" in words(desk.look(desk.put("letter.docx", data)), ".mf-prose dd")[0]


def details(answer: TestResponse) -> Any:
    [section] = lxml.html.fromstring(f"<div>{answer.text}</div>").cssselect("#mf-look-details")
    return section


def sent_by(section: Any) -> dict[str, str]:
    [form] = section.cssselect("form.mf-look-edit")
    return {name: value.removeprefix("\n") for name, value in form.form_values() if name != "csrf_token"}


def test_details_are_changed_beside_the_preview(desk: Desk) -> None:
    file_id = desk.put("Letter.pdf")
    editor = desk.world.browser(htmx=True)
    form = sent_by(details(editor.get(f"/documents/files/{file_id}/preview")))
    answer = editor.post(f"/documents/files/{file_id}/edit", **{**form, "file_name": "Referral.pdf"})
    assert answer.status_code == 200
    assert words(details(answer), "[data-mf-edit=file_name]") == ["Referral"]
    assert 'id="mf-look-stem" hx-swap-oob="true">Referral<' in answer.text
    assert "documents:changed" in answer.headers["HX-Trigger"]


def test_conflicting_change_beside_the_preview_shows_both_values(desk: Desk) -> None:
    file_id = desk.put("Letter.pdf")
    editor = desk.world.browser(htmx=True)
    form = sent_by(details(editor.get(f"/documents/files/{file_id}/preview")))
    edit = f"/documents/files/{file_id}/edit"
    editor.post(edit, **{**form, "description": "From Dr. Placeholder"})
    answer = editor.post(edit, **{**form, "description": "From the hospital"})
    section = details(answer)
    assert answer.status_code == 409
    assert words(section, ".mf-clash-value") == ["From Dr. Placeholder"]
    assert section.cssselect(".mf-clash textarea")[0].text.strip() == "From the hospital"
    assert not section.cssselect("form[hidden]")
    again = sent_by(section) | {"keep_description": "mine"}
    assert words(details(editor.post(edit, **again)), "[data-mf-edit=description]") == ["From the hospital"]


def test_preview_says_who_viewed_the_document_only_to_editors(world: World) -> None:
    patient = world.patient()
    desk = Desk(world, world.browser(), world.record("lab-result", patient))
    file_id = desk.put("Letter.pdf")
    desk.world.share(patient, "viewer@sample.example", "view")
    desk.world.share(patient, "editor@sample.example", "edit")
    viewer, editor = (desk.world.browser(f"{who}@sample.example") for who in ("viewer", "editor"))
    as_viewer = parsed(viewer.get(f"/documents/files/{file_id}/preview"))
    as_editor = parsed(editor.get(f"/documents/files/{file_id}/preview"))
    assert words(as_viewer, ".mf-seen") == []
    assert not as_viewer.cssselect("[data-mf-edit]")
    assert words(as_editor, ".mf-seen .mf-one") == ["viewer@sample.example"]
    again = parsed(editor.get(f"/documents/files/{file_id}/preview"))
    assert words(again, ".mf-seen .mf-one") == ["You", "viewer@sample.example"]
