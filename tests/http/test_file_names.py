"""Names of documents, from the sender's computer to the list and back to a disk."""

import re
import unicodedata
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import lxml.html
import pyrfc6266
import pytest
from flask.testing import FlaskClient
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import samples
from tests.support.factories import World, token_of

NASTY = [
    "../../etc/passwd.txt",
    "..\\..\\windows\\system.txt",
    "C:\\fakepath\\scan.txt",
    "/absolute/path.txt",
    "a/b.txt",
    'quote".txt',
    "single'.txt",
    "semi;colon=1.txt",
    "per%20cent%.txt",
    "%00.txt",
    "back\\slash.txt",
    "comma, and space.txt",
    "tab\there.txt",
    "new\r\nSet-Cookie: a=b.txt",
    "nul\0byte.txt",
    "report\u202etxt.exe.txt",
    "isolate\u2066x\u2069.txt",
    "zero\u200bwidth.txt",
    "line\u2028separator.txt",
    "bom\ufeff.txt",
    "c1\x85control.txt",
    "日本語の検査結果.txt",
    "Ärztebrief für Zoë.txt",
    "emoji 🩻 scan.txt",
    "e\u0301 decomposed.txt",
    "ﬁ ligature Ａ.txt",
    "العربية.txt",
    "CON.txt",
    "nul .txt",
    "COM¹.txt",
    "-rf.txt",
    ".hidden.txt",
    "~user.txt",
    "two..dots.txt",
    "trailing.txt.",
    "trailing.txt ",
    "x" * 300 + ".txt",
    "🩻" * 100 + ".txt",
    "<img src=x onerror=alert(1)>.txt",
    "{{7*7}}.txt",
    "filename*=UTF-8''evil.txt",
    "=cmd|calc.txt",
    "a.TXT",
    "a.pdf.txt",
]
WITHOUT_CONTROL = re.compile(r"[^\x00-\x1f\x7f-\x9f]*")


class Archive:
    """A record that takes any number of documents, and a browser."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.client: FlaskClient = world.client()
        self.token = token_of(self.client)
        self.path = f"/documents/visit/{world.record().id}"

    def send(self, name: str) -> int:
        """As raw bytes, the name spelled by the percent rules of RFC 8187."""
        disposition = f"attachment; filename*=UTF-8''{quote(name, safe='')}"
        headers = {"X-CSRFToken": self.token, "HX-Request": "true", "Content-Disposition": disposition}
        return self.client.post(
            f"{self.path}/files", data=samples.txt(), content_type="application/octet-stream", headers=headers
        ).status_code

    def send_by_form(self, name: str) -> int:
        """As browsers send it: quotes and line ends percent-encoded, the rest in UTF-8."""
        spelled = name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
        body = f'--b\r\nContent-Disposition: form-data; name="file"; filename="{spelled}"\r\n\r\ntext\r\n--b--\r\n'
        headers = {"X-CSRFToken": self.token, "Content-Type": "multipart/form-data; boundary=b", "HX-Request": "true"}
        return self.client.post(f"{self.path}/files", data=body.encode(), headers=headers).status_code

    def stored(self) -> tuple[int, str]:
        file = self.world.files()[-1]
        return file.id, file.file_name

    def header(self, file_id: int) -> str:
        answer = self.client.get(f"/documents/files/{file_id}/download", buffered=True)
        return str(answer.headers["Content-Disposition"])


@pytest.fixture
def archive(make_world: Callable[..., World], tmp_path: Path) -> Archive:
    limits = tmp_path / "limits.toml"
    limits.write_text("[visit]\nmax_files = 100000\n")
    return Archive(make_world(ENTITIES=str(limits)))


def parsed(header: str) -> str:
    """The name a strict reader of RFC 6266 and RFC 8187 takes from the header."""
    kind, parts = pyrfc6266.parse(header)
    names = {part.name: part.value for part in parts}
    assert kind == "attachment"
    assert set(names) <= {"filename", "filename*"}
    return str(names.get("filename*", names.get("filename")))


def assert_round_trip(archive: Archive) -> None:
    file_id, name = archive.stored()
    header = archive.header(file_id)
    assert header.encode("latin-1")
    assert WITHOUT_CONTROL.fullmatch(header)
    assert parsed(header) == name
    assert unicodedata.is_normalized("NFC", name)
    assert WITHOUT_CONTROL.fullmatch(name)
    assert not re.search("[/\\\\\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029\ufeff]", name)
    assert 1 <= len(name) <= 255
    assert len(name.encode()) <= 240
    assert name.lower().endswith(".txt")


@settings.get_profile("costly")
@given(stem=st.text(st.characters(exclude_categories=["Cs"]), max_size=300))
def test_any_name_is_refused_or_comes_back_as_it_is_shown(archive: Archive, stem: str) -> None:
    status = archive.send(f"{stem}.txt")
    assert status in (201, 415, 422)  # ".txt" is a name without an ending
    if status == 201:
        assert_round_trip(archive)


def test_names_meant_to_do_harm_do_none(archive: Archive) -> None:
    for name in NASTY:
        assert archive.send(name) == 201, name
        assert_round_trip(archive)
    folders = {path.parent.name for path in archive.world.uploads.rglob("*") if path.is_file()}
    assert folders == {"visits"}
    archive.world.assert_settled()


def test_an_honest_name_is_kept_to_the_letter_in_any_normal_form(archive: Archive) -> None:
    names = ["Ärztebrief für Zoë.txt", "日本語の検査結果.txt", "emoji 🩻 scan.txt", "comma, and; more.txt"]
    for name in names:
        apart = unicodedata.normalize("NFD", name)
        for send, written in ((archive.send, name), (archive.send, apart), (archive.send_by_form, apart)):
            assert send(written) == 201
            assert archive.stored()[1] == name
            assert_round_trip(archive)
    page = lxml.html.fromstring(archive.client.get(archive.path).data)
    shown = [name.text_content() for name in page.xpath("//tbody//*[@class='mf-file-name']")]
    assert shown == [name for name in names[::-1] for _ in range(3)]


def test_a_name_is_as_safe_when_it_is_changed_later(archive: Archive) -> None:
    archive.send("letter.txt")
    file_id, _ = archive.stored()
    for name in [*NASTY, "....//.txt", ".txt", "txt"]:
        fields = {"csrf_token": archive.token, "file_name": name}
        assert archive.client.post(f"/documents/files/{file_id}/edit", data=fields).status_code == 303
        assert_round_trip(archive)


def test_a_lone_surrogate_in_a_header_is_no_error_of_ours(archive: Archive) -> None:
    headers = {"X-CSRFToken": archive.token, "Content-Type": "application/octet-stream"}
    headers |= {"HX-Request": "true", "Content-Disposition": "attachment; filename*=UTF-8''%ED%A0%80.txt"}
    answer = archive.client.post(f"{archive.path}/files", data=samples.txt(), headers=headers)
    assert answer.status_code in (201, 400, 422)


SPELLED = {
    "Müller.pdf".encode(): "Müller.pdf",
    "Müller.pdf".encode("latin-1"): "Müller.pdf",
    "Befund – „neu“.pdf".encode("cp1252"): "Befund – „neu“.pdf",
    b"=?utf-8?B?TcO8bGxlci5wZGY=?=": "Müller.pdf",
    b"=?iso-8859-1?Q?M=FCller=5F2.pdf?=": "Müller_2.pdf",
    b"=?utf-8?Q?Labor?= =?utf-8?Q?_M=C3=BCller.pdf?=": "Labor Müller.pdf",
    b"M%C3%BCller.pdf": "Müller.pdf",
    b"%E6%97%A5%E6%9C%AC.pdf": "日本.pdf",
    b"a %22quoted%22 word.pdf": 'a "quoted" word.pdf',
    b"100%25 sure.pdf": "100%25 sure.pdf",
    b"50% off.pdf": "50% off.pdf",
    b"a%20b.pdf": "a%20b.pdf",
    b"=?unknown?Q?x?=.pdf": "=?unknown?Q?x?=.pdf",
}


@pytest.mark.parametrize(("spelled", "name"), SPELLED.items())
def test_a_name_in_a_multipart_header_is_decoded(world: World, spelled: bytes, name: str) -> None:
    client, record = world.client(), world.record()
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="' + spelled + b'"\r\n\r\n'
    body = head + samples.pdf() + b"\r\n--b--\r\n"
    address = f"/documents/visit/{record.id}/files"
    headers = {"X-CSRFToken": token_of(client)}
    client.post(address, data=body, content_type="multipart/form-data; boundary=b", headers=headers)
    assert [file.file_name for file in world.files()] == [name]


@pytest.mark.parametrize(("spelled", "name"), SPELLED.items())
def test_a_name_in_a_header_is_decoded(world: World, spelled: bytes, name: str) -> None:
    client, record = world.client(), world.record()
    given = b'attachment; filename="' + spelled + b'"'
    headers = {"X-CSRFToken": token_of(client), "Content-Disposition": given.decode("latin-1")}
    address = f"/documents/visit/{record.id}/files"
    client.post(address, data=samples.pdf(), content_type="application/octet-stream", headers=headers)
    assert [file.file_name for file in world.files()] == [name]
