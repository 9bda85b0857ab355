"""What gets into the upload queue, by every way there is, and what is said about what does not."""

import base64
import io
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import BrowserContext, FilePayload, JSHandle, Page, expect

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
DROPPED = """(files) => {
  const transfer = new DataTransfer();
  for (const [name, bytes] of files) transfer.items.add(new File([new Uint8Array(bytes)], name));
  return transfer;
}"""
COPY = """async ([type, content]) => {
  const bytes = Uint8Array.from(atob(content), (sign) => sign.charCodeAt(0));
  await navigator.clipboard.write([new ClipboardItem({ [type]: new Blob([bytes], { type }) })]);
}"""
PHOTO = "Letter on the table.jpg"
WHEN = r"\d{4}-\d\d-\d\d \d\d\.\d\d\.\d\d"


def dropped(page: Page, *files: str) -> JSHandle:
    return page.evaluate_handle(DROPPED, [[name, list(samples.SAMPLES[Path(name).suffix]())] for name in files])


def drop(page: Page, selector: str, *paths: Path) -> None:
    """Real files and folders, let go over the middle of an element."""
    page.locator(selector).scroll_into_view_if_needed()
    box = page.locator(selector).bounding_box()
    assert box is not None
    files = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2, "data": files}
    devtools = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        devtools.send("Input.dispatchDragEvent", {"type": kind, **place})


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


def test_several_files_chosen_at_once_are_added_in_the_order_of_their_names(page: Page, person: Person) -> None:
    visit = person.visit()
    open_visit(page, visit)
    hold(page)
    pick(page, *(payload(f"Scan {number}.txt", samples.txt()) for number in (10, 9, 1, 2)))
    waiting = page.locator(".mf-upload [data-mf-name]")
    expect(waiting).to_have_text(["Scan 1.txt", "Scan 2.txt", "Scan 9.txt", "Scan 10.txt"])


def test_the_zone_shows_that_files_are_over_it_and_takes_them(page: Page, person: Person) -> None:
    visit = person.visit()
    open_visit(page, visit)
    zone = page.locator("[data-mf-zone]")
    transfer = dropped(page, "Growth.png", "Note.txt")
    zone.dispatch_event("dragenter", {"dataTransfer": transfer})
    zone.dispatch_event("dragover", {"dataTransfer": transfer})
    expect(zone).to_have_attribute("data-drag", "")
    zone.dispatch_event("drop", {"dataTransfer": transfer})
    expect(zone).not_to_have_attribute("data-drag", "")
    expect(page.locator(".mf-row")).to_have_count(2)
    assert digests(person, visit) == digests_of(real_file("Growth.png"), real_file("Note.txt"))


def test_a_dropped_file_arrives_byte_for_byte(page: Page, person: Person, tmp_path: Path) -> None:
    visit = person.visit()
    open_visit(page, visit)
    path = tmp_path / "Befund März (1).pdf"
    path.write_bytes(samples.pdf())
    drop(page, "[data-mf-zone]", path)
    expect(row(page, path.name)).to_be_visible()
    assert digests(person, visit) == digests_of(payload(path.name, samples.pdf()))


def test_a_file_dropped_beside_the_zone_neither_replaces_the_page_nor_is_added(
    page: Page, person: Person, tmp_path: Path
) -> None:
    visit = person.visit()
    open_visit(page, visit)
    path = tmp_path / "Note.txt"
    path.write_bytes(samples.txt())
    drop(page, "#mf-sheet-title", path)
    pick(page, "Growth.png")
    expect(row(page, "Growth.png")).to_be_visible()
    assert names(page) == ["Growth.png"]


def test_a_dropped_folder_is_taken_with_its_folders_as_far_as_there_is_room(
    page: Page, person: Person, tmp_path: Path
) -> None:
    visit = person.visit()
    open_visit(page, visit)
    drop(page, "[data-mf-zone]", folder_of_scans(tmp_path, 120))
    refused = page.locator(".mf-upload[data-mf-state=refused]")
    expect(refused).to_have_count(112)
    expect(page.locator(".mf-row")).to_have_count(8)
    assert sorted(digests(person, visit)) == [f"Scan {number}.txt" for number in range(1, 9)]
    assert refused.locator("[data-mf-name]").all_inner_texts() == [f"Scan {number}.txt" for number in range(9, 121)]
    for words in refused.locator("[data-mf-status]").all_inner_texts():
        assert re.match(r"This file doesn’t fit: a visit can hold 8\.|This visit is full \(8 of 8\)\.", words)


def test_a_chosen_folder_leaves_out_what_a_system_keeps_there(page: Page, person: Person, tmp_path: Path) -> None:
    visit = person.visit()
    open_visit(page, visit)
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Select a folder").click()
    chooser.value.set_files(folder_of_scans(tmp_path, 3))
    expect(page.locator(".mf-row")).to_have_count(3)
    expect(page.locator(".mf-upload")).to_have_count(0)
    assert sorted(digests(person, visit)) == ["Scan 1.txt", "Scan 2.txt", "Scan 3.txt"]


def test_a_pasted_picture_gets_a_name_that_says_when(page: Page, person: Person) -> None:
    visit = person.visit()
    open_visit(page, visit)
    copy(page, "image/png", samples.png())
    page.get_by_role("button", name="Add documents").focus()
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


def test_a_phone_offers_to_take_a_photo_and_names_it_by_the_time(
    open_context: Callable[..., BrowserContext], person: Person
) -> None:
    visit = person.visit()
    page = open_context(person, width=390, height=844, touch=True).new_page()
    page.goto(f"/visit/{visit.id}")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Take photo").tap()
    assert chooser.value.element.get_attribute("capture") == "environment"
    chooser.value.set_files([payload("image.jpg", samples.jpeg(), "image/jpeg")])
    expect(page.locator(".mf-row .mf-file-name")).to_have_text(re.compile(rf"^Photo {WHEN}\.jpg$"))
    assert list(digests(person, visit).values()) == list(digests_of(payload("", samples.jpeg())).values())


def test_a_computer_with_a_mouse_does_not_offer_to_take_a_photo(page: Page, person: Person) -> None:
    open_visit(page, person.visit())
    expect(page.get_by_role("button", name="Add documents")).to_be_visible()
    expect(page.get_by_role("button", name="Take photo")).to_have_count(0)


def test_what_cannot_be_added_is_said_before_anything_of_it_is_sent(page: Page, person: Person, tmp_path: Path) -> None:
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
    assert {"Note 1.txt", "Note 2.txt"} < digests(person, visit).keys()


def test_a_file_there_was_no_room_for_is_added_once_there_is(page: Page, person: Person) -> None:
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
    content = samples.encoded(picture, "JPEG", quality=98, exif=exif.tobytes())
    assert 5 * MB < len(content) < 15 * MB
    return payload(PHOTO, content)


def open_insurance(page: Page, person: Person) -> Any:
    insurance = person.world.record("insurance", person.patient(), person.email)
    page.goto(f"/insurance/{insurance.id}")
    return insurance


def test_a_photo_over_the_limit_is_made_smaller_shown_and_stored_upright(
    page: Page, person: Person, tmp_path: Path
) -> None:
    insurance = open_insurance(page, person)
    pick_paths(page, on_disk(tmp_path, sideways_photo()))
    expect(said(page, PHOTO)).to_contain_text("The limit is 5 MB.")
    button(page, "Make smaller…", PHOTO).click()
    one = queued(page, PHOTO)
    expect(one.locator("[data-mf-before-size]")).to_have_text(re.compile(r"^2000 × 2700, [\d.]+ MB$"))
    expect(one.locator("[data-mf-after-size]")).to_have_text(re.compile(r"^\d{4} × \d{4}, [1-4](\.\d)? MB$"))
    expect(one.locator("[data-mf-before]")).to_be_visible()
    expect(one.locator("[data-mf-after]")).to_be_visible()
    assert kept(person, insurance) == []
    button(page, "Use smaller copy", PHOTO).click()
    expect(row(page, PHOTO)).to_be_visible()
    expect_upright_jpeg(person, insurance)


def expect_upright_jpeg(person: Person, insurance: Any) -> None:
    (file,) = kept(person, insurance)
    assert file.file_size < 5 * MB
    content = b"".join(person.world.parts.storages.default.open(file.file_path))
    with Image.open(io.BytesIO(content)) as picture:
        assert picture.format == "JPEG"
        assert picture.getexif().get(0x0112, 1) == 1
        width, height = picture.size
        assert abs(width / height - 2000 / 2700) < 0.005
        grey = picture.convert("L").resize((4, 27))
    assert [grey.getpixel((2, line)) < 60 for line in (1, 3)] == [True, True]  # type: ignore[operator]
    assert grey.getpixel((2, 20)) > 90  # type: ignore[operator]


def test_a_smaller_photo_that_is_not_wanted_is_not_added(page: Page, person: Person, tmp_path: Path) -> None:
    insurance = open_insurance(page, person)
    requests = sent(page)
    pick_paths(page, on_disk(tmp_path, sideways_photo()))
    button(page, "Make smaller…", PHOTO).click()
    button(page, "Don’t add", PHOTO).click()
    expect(page.locator(".mf-upload")).to_have_count(0)
    expect(page.get_by_role("button", name="Add documents")).to_be_focused()
    assert (requests, kept(person, insurance)) == ([], [])


def test_a_large_pdf_is_not_offered_to_be_made_smaller(page: Page, person: Person, tmp_path: Path) -> None:
    open_insurance(page, person)
    pick_paths(page, on_disk(tmp_path, payload("Policy.pdf", samples.pdf() + b"%" * 5 * MB)))
    expect_state(page, "Policy.pdf", "refused")
    expect(button(page, "Remove", "Policy.pdf")).to_be_visible()
    expect(button(page, "Make smaller…", "Policy.pdf")).to_have_count(0)


def add_twice(page: Page, person: Person) -> Any:
    """The same bytes under two names."""
    visit = person.visit("Growth.png")
    open_visit(page, visit)
    pick(page, payload("Growth chart.png", samples.png()))
    notice = page.locator(".mf-twin")
    expect(notice).to_contain_text(re.compile(r"You already added this file on \d+ \w+ \d{4} as “Growth.png”\."))
    return visit


def test_the_same_file_under_another_name_is_named_with_its_date_and_both_may_be_kept(
    page: Page, person: Person
) -> None:
    visit = add_twice(page, person)
    page.get_by_role("button", name="Keep both").click()
    expect(page.locator(".mf-twin")).to_have_count(0)
    assert sorted(names(page)) == ["Growth chart.png", "Growth.png"]
    assert [file.deleted_at for file in kept(person, visit)] == [None, None]


def test_a_copy_that_is_skipped_goes_to_the_trash_and_comes_back_by_undo(page: Page, person: Person) -> None:
    visit = add_twice(page, person)
    page.get_by_role("button", name="Remove this copy of Growth chart.png").click()
    expect(page.locator(".mf-notice-ok")).to_contain_text("“Growth chart.png” moved to trash.")
    assert {file.file_name for file in kept(person, visit) if file.deleted_at} == {"Growth chart.png"}
    page.get_by_role("button", name="restore Growth chart.png").click()
    expect(row(page, "Growth chart.png")).to_be_visible()
    assert [file.deleted_at for file in kept(person, visit)] == [None, None]
