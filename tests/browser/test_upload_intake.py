"""Every way into the upload queue, and the reasons given for files that are refused."""

import base64
import io
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import BrowserContext, FilePayload, Page, Route, expect

from tests.browser.people import Person, real_file
from tests.browser.uploads import (
    button,
    digests,
    digests_of,
    expect_state,
    hold,
    kept,
    long_note,
    note,
    notes,
    payload,
    pick_paths,
    queued,
    said,
    sent,
)
from tests.browser.widget import names, open_visit, pick, row
from tests.support import samples

MB = 1024 * 1024
COPY = """async ([type, content]) => {
  const bytes = Uint8Array.from(atob(content), (sign) => sign.charCodeAt(0));
  await navigator.clipboard.write([new ClipboardItem({ [type]: new Blob([bytes], { type }) })]);
}"""
PHOTO = "Letter on the table.jpg"
TAKEN = "2026:03:12 09:41:00"
WHEN = r"\d{4}-\d\d-\d\d \d\d\.\d\d\.\d\d"


def drag_over(page: Page, selector: str, *paths: Path) -> Callable[[str], object]:
    """Drag real files and folders over the middle of an element; the function returned ends it with "drop"."""
    page.locator(selector).scroll_into_view_if_needed()
    box = page.locator(selector).bounding_box()
    assert box is not None
    files = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2, "data": files}
    devtools = page.context.new_cdp_session(page)

    def send(kind: str) -> object:
        return devtools.send("Input.dispatchDragEvent", {"type": kind, **place})

    send("dragEnter")
    send("dragOver")
    return send


def on_disk(place: Path, file: FilePayload) -> Path:
    path = place / file["name"]
    path.write_bytes(file["buffer"])
    return path


def copy(page: Page, kind: str, content: bytes) -> None:
    """Put something on the clipboard."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate(COPY, [kind, base64.b64encode(content).decode()])


def folder_of_scans(place: Path, count: int) -> Path:
    """Numbered files in folders within a folder, among them what systems leave there; browsers list 100 at a time."""
    for number in range(1, count + 1):
        path = place / "Scans" / ("first" if number < 3 else "later") / "pages" / f"Scan {number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(samples.txt(f"Page {number}\n"))
    for hidden in (".DS_Store", "first/Thumbs.db", "later/desktop.ini", ".trash/Old.txt"):
        path = place / "Scans" / hidden
        path.parent.mkdir(exist_ok=True)
        path.write_text("not for people")
    return place / "Scans"


def test_zone_highlights_dragged_files_and_uploads_them(page: Page, person: Person, tmp_path: Path) -> None:
    visit = person.visit()
    open_visit(page, visit)
    files = [payload("Befund März (1).pdf", samples.pdf()), real_file("Growth.png")]
    drag = drag_over(page, "[data-mf-zone]", *(on_disk(tmp_path, file) for file in files))
    expect(page.locator("[data-mf-zone]")).to_have_attribute("data-drag", "")
    drag("drop")
    expect(page.locator("[data-mf-zone]")).not_to_have_attribute("data-drag", "")
    expect(page.locator(".mf-row")).to_have_count(2)
    assert digests(person, visit) == digests_of(*files)
    expect(page.get_by_role("button", name="Take photo")).to_have_count(0)  # a computer with a mouse


@pytest.mark.parametrize("path", ["/visit/{visit}", "/patients/{patient}/inbox"])
def test_files_chosen_before_the_script_ran_are_uploaded(page: Page, person: Person, path: str) -> None:
    visit, held = person.visit(), list[Route]()
    page.route("**/medfiles.js", lambda route: held.append(route))
    with page.expect_request("**/medfiles.js"):
        page.goto(path.format(visit=visit.id, patient=visit.patient_id), wait_until="commit")
    page.locator("[data-mf-input]").set_input_files([real_file("Growth.png")])
    held[0].continue_()
    expect(page.locator(".mf-row, .mf-inbox-item").filter(has_text="Growth.png")).to_be_visible()


def test_file_dropped_beside_the_zone_changes_nothing(page: Page, person: Person, tmp_path: Path) -> None:
    visit = person.visit()
    open_visit(page, visit)
    path = tmp_path / "Note.txt"
    path.write_bytes(samples.txt())
    drag_over(page, "#mf-sheet-title", path)("drop")
    pick(page, "Growth.png")
    expect(row(page, "Growth.png")).to_be_visible()
    assert names(page) == ["Growth.png"]


def test_dropped_folder_is_uploaded_with_its_subfolders(page: Page, person: Person, tmp_path: Path) -> None:
    visit = person.visit()
    open_visit(page, visit)
    drag_over(page, "[data-mf-zone]", folder_of_scans(tmp_path, 120))("drop")
    refused = page.locator(".mf-upload[data-mf-state=refused]")
    expect(refused).to_have_count(112)
    expect(page.locator(".mf-row")).to_have_count(8)
    assert sorted(digests(person, visit)) == [f"Scan {number}.txt" for number in range(1, 9)]
    assert refused.locator("[data-mf-name]").all_inner_texts() == [f"Scan {number}.txt" for number in range(9, 121)]
    for words in refused.locator("[data-mf-status]").all_inner_texts():
        assert re.match(r"This file doesn’t fit: a visit can hold 8\.|This visit is full \(8 of 8\)\.", words)


def test_files_that_do_not_fit_are_put_into_the_inbox_with_one_press(
    page: Page, person: Person, tmp_path: Path
) -> None:
    patient = person.patient()
    visit = person.visit(patient=patient)
    open_visit(page, visit)
    drag_over(page, "[data-mf-zone]", folder_of_scans(tmp_path, 12))("drop")
    page.get_by_role("button", name="Put 4 files into the inbox of Ella").click()
    told = page.locator("[data-mf-elsewhere]")
    expect(told).to_have_text("4 files added to the inbox of Ella. Show")
    expect(page.locator(".mf-upload")).to_have_count(0)
    expect(page.locator(".mf-row")).to_have_count(8)
    expect(page.get_by_role("button", name="Choose files")).to_be_hidden()  # full
    assert sorted(digests(person, patient)) == sorted(f"Scan {number}.txt" for number in range(9, 13))
    assert {file.to_file for file in kept(person, patient)} == {True}
    told.get_by_role("link", name="Show").click()
    expect(page.locator(".mf-inbox-item")).to_have_count(4)


def test_file_dropped_on_a_full_record_goes_to_the_inbox(page: Page, person: Person, tmp_path: Path) -> None:
    patient = person.patient()
    visit = person.visit(*(f"Old {number}.txt" for number in range(8)), patient=patient)
    open_visit(page, visit)
    drag_over(page, "[data-mf-zone]", on_disk(tmp_path, note(1)))("drop")
    page.get_by_role("button", name="Put 1 file into the inbox of Ella").press("Enter")
    expect(page.locator("[data-mf-elsewhere]")).to_have_text("1 file added to the inbox of Ella. Show")
    assert digests(person, patient) == digests_of(note(1))
    assert len(kept(person, visit)) == 8


def test_selected_folder_is_uploaded_without_system_files(page: Page, person: Person, tmp_path: Path) -> None:
    visit = person.visit()
    open_visit(page, visit)
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Select a folder").click()
    chooser.value.set_files(folder_of_scans(tmp_path, 3))
    expect(page.locator(".mf-row")).to_have_count(3)
    expect(page.locator(".mf-upload")).to_have_count(0)
    assert sorted(digests(person, visit)) == ["Scan 1.txt", "Scan 2.txt", "Scan 3.txt"]


def test_pasted_picture_is_named_by_its_time(page: Page, person: Person) -> None:
    visit = person.visit()
    open_visit(page, visit)
    copy(page, "image/png", samples.png())
    page.get_by_role("button", name="Choose files").focus()
    page.keyboard.press("Control+V")
    expect(page.locator(".mf-row .mf-file-name")).to_have_text(re.compile(rf"^Pasted {WHEN}\.png$"))
    assert len(kept(person, visit)) == 1


def test_text_pasted_into_a_field_stays_text(page: Page, person: Person) -> None:
    open_visit(page, person.visit())
    hold(page)
    pick(page, note(1))
    copy(page, "text/plain", b"Fever since Monday")
    description = queued(page, "Note 1.txt").get_by_label("Description: Note 1.txt")
    description.focus()
    page.keyboard.press("Control+V")
    expect(description).to_have_value("Fever since Monday")
    expect(page.locator(".mf-upload")).to_have_count(1)


def test_phone_takes_a_photo_named_by_its_time(open_context: Callable[..., BrowserContext], person: Person) -> None:
    visit = person.visit()
    page = open_context(person, width=390, height=844, touch=True).new_page()
    page.goto(f"/visit/{visit.id}")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Take photo").tap()
    assert chooser.value.element.get_attribute("capture") == "environment"
    chooser.value.set_files([payload("image.jpg", samples.jpeg(), "image/jpeg")])
    expect(page.locator(".mf-row .mf-file-name")).to_have_text(re.compile(rf"^Photo {WHEN}\.jpg$"))
    assert list(digests(person, visit).values()) == list(digests_of(payload("", samples.jpeg())).values())


def test_refused_files_are_explained_before_anything_is_sent(page: Page, person: Person, tmp_path: Path) -> None:
    visit = person.visit(*(f"Old {number}.txt" for number in range(6)))
    open_visit(page, visit)
    requests = sent(page)
    files = [payload("Holiday.mp3", b"ID3"), payload("Scan.pdf", b""), long_note("Diary.txt", 16), *notes(3)]
    pick_paths(page, *(on_disk(tmp_path, file) for file in files))
    expect(page.locator(".mf-row")).to_have_count(8)
    reasons = {
        "Holiday.mp3": ".mp3 files can’t be added to this visit. You can add PDF, Word, JPG, PNG, text",
        "Scan.pdf": "This file is empty. Check it on your device, then select it again.",
        "Diary.txt": "This file is 16 MB. The limit is 15 MB. Make it smaller or split it, then try again.",
        "Note 3.txt": "This file doesn’t fit: a visit can hold 8.",
    }
    expect(page.locator(".mf-upload")).to_have_count(len(reasons))
    for name, reason in reasons.items():
        expect_state(page, name, "refused")
        expect(said(page, name)).to_contain_text(reason)
    assert len(requests) == 2
    page.get_by_role("button", name="Remove all 4").click()
    expect(page.locator(".mf-upload")).to_have_count(0)
    assert {"Note 1.txt", "Note 2.txt"} < digests(person, visit).keys()


def test_file_with_a_wrong_name_is_offered_under_the_right_one(page: Page, person: Person) -> None:
    visit = person.visit()
    open_visit(page, visit)
    requests = sent(page)
    pick(page, payload("IMG_1.HEIC", samples.jpeg()), payload("1000012345", samples.pdf()))
    expect_state(page, "IMG_1.HEIC", "refused")
    expect(said(page, "IMG_1.HEIC")).to_contain_text("Add it under the name IMG_1.jpg?")
    assert requests == []
    queued(page, "IMG_1.HEIC").get_by_role("button", name="Add as IMG_1.jpg").click()
    expect(row(page, "IMG_1.jpg")).to_be_visible()
    expect(row(page, "1000012345.pdf")).to_have_count(0)
    queued(page, "1000012345").get_by_role("button", name="Add as 1000012345.pdf").click()
    expect(row(page, "1000012345.pdf")).to_be_visible()
    assert {file.original_name for file in kept(person, visit)} == {"IMG_1.HEIC", "1000012345"}


def test_files_with_wrong_names_are_added_all_at_once(page: Page, person: Person) -> None:
    visit = person.visit()
    open_visit(page, visit)
    pick(page, *(payload(f"100001234{number}", samples.jpeg(64 + number, 48)) for number in range(3)))
    expect(page.get_by_role("button", name="Add all 3 files under the names shown")).to_have_count(3)
    page.get_by_role("button", name="Add all 3 files under the names shown").first.click()
    for number in range(3):
        expect(row(page, f"100001234{number}.jpg")).to_be_visible()


def test_images_of_a_disc_are_added_and_the_rest_is_skipped_with_one_line(page: Page, person: Person) -> None:
    world = person.world
    procedure = world.record("procedure", person.patient(), person.email)
    page.goto(f"/procedure/{procedure.id}")
    others = [payload(name, b"x") for name in ("DICOMDIR", "AUTORUN.INF", "viewer.exe")]
    pick(page, *others, *(payload(f"IM00000{number}", samples.dicom()) for number in range(2)))
    for number in range(2):
        expect(row(page, f"IM00000{number}.dcm")).to_be_visible()
    expect(page.locator("[data-mf-skipped]")).to_have_text(
        "Skipped 3 files of the disc that are not documents: AUTORUN.INF, DICOMDIR, viewer.exe."
    )
    expect(page.locator(".mf-upload")).to_have_count(0)


def test_file_that_did_not_fit_is_added_once_there_is_room(page: Page, person: Person) -> None:
    visit = person.visit(*(f"Old {number}.txt" for number in range(7)))
    open_visit(page, visit)
    held = hold(page)
    pick(page, *notes(2))
    expect_state(page, "Note 2.txt", "refused")
    button(page, "Cancel", "Note 1.txt").click()
    expect(queued(page, "Note 1.txt")).to_have_count(0)
    page.unroute_all()
    button(page, "Try again", "Note 2.txt").click()
    expect(row(page, "Note 2.txt")).to_be_visible()
    assert len(held) == 1


@cache
def sideways_photo() -> FilePayload:
    """Over 5 MB, dark on the left as the camera wrote it, to be shown turned: dark at the top."""
    picture = Image.effect_noise((2700, 2000), 110).convert("RGB")
    picture.paste((20, 20, 20), (0, 0, 500, 2000))
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x8769] = {0x9003: TAKEN}
    content = samples.encoded(picture, "JPEG", quality=98, exif=exif.tobytes())
    assert 5 * MB < len(content) < 15 * MB
    return payload(PHOTO, content)


def test_photo_over_the_limit_is_reduced_and_its_original_kept_on_request(
    page: Page, person: Person, tmp_path: Path
) -> None:
    patient = person.patient()
    insurance = person.world.record("insurance", patient, person.email)
    page.goto(f"/insurance/{insurance.id}")
    pick_paths(page, on_disk(tmp_path, sideways_photo()))
    expect_state(page, PHOTO, "reduced")
    told_of = queued(page, PHOTO).locator("[data-mf-note]")
    expect(told_of).to_have_text(
        re.compile(
            r"^Reduced from \d+(\.\d)? MB to [2-4]\.\d MB to fit\. "
            r"The original fits into the general documents of Ella\.$"
        )
    )
    expect(row(page, PHOTO)).to_be_visible()
    expect_upright_jpeg(person, insurance)
    button(page, "Keep the original too", PHOTO).click()
    told = page.locator("[data-mf-elsewhere]")
    expect(told).to_have_text("1 file added to the general documents of Ella. Show")
    expect(told_of).to_have_text(re.compile(r"^Reduced from [^.]+\S* MB to \S+ MB to fit\.$"))
    assert digests(person, patient) == digests_of(sideways_photo())
    expect(page.locator(".mf-row")).to_have_count(1)
    button(page, "Hide", PHOTO).click()
    expect(page.locator(".mf-upload")).to_have_count(0)
    expect(page.get_by_role("button", name="Choose files")).to_be_focused()
    told.get_by_role("link", name="Show").click()
    expect(row(page, PHOTO)).to_be_visible()
    assert page.url.endswith(f"/patients/{patient.id}/documents")


def test_first_photos_of_an_insurance_are_the_sides_of_its_card(page: Page, person: Person) -> None:
    insurance = person.world.record("insurance", person.patient(), person.email)
    person.attach(insurance, "Policy.pdf")
    page.goto(f"/insurance/{insurance.id}")
    pick(page, payload("1.png", samples.png(40, 30), "image/png"))
    expect(row(page, "1.png")).to_be_visible()
    pick(page, *(payload(f"{number}.png", samples.png(40 + number, 30), "image/png") for number in (2, 3)))
    expect(row(page, "3.png")).to_be_visible()
    expect(row(page, "2.png")).to_be_visible()
    found = {file.file_name: (file.category, file.description) for file in kept(person, insurance)}
    assert found == {
        "Policy.pdf": (None, None), "1.png": ("card", "Front"), "2.png": ("card", "Back"), "3.png": (None, None),
    }  # fmt: skip


def test_photo_that_cannot_be_reduced_is_refused_with_both_reasons(page: Page, person: Person) -> None:
    insurance = person.world.record("insurance", person.patient(), person.email)
    page.goto(f"/insurance/{insurance.id}")
    pick(page, payload(PHOTO, b"\xff\xd8\xff\xe0" + bytes(6 * MB)))
    expect_state(page, PHOTO, "refused")
    expect(said(page, PHOTO)).to_have_text(
        "This photo is 6 MB. The limit is 5 MB. This browser can’t open this photo. "
        "Make it smaller on your device, then select it again."
    )
    assert kept(person, insurance) == []


def test_photo_for_a_full_record_stays_as_it_is(page: Page, person: Person, tmp_path: Path) -> None:
    insurance = person.world.record("insurance", person.patient(), person.email)
    for number in range(5):
        person.attach(insurance, f"Card {number}.png")
    page.goto(f"/insurance/{insurance.id}")
    page.locator("[data-mf-input]").set_input_files(on_disk(tmp_path, sideways_photo()))
    expect(said(page, PHOTO)).to_contain_text("This insurance is full (5 of 5).")
    expect(queued(page, PHOTO).locator("[data-mf-note]")).to_be_empty()


def expect_upright_jpeg(person: Person, insurance: Any) -> None:
    (file,) = kept(person, insurance)
    assert file.file_size < 5 * MB
    content = b"".join(person.world.parts.storages.default.open(file.file_path))
    with Image.open(io.BytesIO(content)) as picture:
        assert picture.format == "JPEG"
        assert picture.getexif().get(0x0112, 1) == 1
        assert picture.getexif().get_ifd(0x8769) == {0x9003: TAKEN}
        width, height = picture.size
        assert abs(width / height - 2000 / 2700) < 0.005
        grey = picture.convert("L").resize((4, 27))
    assert [grey.getpixel((2, line)) < 60 for line in (1, 3)] == [True, True]  # type: ignore[operator]
    assert grey.getpixel((2, 20)) > 90  # type: ignore[operator]


def test_duplicate_is_named_with_its_date_and_may_be_kept(page: Page, person: Person) -> None:
    visit = person.visit("Growth.png")
    open_visit(page, visit)
    pick(page, payload("Growth chart.png", samples.png()))
    notice = page.locator(".mf-twin")
    expect(notice).to_contain_text(re.compile(r"You already added this file on \d+ \w+ \d{4} as “Growth.png”\."))
    page.get_by_role("button", name="Keep both").click()
    expect(notice).to_have_count(0)
    assert sorted(names(page)) == ["Growth chart.png", "Growth.png"]
    assert [file.deleted_at for file in kept(person, visit)] == [None, None]
