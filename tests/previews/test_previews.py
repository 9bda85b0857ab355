"""Derived pictures: made once, kept by hash, shown to whom the document is shown, gone with it."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from io import BytesIO
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import pytest
from flask import g
from flask.testing import FlaskClient
from PIL import Image
from sqlalchemy import delete, select
from werkzeug.test import TestResponse

from medfiles.clock import now
from medfiles.database.session import db, transaction
from medfiles.errors import Forbidden, IntegrityFailed, NotFound
from medfiles.http.views import file_views
from medfiles.models import EntityFile, Job, Rendition, StorageJournal
from medfiles.operations import housekeeping
from medfiles.previews import cache as preview_cache
from medfiles.previews.renderer import Renderer
from medfiles.previews.service import NoPreview, recipe
from medfiles.sandbox.pool import Limits, Sandbox, TimedOut
from medfiles.sandbox.render import spec
from medfiles.sandbox.render.spec import THUMBNAIL
from medfiles.storage import journal, picture_key
from tests.support import samples
from tests.support.factories import World, heard, run_at_once

pytestmark = pytest.mark.database

SMALL, PAGE = recipe(THUMBNAIL), recipe(480)
# Previewers that do what those of a hostile file might do
MISBEHAVIOUR = """
import base64, ctypes, io, time
from PIL import Image, WebPImagePlugin  # Pillow would import WebP on use, when a worker can open no files
Image.preinit()

def picture(file, media_type, page, width, window=None):
    word = file.read().decode()
    if word == "crash": ctypes.string_at(0)
    if word == "eat": bytearray(4 * 1024**3)
    while word == "spin": pass
    if word == "slow": time.sleep(1)
    target = io.BytesIO()
    Image.new("RGB", (8, 8), (200, 0, 0)).save(target, "WEBP")
    return {"webp": base64.b64encode(target.getvalue()).decode(), "width": 8, "height": 8}

def look(file, media_type):
    picture(file, media_type, 1, 160)
    return {"kind": "image", "pages": 1}

TASKS = {"look": look, "picture": picture}
"""
BEGUN = threading.Event()


class Counted(Sandbox):
    """Counts what it is asked."""

    asked = 0

    def run(self, task: str, **arguments: Any) -> dict[str, Any]:
        self.asked += 1
        BEGUN.set()
        return super().run(task, **arguments)


@pytest.fixture
def misbehave(world: World, tmp_path: Path) -> Iterator[Callable[..., Counted]]:
    """Gives this world previewers that do what the bytes of a document tell them."""
    path, made = tmp_path / "misbehaviour.py", []
    path.write_text(MISBEHAVIOUR)

    def sandboxed(**limits: Any) -> Counted:
        sandbox = Counted(1, (str(path),), Limits(**{"cpu": 1, "wall": 20.0, "queue": 0.1} | limits))
        made.append(sandbox)
        world.app.extensions["medfiles"] = replace(world.parts, renderers=sandbox)
        return sandbox

    yield sandboxed
    for sandbox in made:
        sandbox.close()


def photo(world: World, content: str, record: Any = None) -> EntityFile:
    """A document that says it is a picture, with these words in it."""
    [file_id] = world.store(record or world.record(), "photo.png", file_type="image/png")
    file = db.session.get_one(EntityFile, file_id)
    storage, staged = world.parts.storages.default, world.parts.storages.default.stage(100)
    storage.delete(file.file_path)
    staged.write(content.encode())
    storage.commit(staged, file.file_path)
    with transaction():
        file.sha256, file.file_size = staged.sha256, staged.size
    return file


def opened(content: bytes) -> Image.Image:
    return Image.open(BytesIO(content), formats=["WEBP"])


def seen(client: FlaskClient, path: str, **headers: str) -> TestResponse:
    return client.get(path, headers=headers, buffered=True)


def rows(world: World) -> list[Rendition]:
    db.session.rollback()
    return list(db.session.scalars(select(Rendition).order_by(Rendition.id)))


def objects(world: World) -> list[str]:
    return sorted(listed.key for listed in world.parts.storages.default.keys("previews/"))


def address(file: EntityFile, word: str = PAGE, page: int | str = 1, sha256: str | None = None) -> str:
    return f"/documents/files/{file.id}/pictures/{sha256 or file.sha256}-{word}/{page}.webp"


# --- made once, kept, found again ---------------------------------------------------------------------------------


def test_a_page_becomes_a_picture_that_is_kept_under_its_hash_and_recipe(world: World) -> None:
    file = world.attach(world.record(), content=samples.pdf(pages=3))
    picture = world.previews().picture(file.id, file.sha256, PAGE, 3)
    content = b"".join(picture.read())
    assert (len(content), opened(content).size) == (picture.size, (480, 680))
    assert objects(world) == [f"previews/{file.sha256[:2]}/{file.sha256}-v2w480/3.webp"]
    world.assert_settled()


def test_what_is_kept_is_not_made_again(world: World, misbehave: Callable[..., Counted]) -> None:
    sandbox, file = misbehave(), photo(world, "fine")
    first = b"".join(world.previews().picture(file.id, file.sha256, PAGE).read())
    assert b"".join(world.previews().picture(file.id, file.sha256, PAGE).read()) == first
    assert sandbox.asked == 1


def test_two_documents_of_the_same_bytes_share_their_pictures(world: World) -> None:
    record = world.record()
    one, two = (world.attach(record, name, samples.png()) for name in ("one.png", "two.png"))
    for file in (one, two):
        world.previews().thumbnail(file.id)
    assert len(objects(world)) == 1


def test_what_costs_a_worker_at_one_width_is_tried_at_no_other(world: World, misbehave: Callable[..., Counted]) -> None:
    sandbox, file = misbehave(), photo(world, "crash")
    answers = [seen(world.client(), address(file, word)) for word in (SMALL, PAGE, recipe(2400))]
    assert [answer.status_code for answer in answers][1:] == [422, 422]
    assert sandbox.asked == 1


def test_document_is_given_up_after_two_pages_crash_a_worker(world: World, misbehave: Callable[..., Counted]) -> None:
    sandbox, file = misbehave(), photo(world, "crash")
    with transaction():
        db.session.get_one(EntityFile, file.id).pages = 9
    for page in (1, 2, 3, 4):
        assert seen(world.client(), address(file, PAGE, page)).status_code == 422
    assert sandbox.asked == 2
    preview_cache.clear(world.parts.storages, failed=True)
    seen(world.client(), address(file, PAGE, 3))
    assert sandbox.asked == 3


def test_several_at_once_make_one(world: World, misbehave: Callable[..., Counted]) -> None:
    sandbox, file, got = misbehave(queue=30.0), photo(world, "slow"), []

    def ask() -> None:
        with world.app.app_context():
            picture = Renderer(world.parts.storages, sandbox).picture(world.documents().open(file.id), PAGE, 1)
            got.append(b"".join(picture.read()))

    world.user()
    run_at_once([ask] * 4)
    assert (len(got), len(set(got)), sandbox.asked) == (4, 1, 1)
    world.assert_settled()


def test_picture_stored_before_the_claim_is_not_rendered_again(
    world: World, misbehave: Callable[..., Counted], monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox, file, find = misbehave(), photo(world, "fine"), preview_cache.find
    answers = chain([lambda *_: None], repeat(find))
    assert seen(world.client(), address(file)).status_code == 200
    monkeypatch.setattr(preview_cache, "find", lambda *which: next(answers)(*which))
    assert seen(world.client(), address(file)).status_code == 200
    assert sandbox.asked == 1
    world.assert_settled()


def test_what_can_be_shown_is_remembered_and_text_is_not_copied_into_the_database(world: World) -> None:
    record = world.record("lab-result")
    pages, words = world.attach(record, "scan.tiff", samples.tiff(3)), world.attach(record, "note.txt")
    looks = [world.previews().describe(file.id) for file in (pages, pages, words, words)]
    assert [(look.kind, look.pages) for look in looks] == [("pages", 3), ("pages", 3), ("text", None), ("text", None)]
    assert looks[2].text == samples.txt().decode()
    assert [row.sha256 for row in rows(world)] == [pages.sha256]


# --- who may see them ---------------------------------------------------------------------------------------------


def test_a_picture_is_sent_for_the_browser_to_keep_and_nobody_else(world: World) -> None:
    file = world.attach(world.record(), "photo.png")
    answer = seen(world.client(), address(file))
    assert (answer.status_code, answer.mimetype) == (200, "image/webp")
    assert answer.headers["Cache-Control"] == "private, max-age=300, must-revalidate"
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox; frame-ancestors 'none'"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert opened(answer.data).size == (64, 48)
    again = seen(world.client(), address(file), **{"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


@pytest.mark.parametrize(
    ("word", "page", "sha256"),
    [
        (PAGE, 4, None),
        (PAGE, 0, None),
        (PAGE, 999_999, None),
        (PAGE, 1, "0" * 64),
        ("v0w480", 1, None),
        ("v2w481", 1, None),
        ("v2w0480", 1, None),
        ("v2w480c40x400", 1, None),
        ("v2look", 0, None),
        ("anything", 1, None),
        ("V1W480", 1, None),
    ],
)
def test_what_was_never_offered_is_not_found(world: World, word: str, page: int, sha256: str | None) -> None:
    file = world.attach(world.record(), content=samples.pdf(pages=3))
    assert seen(world.client(), address(file, word, page, sha256)).status_code == 404
    assert objects(world) == []


def test_a_stranger_gets_no_picture_even_of_bytes_they_have_themselves(world: World) -> None:
    file = world.attach(world.record(), "photo.png")
    own = world.attach(world.record(email="otto@sample.example"), "photo.png", email="otto@sample.example")
    assert own.sha256 == file.sha256
    foreign, absent = (
        seen(world.client("otto@sample.example"), path)
        for path in (address(file), address(file).replace(str(file.id), "1999999999"))
    )
    assert (foreign.status_code, absent.status_code) == (404, 404)
    assert objects(world) == []


def test_looking_is_remembered_once_and_a_thumbnail_is_no_looking(world: World) -> None:
    file = world.attach(world.record(), content=samples.pdf(pages=3))
    world.previews().thumbnail(file.id)
    assert world.events(action="preview") == []
    for page in (1, 2, 3):
        world.previews().describe(file.id)
        world.previews().picture(file.id, file.sha256, PAGE, page)
    [event] = world.events(action="preview")
    assert (event.outcome, event.file_id, event.actor_id) == ("done", file.id, world.user().id)


def test_a_thumbnail_is_the_whole_first_page_240_pixels_wide(world: World) -> None:
    file = world.attach(world.record(), content=samples.pdf(pages=2))
    [portrait, landscape] = [
        opened(b"".join(world.previews().thumbnail(one.id).read()))
        for one in (file, world.attach(world.record(), "photo.png", samples.png(800, 200)))
    ]
    assert (portrait.format, portrait.size, landscape.size) == ("WEBP", (240, 340), (240, 60))


def test_a_thumbnail_of_the_former_size_is_made_again_when_it_is_needed(world: World) -> None:
    file = world.attach(world.record())
    world.previews().page(file.id, 1, 160)
    assert housekeeping.cold_count() == 1
    world.previews().thumbnail(file.id)
    assert housekeeping.cold_count() == 0


def test_a_kind_without_previews_has_thumbnails_all_the_same(without_previews: World) -> None:
    world = without_previews
    file = world.attach(world.record("insurance"), "card.pdf", samples.pdf(pages=2))
    assert opened(b"".join(world.previews().thumbnail(file.id).read())).size == (240, 340)
    assert seen(world.client(), address(file, SMALL)).status_code == 200
    with pytest.raises(Forbidden):
        world.previews().describe(file.id)
    for word, page in ((PAGE, 1), (SMALL, 2)):
        assert seen(world.client(), address(file, word, page)).status_code == 403


def test_a_thumbnail_that_cannot_be_made_is_nothing_to_complain_about(world: World) -> None:
    file, client = world.attach(world.record(), "Locked.pdf", samples.locked_pdf()), world.client()
    small, large = (seen(client, address(file, recipe(width))) for width in (THUMBNAIL, 480))
    assert (small.status_code, small.data, large.status_code) == (204, b"", 422)


def test_exhausted_preview_pool_returns_503_but_serves_cached_pictures(
    make_world: Callable[..., World],
) -> None:
    world = make_world(THREADS="3")
    kept, new = (world.attach(world.record(), "photo.png", content) for content in (samples.png(), samples.png(31, 9)))
    client = world.client()
    assert seen(client, address(kept, PAGE)).status_code == 200
    with world.parts.render_slots.slot():
        answers = [seen(client, address(file, word)) for file, word in ((kept, PAGE), (new, PAGE), (new, SMALL))]
    assert [answer.status_code for answer in answers] == [200, 503, 204]
    assert [answer.headers.get("Retry-After") for answer in answers] == [None, "5", "5"]
    assert [seen(client, address(new, word)).status_code for word in (PAGE, SMALL)] == [200, 200]
    world.assert_settled()


def test_a_document_that_changed_in_the_store_is_not_hidden_behind_its_tile(world: World) -> None:
    file = world.attach(world.record(), "photo.png")
    (world.uploads / file.file_path).write_bytes(samples.png().replace(b"IHDR", b"IHDX"))
    assert seen(world.client(), address(file, SMALL)).status_code == 503


def test_document_missing_in_storage_has_its_tile_and_is_logged(world: World, caplog: pytest.LogCaptureFixture) -> None:
    file = world.attach(world.record(), "photo.png")
    (world.uploads / file.file_path).unlink()
    assert seen(world.client(), address(file, SMALL)).status_code == 204
    assert "document without its content" in caplog.text


def test_a_row_of_the_list_knows_the_address_of_its_thumbnail(world: World) -> None:
    record = world.record("lab-result")
    files = [world.attach(record, name) for name in ("letter.pdf", "photo.heic", "note.txt", "sheet.xlsx")]
    client = world.client()
    with world.app.test_request_context():
        g.actor = world.actor()
        views = file_views(files)
    assert [view.thumbnail is not None for view in views] == [True, True, False, False]
    assert [seen(client, view.thumbnail).status_code for view in views if view.thumbnail] == [200, 200]


# --- what cannot be shown -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "reason", "status"), [("crash", "safely", 422), ("eat", "safely", 422), ("spin", "too long", 503)]
)
def test_document_that_crashes_a_worker_is_not_tried_again(
    world: World, misbehave: Callable[..., Counted], word: str, reason: str, status: int
) -> None:
    sandbox, file = misbehave(), photo(world, word)
    for _ in range(2):
        answer = seen(world.client(), address(file))
        assert (answer.status_code, reason in answer.get_data(as_text=True)) == (status, True)
    assert sandbox.asked == 1
    look = world.previews().describe(file.id)
    assert (look.kind, reason in (look.reason or "")) == ("none", True)
    world.assert_settled()
    fine = photo(world, "fine")
    assert seen(world.client(), address(fine)).status_code == 200


def test_a_timeout_is_tried_again_after_a_day_or_on_request(world: World, misbehave: Callable[..., Counted]) -> None:
    sandbox, file = misbehave(), photo(world, "spin")
    for _ in range(2):
        look = world.previews().describe(file.id)
        assert (look.kind, look.can_retry) == ("none", True)
    assert sandbox.asked == 1
    world.previews().describe(file.id, retry=True)
    assert sandbox.asked == 2
    with transaction() as session:
        for row in session.scalars(select(Rendition)):
            row.made_at -= preview_cache.RETRY_AFTER
    world.previews().describe(file.id)
    assert sandbox.asked == 3


def test_a_picture_that_timed_out_is_tried_again_on_request(
    world: World, misbehave: Callable[..., Counted], monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox, file, asked = misbehave(), photo(world, "fine"), []

    def late(task: str, **arguments: Any) -> dict[str, Any]:
        asked.append(task)
        raise TimedOut()

    with monkeypatch.context() as patch:
        patch.setattr(sandbox, "run", late)
        for query in ("", "", "?retry=1"):
            answer = seen(world.client(), address(file) + query, **{"HX-Request": "true"})
            assert (answer.status_code, heard(answer)["documents:error"]["code"]) == (503, "preview-timeout")
        assert len(asked) == 2
    assert seen(world.client(), address(file)).status_code == 503
    assert seen(world.client(), address(file) + "?retry=1").status_code == 200


def test_a_crash_is_not_tried_again_on_request(world: World, misbehave: Callable[..., Counted]) -> None:
    sandbox, file = misbehave(), photo(world, "crash")
    for _ in range(2):
        assert not world.previews().describe(file.id, retry=True).can_retry
    assert sandbox.asked == 1


def test_a_worker_that_does_not_start_is_remembered_nowhere(world: World, misbehave: Callable[..., Counted]) -> None:
    sandbox, file = misbehave(), photo(world, "fine")
    usual = sandbox.limits
    sandbox.limits = replace(usual, start=0.001)
    answer = seen(world.client(), address(file))
    assert answer.status_code == 503
    assert "Retry-After" in answer.headers
    assert rows(world) == []
    sandbox.limits = usual
    assert seen(world.client(), address(file)).status_code == 200
    assert world.previews().describe(file.id).kind == "image"
    world.assert_settled()


def test_what_failed_is_tried_again_after_it_was_cleared(world: World, misbehave: Callable[..., Counted]) -> None:
    sandbox, file = misbehave(), photo(world, "crash")
    for _ in range(2):
        with pytest.raises(NoPreview):
            world.previews().thumbnail(file.id)
        preview_cache.clear(world.parts.storages, failed=True)
    assert sandbox.asked == 2


def test_new_recipe_tries_again(
    world: World, misbehave: Callable[..., Counted], monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox, file = misbehave(), photo(world, "crash")
    for version in (1, 2):
        monkeypatch.setattr(spec, "VERSION", version)
        with pytest.raises(NoPreview):
            world.previews().thumbnail(file.id)
    assert sandbox.asked == 2


def test_a_locked_document_says_so_at_any_width(world: World) -> None:
    file = world.attach(world.record(), "locked.pdf", samples.locked_pdf())
    look = world.previews().describe(file.id)
    assert (look.kind, look.reason) == (
        "none",
        "This PDF is locked with a password. Download it to open it with the password.",
    )
    answer = seen(world.client(), address(file, recipe(480)))
    assert (answer.status_code, "locked with a password" in answer.get_data(as_text=True)) == (422, True)
    assert world.events(outcome="refused") == []


def test_bytes_that_changed_in_the_store_are_not_shown(world: World) -> None:
    file = world.attach(world.record(), "photo.png")
    (world.uploads / file.file_path).write_bytes(samples.png().replace(b"IHDR", b"IHDX"))
    with pytest.raises(IntegrityFailed):
        world.previews().thumbnail(file.id)
    world.assert_settled()


def test_busy_workers_return_503_and_uploads_continue(world: World, misbehave: Callable[..., Counted]) -> None:
    misbehave(cpu=30, wall=3.0)
    record = world.record()
    endless, fine = photo(world, "spin", record), photo(world, "fine", record)
    client, at, answers = world.client(), address(endless), list[TestResponse]()
    BEGUN.clear()

    def hang() -> None:
        answers.append(seen(client, at))

    thread = threading.Thread(target=hang)
    thread.start()
    BEGUN.wait()
    refused = [seen(world.client(), address(fine)) for _ in range(3)]
    added = world.attach(record, "letter.pdf")
    thread.join(60)
    assert [(answer.status_code, answer.headers.get("Retry-After")) for answer in refused] == [(503, "5")] * 3
    assert added.id
    assert answers[0].status_code == 503
    assert seen(world.client(), address(fine)).status_code == 200
    world.assert_settled()


# --- gone with the document ---------------------------------------------------------------------------------------


def purge(world: World, file: EntityFile) -> None:
    world.documents().trash(file.id)
    assert objects(world)
    world.documents().purge(file.id)


def test_pictures_are_removed_with_the_last_document_of_a_hash(world: World) -> None:
    record = world.record()
    one, two, other = (world.attach(record, name, samples.png(size)) for name, size in
                       (("one.png", 64), ("two.png", 64), ("other.png", 99)))  # fmt: skip
    for file in (one, other):
        for word in (SMALL, PAGE):
            world.previews().picture(file.id, file.sha256, word)
        world.previews().describe(file.id)
    purge(world, one)
    assert len(objects(world)) == 4
    purge(world, two)
    assert {key.split("/")[2][:64] for key in objects(world)} == {other.sha256}
    assert {row.sha256 for row in rows(world)} == {other.sha256}
    world.assert_settled()


@pytest.mark.parametrize("way", ["bulk", "expired", "cancelled"])
def test_every_way_for_a_document_to_go_takes_its_pictures_along(world: World, way: str) -> None:
    record = world.record()
    file = world.attach(record, "photo.png", idempotency_key="first-try")
    world.previews().thumbnail(file.id)
    if way == "cancelled":
        world.documents().cancel(world.kind(), record.id, "first-try")
    else:
        world.documents().trash(file.id)
    if way == "bulk":
        world.bulk().purge_many(world.kind(), record.id, [file.id])
    if way == "expired":
        housekeeping.purge_expired(world.parts.registry, world.parts.storages, timedelta())
    assert (world.files(), rows(world), objects(world)) == ([], [], [])
    world.assert_settled()


def test_a_picture_that_is_finished_after_its_document_was_purged_is_not_kept(world: World) -> None:
    file = world.attach(world.record(), "photo.png")
    storage, key = world.parts.storages.default, picture_key(file.sha256, SMALL, 1)
    assert preview_cache.claim(storage.name, key)
    staged = storage.stage(10)
    staged.write(b"made")
    storage.commit(staged, key)
    world.documents().trash(file.id)
    world.documents().purge(file.id)
    row = Rendition(sha256=file.sha256, recipe=SMALL, page=1, key=key, storage=storage.name, size=4)
    with pytest.raises(NotFound):
        preview_cache.store(row)
    world.sweep(now() + timedelta(hours=1))
    assert (rows(world), objects(world)) == ([], [])


def test_what_belongs_to_no_document_any_more_goes_with_housekeeping(world: World) -> None:
    file = world.attach(world.record(), "photo.png")
    world.previews().thumbnail(file.id)
    with transaction() as session:
        session.get_one(Rendition, rows(world)[0].id).sha256 = "0" * 64
        session.execute(delete(Job))  # a thumbnail that is due by now would be made again
    world.keep_house()
    assert (rows(world), objects(world)) == ([], [])
    world.assert_settled()


# --- crashes and other accidents ----------------------------------------------------------------------------------


def test_a_sweep_leaves_kept_pictures_alone(world: World) -> None:
    file = world.attach(world.record(), "photo.png")
    world.previews().thumbnail(file.id)
    journal.release("disk", objects(world))
    db.session.commit()
    assert world.sweep(now() + timedelta(days=1)).removed == 0
    assert len(objects(world)) == 1


def test_after_a_crash_in_between_the_picture_is_shown_and_later_kept(world: World) -> None:
    file = world.attach(world.record(), "photo.png")
    storage, key = world.parts.storages.default, picture_key(file.sha256, SMALL, 1)
    preview_cache.claim(storage.name, key)
    with transaction() as session:
        entry = session.scalars(select(StorageJournal)).one()
        entry.lease_until = now() + journal.LEASE - preview_cache.CLAIM_TIMEOUT
    storage.commit(storage.stage(10), key)
    assert opened(b"".join(world.previews().thumbnail(file.id).read())).size == (64, 48)
    assert rows(world) == []
    world.sweep(now() + timedelta(hours=1))
    world.previews().thumbnail(file.id)
    assert storage.stat(key).size > 0
    world.assert_settled()


def test_an_object_that_a_restored_database_does_not_know_is_replaced(world: World) -> None:
    file = world.attach(world.record(), "photo.png")
    storage = world.parts.storages.default
    storage.commit(storage.stage(10), picture_key(file.sha256, SMALL, 1))
    world.previews().thumbnail(file.id)
    assert opened(b"".join(world.previews().thumbnail(file.id).read())).size == (64, 48)
    world.assert_settled()


def test_a_picture_whose_object_is_gone_is_made_again(world: World) -> None:
    file = world.attach(world.record(), "photo.png")
    world.previews().thumbnail(file.id)
    world.parts.storages.default.delete(objects(world)[0])
    assert opened(b"".join(world.previews().thumbnail(file.id).read())).size == (64, 48)
    world.assert_settled()


def test_windows_of_the_image_are_kept_and_any_others_only_shown(world: World) -> None:
    file = world.attach(world.record("procedure"), "slice.dcm", samples.dicom("693_J2KI.dcm"))
    look = world.previews().describe(file.id)
    own = (40.0, 100.0)
    assert look.window == own
    for window in (own, (41.5, 333)):
        answer = seen(world.client(), address(file, recipe(480, window)))
        assert (answer.status_code, answer.mimetype) == (200, "image/webp")
    assert [row.recipe for row in rows(world) if row.key] == ["v2w480c40x100"]


# --- recipes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("window", "word"),
    [
        (None, "v2w960"),
        ((40, 400), "v2w960c40x400"),
        ((-600.5, 1500), "v2w960cn600p5x1500"),
        ((0.125, 0.25), "v2w960c0p125x0p25"),
        ((-0.0, 1), "v2w960c0x1"),
        ((-1_000_000, 1_000_000), "v2w960cn1000000x1000000"),
    ],
)
def test_a_recipe_is_written_and_read(window: tuple[float, float] | None, word: str) -> None:
    assert recipe(960, window) == word
    assert spec.parse_recipe(word) == spec.PictureSpec(960, window)


WRONG = ("v2w960c40x0", "v2w960c040x400", "v2w960c40p0x1", "v2w960c40x400 ", "v2w960c9999999x1", "")


@pytest.mark.parametrize("word", WRONG)
def test_a_word_that_no_recipe_has_is_refused(word: str) -> None:
    with pytest.raises(NotFound):
        spec.parse_recipe(word)


# --- the command line ---------------------------------------------------------------------------------------------


def test_thumbnails_are_made_ahead_and_everything_is_cleared(world: World) -> None:
    record = world.record("lab-result")
    for name in ("a.pdf", "b.png", "c.txt"):
        world.attach(record, name)
    world.attach(record, "d.pdf", samples.locked_pdf())
    run = world.app.test_cli_runner().invoke
    warmed = run(args=["medfiles", "previews", "warm", "--json"])
    assert (warmed.exit_code, warmed.stdout.strip()) == (0, '{"made": 2, "failed": 1}')
    assert len(objects(world)) == 2
    cleared = run(args=["medfiles", "previews", "clear"])
    assert (cleared.exit_code, "Removed" in cleared.stdout) == (0, True)
    assert (objects(world), rows(world)) == ([], [])
    assert len(world.files()) == 4
    world.assert_settled()
