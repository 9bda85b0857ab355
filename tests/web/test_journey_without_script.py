"""The whole journey over plain HTTP at the real server: only links and forms that the pages contain are used."""

import hashlib
import io
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode, urljoin
from urllib.request import HTTPCookieProcessor, OpenerDirector, Request, build_opener

import pytest
from lxml import html
from werkzeug.datastructures import FileStorage
from werkzeug.test import encode_multipart

from tests.support import samples
from tests.support.server import flask, serve
from tests.support.shared_installation import LIMITS

EMAIL, PASSWORD = "maria@sample.example", "a long and quiet river"
FILES = {"Letter.pdf": samples.pdf(), "Scan.jpg": samples.jpeg(), "Befund März.txt": samples.txt()}


@dataclass
class Reader:
    """A browser without script: it follows links by their words and sends forms with what stands in them."""

    address: str
    opener: OpenerDirector = field(default_factory=lambda: build_opener(HTTPCookieProcessor(CookieJar())))
    status: int = 0
    url: str = ""
    came_from: str = ""
    content: bytes = b""

    def go(self, path: str, data: bytes | None = None, kind: str = "") -> None:
        request = Request(urljoin(self.url or self.address, path), data, {"Content-Type": kind} if kind else {})
        try:
            with self.opener.open(request, timeout=20) as answer:
                self._keep(answer)
        except HTTPError as answer:
            with answer:
                self._keep(answer)

    def _keep(self, answer: Any) -> None:
        self.status, self.content = answer.status, answer.read()
        self.came_from, self.url = self.url, answer.url

    @property
    def page(self) -> Any:
        return html.document_fromstring(self.content.decode())

    @property
    def words(self) -> str:
        return " ".join(self.page.text_content().split())

    @property
    def names(self) -> list[str]:
        """The documents listed, in their order."""
        return [name.text_content() for name in self.page.xpath("//tr//span[@class='mf-file-name']")]

    def ticks(self, *names: str) -> list[str]:
        """What these documents are ticked with."""
        labels = [f"Select {name}" for name in names]
        return [box.get("value") for box in self.page.xpath("//input[@name='file_ids']") if said(box) in labels]

    @property
    def title(self) -> str:
        return " ".join(self.page.xpath("//h1")[0].text_content().split())

    def follow(self, words: str) -> None:
        """Follow the first link that says this, of what the page is about, else of what is around it."""
        links = [*self.page.xpath("//main//a[@href]"), *self.page.xpath("//a[@href]")]
        [link, *_] = [link for link in links if said(link).startswith(words)]
        self.go(link.get("href"))

    def send(self, words: str, **entered: Any) -> None:
        """Fill in the form whose button says this and send it, with all that stands in it.

        The search field at the top of the page is not meant.
        """
        page = self.page
        buttons = page.xpath("//button[@type='submit'][not(ancestor::form[@data-mf-find])]")
        [button, *_] = [one for one in buttons if said(one).startswith(words)]
        [form] = page.xpath("//form[@id=$id]", id=button.get("form")) or button.xpath("ancestor::form")
        action = button.get("formaction") or form.get("action")
        values = {name: value for name, value in form.form_values() if name not in entered} | entered
        if button.get("name"):
            values[button.get("name")] = button.get("value")
        if form.get("method") == "get":
            self.go(f"{action}?{urlencode(values)}")
        elif form.get("enctype") == "multipart/form-data":
            boundary, body = encode_multipart(values)
            self.go(action, body, f"multipart/form-data; boundary={boundary}")
        else:
            self.go(action, urlencode(values, doseq=True).encode(), "application/x-www-form-urlencoded")


def said(element: Any) -> str:
    return " ".join((element.get("aria-label") or element.text_content()).split())


def files(*names: str) -> list[FileStorage]:
    return [FileStorage(io.BytesIO(FILES[name]), name=name, filename=name) for name in names]


@pytest.fixture(scope="module")
def address(new_database: Callable[[Path], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    place = tmp_path_factory.mktemp("plain")
    settings = {"MEDFILES_INSTANCE": str(place), "MEDFILES_DATABASE_URL": new_database(place), "MEDFILES_WORKERS": "1"}
    settings["MEDFILES_ENTITIES"] = str(LIMITS)
    flask(settings, "medfiles", "user", "create", EMAIL, "--password-stdin", typed=PASSWORD)
    with serve(settings) as address:
        yield address


@pytest.fixture
def reader(address: str) -> Reader:
    """Signed in, with a new visit open."""
    reader = Reader(address)
    reader.go("/")
    reader.send("Sign in", email=EMAIL, password=PASSWORD)
    reader.go("/patients/new")
    reader.send("Add patient", first_name="Ella", last_name="Sample", birth_date="2018-03-02")
    reader.follow("Visit")
    reader.send("Save visit", reason="Sore knee", date="2026-05-12")
    assert (reader.status, reader.title) == (200, "Sore knee")
    return reader


def test_three_files_are_sent_in_one_form_and_come_back_byte_for_byte(reader: Reader) -> None:
    reader.send("Upload", file=files(*FILES), category="referral", description="From the front desk")
    assert "3 documents added." in reader.words
    assert "3 of 8" in reader.words
    for name, content in FILES.items():
        reader.follow(f"Actions for {name}")
        reader.follow(f"Download {name}")
        assert hashlib.sha256(reader.content).hexdigest() == hashlib.sha256(content).hexdigest()
        reader.go(reader.came_from)


def test_a_document_is_edited_deleted_restored_and_deleted_for_ever(reader: Reader) -> None:
    reader.send("Upload", file=files("Letter.pdf"))
    reader.follow("Actions for Letter.pdf")
    reader.send("Save", file_name="Second opinion.pdf", category="summary", description="No operation is needed.")
    assert "“Second opinion.pdf” saved." in reader.words
    reader.follow("Actions for Second opinion.pdf")
    reader.send("Move to trash Second opinion.pdf")
    reader.follow("Trash (1)")
    reader.send("Restore Second opinion.pdf")
    reader.follow("Back to documents")
    assert "1 of 8" in reader.words
    reader.follow("Actions for Second opinion.pdf")
    reader.send("Move to trash Second opinion.pdf")
    reader.follow("Trash (1)")
    [tick] = reader.page.xpath("//input[@name='file_ids']/@value")
    reader.send("Delete permanently", file_ids=tick)
    assert "The trash is empty" in reader.words


def test_documents_are_searched_and_sorted(reader: Reader) -> None:
    reader.send("Upload", file=files(*FILES), category="referral")
    reader.send("Search", q="befund marz")
    assert "1 document found." in reader.words
    assert reader.names == ["Befund März.txt"]
    reader.follow("Show all")
    reader.send("Search", category="none")
    assert "No matching documents" in reader.words
    reader.follow("Show all")
    reader.follow("Name")
    assert reader.names == ["Befund März.txt", "Letter.pdf", "Scan.jpg"]
    reader.follow("Name")
    assert reader.names == ["Scan.jpg", "Letter.pdf", "Befund März.txt"]
    reader.send("Search", media="pdf")
    assert reader.names == ["Letter.pdf"]


def test_selected_documents_are_downloaded_as_one_archive_and_moved_to_trash_and_back(reader: Reader) -> None:
    reader.send("Upload", file=files(*FILES))
    listed = reader.url
    reader.send("Download as ZIP", file_ids=reader.ticks("Letter.pdf", "Befund März.txt"))
    with zipfile.ZipFile(io.BytesIO(reader.content)) as zipped:
        found = {name: zipped.read(name) for name in zipped.namelist()}
    assert found == {name: FILES[name] for name in ("Letter.pdf", "Befund März.txt")}
    reader.go(listed)
    reader.send("Move to trash", file_ids=reader.ticks("Letter.pdf", "Scan.jpg"))
    assert "2 documents moved to trash." in reader.words
    assert reader.names == ["Befund März.txt"]
    reader.follow("Trash (2)")
    reader.send("Restore", file_ids=reader.ticks("Letter.pdf", "Scan.jpg"))
    assert "2 documents restored." in reader.words
    reader.follow("Back to documents")
    assert "3 of 8" in reader.words


def test_a_record_is_deleted_and_brought_back_with_its_documents(reader: Reader) -> None:
    reader.send("Upload", file=files("Letter.pdf", "Scan.jpg"))
    reader.follow("Visit: Sore knee")
    reader.send("Move visit to trash")
    assert "No visits yet" in reader.words
    reader.follow("Trash")
    reader.send("Restore Sore knee")
    assert "The trash is empty" in reader.words
    reader.follow("Timeline")
    reader.follow("12 May Sore knee")
    assert "2 of 8" in reader.words
