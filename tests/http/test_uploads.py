"""Uploads over HTTP: what is stored, what is refused, and how much of it was read before."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from medfiles.documents.rules import FORM_OVERHEAD
from tests.support import samples
from tests.support.factories import World, heard, token_of, words

MB = 1024 * 1024
HTMX = {"HX-Request": "true"}
BOUNDARY = "a-boundary-nobody-types"
MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"
END = f"--{BOUNDARY}--\r\n".encode()


class Counting(io.RawIOBase):
    """A body of any length that counts how much of it was asked for."""

    def __init__(self, content: bytes = b"", announced: int = 0) -> None:
        self.content = io.BytesIO(content)
        self.left = announced
        self.count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk = self.content.read(len(buffer)) or bytes(min(len(buffer), self.left, 64 * 1024))
        buffer[: len(chunk)] = chunk
        self.left -= len(chunk)
        self.count += len(chunk)
        return len(chunk)


@dataclass
class Desk:
    """One record, its owner's browser, and ways to send documents to it."""

    world: World
    client: FlaskClient
    token: str
    record: Any

    def __post_init__(self) -> None:
        self.record_id: int = self.record.id
        self.path = f"/documents/visit/{self.record_id}/files"

    def form(self, *files: tuple[str, bytes], headers: dict[str, str] | None = None, **fields: str) -> TestResponse:
        body = b"".join([*map(said, fields, fields.values()), *(part(*file) for file in files), END])
        return self.body(body, headers=headers)

    def raw(self, content: bytes, name: str | None = "letter.pdf", **headers: str) -> TestResponse:
        sent = {"X-CSRFToken": self.token, "Content-Type": "application/octet-stream", **HTMX, **headers}
        if name is not None:
            sent["Content-Disposition"] = f'attachment; filename="{name}"'
        return self.client.post(self.path, data=content, headers=sent)

    def body(self, body: bytes, headers: dict[str, str] | None = None) -> TestResponse:
        sent = {"X-CSRFToken": self.token, **HTMX, **(headers or {})}
        return self.client.post(self.path, data=body, content_type=MULTIPART, headers=sent)

    def stream(
        self, body: Counting, length: int | None, headers: dict[str, str], content_type: str = MULTIPART,
        path: str | None = None, client: FlaskClient | None = None,
    ) -> TestResponse:  # fmt: skip
        environ: dict[str, Any] = {"wsgi.input": body}
        if length is not None:
            environ["CONTENT_LENGTH"] = str(length)
        return (client or self.client).post(
            path or self.path, content_type=content_type, headers=headers, environ_overrides=environ
        )

    def contents(self) -> list[bytes]:
        service = self.world.documents()
        return [b"".join(service.open(file.id).read()) for file in self.world.files()]

    def assert_untouched(self, reason: str | None = None) -> None:
        """Nothing is stored, staged or left in the journal, and the trail says what was refused."""
        assert self.world.files() == []
        assert list(self.world.parts.storages.default.keys()) == []
        self.world.assert_settled()
        refused = [event.reason for event in self.world.events(action="attach", outcome="refused")]
        assert refused == ([reason] if reason else [])


@pytest.fixture
def desk(world: World) -> Desk:
    return desk_in(world)


@pytest.fixture
def small(make_world: Callable[..., World], tmp_path: Path) -> Desk:
    """Visits take two documents of up to one megabyte here."""
    limits = tmp_path / "limits.toml"
    limits.write_text("[visit]\nmax_size_mb = 1\nmax_files = 2\n")
    return desk_in(make_world(ENTITIES=str(limits)))


def desk_in(world: World) -> Desk:
    client = world.client()
    return Desk(world, client, token_of(client), world.record())


def said(name: str, value: str) -> bytes:
    return f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()


def part(name: str, content: bytes, field: str = "file") -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n'
    return head.encode() + content + b"\r\n"


# --- what is stored -----------------------------------------------------------------------------------------------


def test_files_of_a_form_are_stored_byte_for_byte(desk: Desk) -> None:
    answer = desk.form(("a.pdf", samples.pdf()), ("b.png", samples.png()), description="Both", category="summary")
    assert answer.status_code == 201
    assert desk.contents() == [samples.pdf(), samples.png()]
    assert {(file.description, file.category) for file in desk.world.files()} == {("Both", "summary")}
    desk.world.assert_settled()


def test_raw_bytes_are_stored_byte_for_byte(desk: Desk) -> None:
    details = {"description": "From the clinic", "category": "referral"}
    answer = desk.world.browser().upload(desk.path, "Überweisung.pdf", samples.pdf(3), **details)
    assert answer.status_code == 201
    [file] = desk.world.files()
    assert (file.file_name, file.description, file.category) == ("Überweisung.pdf", "From the clinic", "referral")
    assert desk.contents() == [samples.pdf(3)]


def test_without_script_one_is_led_back_to_the_documents(desk: Desk) -> None:
    path = f"{desk.path}?csrf_token={desk.token}"
    answer = desk.client.post(path, data={"file": (io.BytesIO(samples.pdf()), "a.pdf")})
    assert (answer.status_code, answer.location) == (303, f"/documents/visit/{desk.record_id}")
    assert "1 document added." in desk.client.get(answer.location).text


def test_the_declared_type_is_neither_needed_nor_believed(desk: Desk) -> None:
    body = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.pdf"\r\n'
        "Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    ).encode()
    assert desk.body(body + samples.pdf() + b"\r\n" + END).status_code == 201
    assert desk.world.files()[0].file_type == "application/pdf"
    assert desk.contents() == [samples.pdf()]


@pytest.mark.parametrize("content", [b"\r" * 200_000, b"\r\n" * 100_000, f"--{BOUNDARY[:-1]}".encode() * 5_000])
def test_a_body_full_of_what_looks_like_boundaries_is_stored_as_sent(desk: Desk, content: bytes) -> None:
    assert desk.body(part("a.txt", content + b"x") + END).status_code == 201
    assert desk.contents() == [content + b"x"]


# --- several at once ----------------------------------------------------------------------------------------------


def test_two_good_files_and_a_bad_one_are_told_apart(desk: Desk) -> None:
    answer = desk.form(("a.pdf", samples.pdf()), ("b.pdf", samples.pdf()[:300]), ("c.pdf", samples.pdf(2)))
    assert answer.status_code == 201
    assert [file.file_name for file in desk.world.files()] == ["a.pdf", "c.pdf"]
    assert "2 documents added." in answer.text
    assert "<strong>b.pdf</strong> was not added." in answer.text
    assert heard(answer)["documents:changed"]["count"] == 2
    assert heard(answer)["documents:error"]["message"]
    desk.world.assert_settled()
    [refused] = desk.world.events(outcome="refused")
    assert (refused.action, refused.reason, refused.personal["name"]) == ("attach", "content-mismatch", "b.pdf")


def test_the_same_is_told_without_script(desk: Desk) -> None:
    files = [(io.BytesIO(samples.pdf()), "a.pdf"), (io.BytesIO(b""), "b.pdf")]
    answer = desk.client.post(f"{desk.path}?csrf_token={desk.token}", data={"file": files})
    assert answer.status_code == 303  # nothing is sent again when the page is loaded again
    page = desk.client.get(answer.location).text
    assert "1 document added." in page
    assert "b.pdf was not added." in page


def test_a_form_says_under_which_name_a_file_was_added(desk: Desk) -> None:
    answer = desk.form(("IMG_1.HEIC", samples.jpeg()), ("letter.pdf", samples.pdf()))
    assert answer.status_code == 201
    assert "IMG_1.jpg was added. Renamed from “IMG_1.HEIC” to match its content." in words(answer)
    first, second = desk.world.files()
    assert (first.file_name, first.original_name, first.renamed_from) == ("IMG_1.jpg", "IMG_1.HEIC", "IMG_1.HEIC")
    assert (second.file_name, second.original_name, second.renamed_from) == ("letter.pdf", "letter.pdf", None)
    assert first.file_path.endswith(".jpg")
    event = desk.world.events(action="attach")[0]
    assert (event.personal["name"], event.personal["renamed_from"]) == ("IMG_1.jpg", "IMG_1.HEIC")


def test_a_form_without_script_says_so_too(desk: Desk) -> None:
    data = {"file": [(io.BytesIO(samples.jpeg()), "1000012345")]}
    answer = desk.client.post(f"{desk.path}?csrf_token={desk.token}", data=data)
    assert answer.status_code == 303
    page = desk.client.get(answer.location).text
    assert "1000012345.jpg was added. Renamed from “1000012345” to match its content." in page


def test_when_all_are_bad_the_first_reason_counts(desk: Desk) -> None:
    answer = desk.form(("a.exe", b"MZ"), ("b.pdf", b""), ("c.pdf", samples.png()[:90]))
    assert answer.status_code == 415
    assert answer.text.count("was not added.") == 3
    assert "documents:changed" not in heard(answer)
    assert desk.world.files() == []
    desk.world.assert_settled()
    reasons = [event.reason for event in desk.world.events(outcome="refused")]
    assert reasons == ["type-not-allowed", "empty-file", "content-mismatch"]


def test_files_beyond_the_last_place_are_refused_one_by_one(small: Desk) -> None:
    answer = small.form(*((f"{number}.pdf", samples.pdf(number)) for number in (1, 2, 3)))
    assert answer.status_code == 201
    assert len(small.world.files()) == 2
    assert "<strong>3.pdf</strong> was not added." in answer.text


# --- refused before a byte is read --------------------------------------------------------------------------------

RAW = "application/octet-stream"
MOST = 15 * MB  # of one document of a visit
Differing = dict[str, Any]  # from an upload of one megabyte by the owner


def by_someone_else(desk: Desk, email: str | None, level: str = "") -> Differing:
    if email and level:
        desk.world.share(desk.world.records().patient(desk.record.patient_id).patient, email, level)
    client = desk.world.client(email)
    return {"client": client, "headers": {"X-CSRFToken": token_of(client)} if email else {}}


def to_the_trash(desk: Desk) -> Differing:
    desk.world.records().delete(desk.world.kind(), desk.record_id)
    return {}


def to_a_full_record(desk: Desk) -> Differing:
    desk.world.store(desk.record, *(f"{number}.txt" for number in range(desk.world.kind().max_files)))
    return {"content_type": RAW}


def keyed(desk: Desk, key: str) -> Differing:
    return {"headers": {"X-CSRFToken": desk.token, "Idempotency-Key": key.encode().decode("latin-1")}}


def unannounced(desk: Desk, media_type: str) -> Differing:
    headers = {"X-CSRFToken": desk.token, "Transfer-Encoding": "chunked"}
    return {"headers": headers, "length": None, "content_type": media_type}


UNREAD: dict[str, tuple[int, str | None, Callable[[Desk], Differing]]] = {
    "no CSRF token": (403, None, lambda _: {"headers": {}}),
    "a wrong CSRF token": (403, None, lambda _: {"headers": {"X-CSRFToken": "made-up"}}),
    "signed out": (302, None, lambda desk: by_someone_else(desk, None)),
    "no access": (404, "not-found", lambda desk: by_someone_else(desk, "otto@sample.example")),
    "can view": (403, "forbidden", lambda desk: by_someone_else(desk, "vera@sample.example", "view")),
    "an unknown record": (404, "not-found", lambda _: {"path": "/documents/visit/999999/files"}),
    "an unknown type": (404, None, lambda _: {"path": "/documents/prescription/1/files"}),
    "a record in the trash": (409, "conflict", to_the_trash),
    "a full record": (409, "too-many", to_a_full_record),
    "a form too large": (413, "too-large", lambda _: {"length": 8 * MOST + FORM_OVERHEAD + 1}),
    "a file too large": (413, "too-large", lambda _: {"length": MOST + FORM_OVERHEAD + 1, "content_type": RAW}),
    "a form of unknown length": (411, None, lambda desk: unannounced(desk, MULTIPART)),
    "a file of unknown length": (411, None, lambda desk: unannounced(desk, RAW)),
    "an empty key": (422, None, lambda desk: keyed(desk, "")),
    "a key too long": (422, None, lambda desk: keyed(desk, "x" * 256)),
    "a key that is not ASCII": (422, None, lambda desk: keyed(desk, "ключ")),
}


@pytest.mark.parametrize("reason", UNREAD)
def test_what_can_be_refused_before_reading_costs_no_byte(desk: Desk, reason: str) -> None:
    status, code, prepare = UNREAD[reason]
    differing, body = prepare(desk), Counting(announced=300 * MB)
    before = len(desk.world.files())
    headers = {"X-CSRFToken": desk.token, "Content-Disposition": 'attachment; filename="a.pdf"'}
    usual: Differing = {"length": MB, "headers": headers}
    answer = desk.stream(body, **(usual | differing))
    assert (answer.status_code, body.count) == (status, 0)
    assert len(desk.world.files()) == before
    desk.world.assert_settled()
    assert [event.reason for event in desk.world.events(action="attach", outcome="refused")] == [code] * bool(code)


def test_a_csrf_token_in_the_body_is_not_looked_for(desk: Desk) -> None:
    content = said("csrf_token", desk.token) + part("a.pdf", samples.pdf()) + END
    body = Counting(content)
    assert desk.stream(body, len(content), {}).status_code == 403
    assert body.count == 0
    desk.assert_untouched()


def test_a_file_that_grows_past_the_limit_costs_at_most_64_kib_more(small: Desk) -> None:
    most = MB + FORM_OVERHEAD
    body = Counting(announced=most)
    headers = {"X-CSRFToken": small.token, "Content-Disposition": 'attachment; filename="a.txt"'}
    answer = small.stream(body, most, headers, content_type="application/octet-stream")
    assert answer.status_code == 413
    assert MB < body.count <= most
    small.assert_untouched("too-large")


# --- refused while it comes in ------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["form", "raw"])
def test_the_limit_itself_is_allowed_and_one_byte_more_is_not(small: Desk, way: str) -> None:
    def send(content: bytes) -> TestResponse:
        return small.form(("a.txt", content)) if way == "form" else small.raw(content, "a.txt")

    over = send(b"a" * (MB + 1))
    assert (over.status_code, "1 MB" in over.text) == (413, True)
    small.assert_untouched("too-large")
    assert send(b"a" * MB).status_code == 201
    assert small.contents() == [b"a" * MB]


def test_a_file_that_grows_past_the_limit_does_not_stop_the_next_one(small: Desk) -> None:
    answer = small.form(("big.txt", b"a" * (MB + 1)), ("small.txt", b"a"))
    assert answer.status_code == 201
    assert [file.file_name for file in small.world.files()] == ["small.txt"]
    small.world.assert_settled()
    assert [event.reason for event in small.world.events(outcome="refused")] == ["too-large"]


@pytest.mark.parametrize("media_type", [MULTIPART, "application/octet-stream"])
def test_a_body_shorter_than_announced_is_refused(desk: Desk, media_type: str) -> None:
    whole = part("a.pdf", samples.pdf()) + END
    body = Counting(whole[: len(whole) // 2])
    headers = {"X-CSRFToken": desk.token, "Content-Disposition": 'attachment; filename="a.pdf"'}
    answer = desk.stream(body, len(whole), headers, content_type=media_type)
    assert answer.status_code == 400
    assert "cut off" in answer.text
    desk.assert_untouched("truncated")


@pytest.mark.parametrize("cut", [len(END) - 3, len(END), len(END) + 100])
def test_a_form_without_its_closing_boundary_is_refused(desk: Desk, cut: int) -> None:
    answer = desk.body((part("a.pdf", samples.pdf()) + END)[:-cut])
    assert answer.status_code == 422
    desk.assert_untouched("rejected")


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        (END, MULTIPART),
        (part("a.pdf", samples.pdf(), field="document") + END, MULTIPART),
        (part("", b"") + END, MULTIPART),
        (b"no form at all", MULTIPART),
        (b"file=abc", "application/x-www-form-urlencoded"),
        (b"file=abc", "text/plain"),
    ],
    ids=["empty", "another field", "nothing chosen", "no form", "another form", "text"],
)
def test_a_body_without_a_file_is_refused(desk: Desk, body: bytes, media_type: str) -> None:
    headers = {"X-CSRFToken": desk.token, **HTMX}
    answer = desk.client.post(desk.path, data=body, content_type=media_type, headers=headers)
    assert answer.status_code == 422
    desk.assert_untouched("rejected")


@pytest.mark.parametrize("count", [60, 1001])
def test_more_parts_than_there_can_be_files_are_refused(desk: Desk, count: int) -> None:
    answer = desk.body(b"".join(part(f"{number}.pdf", b"%PDF") for number in range(count)) + END)
    assert answer.status_code == 413
    desk.assert_untouched("too-large")


def test_a_description_larger_than_any_form_is_refused(desk: Desk) -> None:
    answer = desk.form(("a.pdf", samples.pdf()), description="x" * 5 * FORM_OVERHEAD)
    assert answer.status_code == 413
    desk.assert_untouched("too-large")


@pytest.mark.parametrize("name", [None, "", ".."])
def test_raw_bytes_without_a_name_are_refused(desk: Desk, name: str | None) -> None:
    assert desk.raw(samples.pdf(), name).status_code == 422
    desk.assert_untouched("bad-name")


# --- how it comes in ----------------------------------------------------------------------------------------------


def test_a_large_upload_is_never_held_in_memory_whole(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    from_storage = type(desk.world.parts.storages.default)
    largest: list[int] = []
    stage = from_storage.stage

    def watched(self: Any, limit: int) -> Any:
        staged = stage(self, limit)
        write = staged.write

        def note(chunk: bytes) -> int:
            largest.append(len(chunk))
            return int(write(chunk))

        monkeypatch.setattr(staged, "write", note)
        return staged

    monkeypatch.setattr(from_storage, "stage", watched)
    assert desk.form(("a.txt", b"line\n" * (2 * MB))).status_code == 201
    assert max(largest) <= 512 * 1024
    assert sum(largest) == 10 * MB
    assert len(largest) > 10
