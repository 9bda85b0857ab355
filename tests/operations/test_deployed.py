"""As it is deployed: nginx with the configuration of deploy/nginx in front of real servers, one or several."""

import base64
import http.client
import json
import signal
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
from flask import Flask

from medfiles.accounts import api_tokens
from medfiles.audit import chain
from medfiles.database.session import db
from medfiles.http.capacity import SMALL_BODY, UPLOADS_PER_ACCOUNT
from medfiles.models import EntityFile
from medfiles.operations import integrity
from medfiles.sandbox.pool import Sandbox
from tests.proof.faults.serving import workers
from tests.support import nginx, samples
from tests.support.api_client import RAW, disposition
from tests.support.factories import World, at_work, install, make_app
from tests.support.nginx import Front
from tests.support.server import flask, reserved_port, serve

pytestmark = pytest.mark.database

THREADS = UPLOADS = 8
BEHIND = {
    "MEDFILES_HTTPS": "1",
    "MEDFILES_PROXIES": "1",
    "MEDFILES_WORKERS": "1",
    "MEDFILES_THREADS": str(THREADS),
    "MEDFILES_SECRET_KEY": "the same on every host, and only for tests",
    "MEDFILES_ACCEL": "/documents-inside/",
}
SECONDS = 60


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Client:
    """Asks the servers behind nginx with a token; `name` of what it sends is in each request."""

    front: Front
    token: str

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        connection = self.connection()
        try:
            connection.request(method, path, body, self.headers(headers))
            answer = connection.getresponse()
            return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def upload(self, visit: int, name: str, content: bytes, key: str) -> Answer:
        return self.ask("POST", f"/api/v1/visit/{visit}/files", content, **self.about(name, key))

    def begin_upload(
        self, visit: int, name: str, key: str, length: int, server: str = ""
    ) -> http.client.HTTPConnection:
        """Return a connection, to the server past nginx if given, that lacks the end of the headers and the body."""
        connection = (
            http.client.HTTPConnection(urlsplit(server).netloc, timeout=SECONDS) if server else self.connection()
        )
        connection.putrequest("POST", f"/api/v1/visit/{visit}/files")
        for header, value in self.headers({**self.about(name, key), "Content-Length": str(length)}).items():
            connection.putheader(header, value)
        return connection

    def connection(self) -> http.client.HTTPSConnection:
        place = urlsplit(self.front.address)
        return http.client.HTTPSConnection(str(place.hostname), place.port, timeout=SECONDS, context=self.front.trust)

    def headers(self, more: Mapping[str, str]) -> dict[str, str]:
        given = {name.replace("_", "-"): value for name, value in more.items()}
        return {"Authorization": f"Bearer {self.token}", **given}

    @staticmethod
    def about(name: str, key: str) -> dict[str, str]:
        return {"Content_Type": RAW, "Content_Disposition": disposition(name), "Idempotency_Key": key}


@dataclass(frozen=True)
class Clinic:
    """`client` reaches what is deployed; `world` is the same installation from inside."""

    world: World
    client: Client
    visit: int
    server: str = ""  # past nginx


# --- one host, documents on its disk --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Site:
    app: Flask
    server: str
    front: Front


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory, new_database: Callable[[Path], str], sandbox: Sandbox
) -> Iterator[Site]:
    place = tmp_path_factory.mktemp("deployed")
    settings = {**BEHIND, "MEDFILES_INSTANCE": str(place), "MEDFILES_DATABASE_URL": new_database(place)}
    app = make_app(settings, sandbox)
    with serve(settings) as server, nginx.serve([server], place / "uploads") as front:
        yield Site(app, server, front)
    app.extensions["medfiles"].renderers.close()


@pytest.fixture
def clinic(site: Site) -> Iterator[Clinic]:
    with at_work(site.app) as world:
        yield clinic_in(world, site.front, site.server)


def clinic_in(world: World, front: Front, server: str = "") -> Clinic:
    """With an account and a visit of its own."""
    email = f"{uuid.uuid4().hex}@sample.example"
    token = api_tokens.create(world.actor(email), "Clinic", api_tokens.WRITE)[1]
    return Clinic(world, Client(front, token), world.record(email=email).id, server)


def key_of(number: int) -> str:
    """Where its bytes are."""
    db.session.rollback()
    return str(db.session.get_one(EntityFile, number).file_path)


def test_a_document_goes_in_and_comes_out_as_it_was(clinic: Clinic) -> None:
    content = samples.pdf(pages=3)
    told = clinic.client.upload(clinic.visit, "Letter – März.pdf", content, "1")
    assert (told.status, told.json["sha256"]) == (201, sha256(content).hexdigest())
    got = clinic.client.ask("GET", f"/api/v1/files/{told.json['id']}/download")
    assert (got.status, got.body) == (200, content)


def test_what_nginx_sends_has_all_headers_that_the_app_gives(clinic: Clinic) -> None:
    content = samples.pdf()
    number = clinic.client.upload(clinic.visit, "Letter.pdf", content, "1").json["id"]
    path = f"/api/v1/files/{number}/download"
    by_nginx = clinic.client.ask("GET", path)
    by_app = clinic.client.ask("GET", path, If_Range=f'"{sha_of(content)}"')
    each_time = ("date", "x-request-id")
    both = [{name: one.headers[name] for name in one.headers if name not in each_time} for one in (by_nginx, by_app)]
    assert both[0] == both[1]
    assert both[0]["repr-digest"] == f"sha-256=:{base64.b64encode(sha256(content).digest()).decode()}:"
    assert both[0]["content-security-policy"] == "default-src 'none'; sandbox; frame-ancestors 'none'"
    assert by_nginx.body == by_app.body == content
    assert left_to_nginx(clinic, path) == f"/documents-inside/{key_of(number)}"


def sha_of(content: bytes) -> str:
    return sha256(content).hexdigest()


def left_to_nginx(clinic: Clinic, path: str) -> str:
    """What the app answers it: where the document is, and no bytes."""
    request = urllib.request.Request(clinic.server + path, headers=clinic.client.headers({}))
    with urllib.request.urlopen(request, timeout=SECONDS) as answer:
        assert answer.read() == b""
        return str(answer.headers["X-Accel-Redirect"])


def test_ranges_are_those_of_the_app(clinic: Clinic) -> None:
    content = samples.pdf(pages=2)
    number = clinic.client.upload(clinic.visit, "Letter.pdf", content, "1").json["id"]
    path = f"/api/v1/files/{number}/download"
    part = clinic.client.ask("GET", path, Range="bytes=10-19")
    assert (part.status, part.body) == (206, content[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(content)}"
    several = clinic.client.ask("GET", path, Range="bytes=0-1,5-6")
    assert (several.status, several.body) == (200, content)
    beyond = clinic.client.ask("GET", path, Range=f"bytes={len(content)}-")
    assert (beyond.status, beyond.json["status"]) == (416, 416)
    resumed = clinic.client.ask("GET", path, Range="bytes=5-", If_Range=f'"{sha_of(content)}"')
    assert (resumed.status, resumed.body) == (206, content[5:])
    other = clinic.client.ask("GET", path, Range="bytes=5-", If_Range=f'"{"0" * 64}"')
    assert (other.status, other.body) == (200, content)


def test_what_somebody_has_already_is_not_sent_again(clinic: Clinic) -> None:
    content = samples.pdf()
    number = clinic.client.upload(clinic.visit, "Letter.pdf", content, "1").json["id"]
    path = f"/api/v1/files/{number}/download"
    assert clinic.client.ask("GET", path, If_None_Match=f'"{sha_of(content)}"').status == 304
    assert clinic.client.ask("GET", path, If_Modified_Since="Fri, 27 Nov 2099 00:00:00 GMT").status == 200
    assert clinic.client.ask("GET", path, If_Match='"another"').status == 200
    head = clinic.client.ask("HEAD", path)
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(content)))


def test_nobody_reaches_the_folder_past_the_app(clinic: Clinic) -> None:
    number = clinic.client.upload(clinic.visit, "Letter.pdf", samples.pdf(), "1").json["id"]
    inside = f"documents-inside/{key_of(number)}"
    answers = [clinic.client.ask("GET", path) for path in (f"/{inside}", f"/static/%2e%2e/{inside}", f"//{inside}")]
    assert {answer.status for answer in answers} == {404}
    assert not any(b"PDF" in answer.body for answer in answers)


def test_a_document_that_went_at_that_moment_is_to_be_asked_for_again(clinic: Clinic, tmp_path: Path) -> None:
    number = clinic.client.upload(clinic.visit, "Letter.pdf", samples.pdf(), "1").json["id"]
    (tmp_path / "empty").mkdir()
    with nginx.serve([clinic.server], tmp_path / "empty") as front:
        got = Client(front, clinic.client.token).ask("GET", f"/api/v1/files/{number}/download")
    assert (got.status, got.headers["retry-after"]) == (503, "1")
    assert b"Try again." in got.body


def test_a_document_that_is_too_large_is_refused_in_words_before_it_is_sent(clinic: Clinic) -> None:
    connection = clinic.client.begin_upload(clinic.visit, "Film.pdf", "1", 290 * 1024**2)
    connection.endheaders()
    answer = connection.getresponse()
    assert (answer.status, json.load(answer)["code"]) == (413, "too-large")
    connection.close()


def test_an_upload_to_anothers_record_is_refused_in_words_before_it_is_sent(clinic: Clinic) -> None:
    other = clinic.world.record(email=f"{uuid.uuid4().hex}@sample.example").id
    connection = clinic.client.begin_upload(other, "Film.pdf", "1", 1024**2)
    connection.endheaders()
    answer = connection.getresponse()
    assert (answer.status, json.load(answer)["code"]) == (404, "not-found")
    connection.close()
    [event] = clinic.world.events(action="attach", entity_id=other)
    assert event.outcome == "refused"


def test_slow_uploads_wait_in_nginx_and_leave_room_for_others(clinic: Clinic) -> None:
    content = samples.pdf(trailer="%" + "x" * SMALL_BODY + "\n")
    with ExitStack() as stack:
        slow = []
        for number in range(UPLOADS_PER_ACCOUNT + 1):
            connection = clinic.client.begin_upload(clinic.visit, f"{number}.pdf", f"slow-{number}", len(content))
            stack.callback(connection.close)
            connection.endheaders(content[:1000])
            slow.append(connection)
        assert clinic.client.upload(clinic.visit, "Quick.pdf", content, "quick").status == 201
        for connection in slow:
            connection.send(content[1000:])
            assert connection.getresponse().status == 201


def test_slow_downloads_wait_in_nginx_and_leave_room_for_others(clinic: Clinic) -> None:
    content = samples.pdf(trailer="%" + "x" * 12 * 1024**2 + "\n")
    number = clinic.client.upload(clinic.visit, "Film.pdf", content, "1").json["id"]
    path = f"/api/v1/files/{number}/download"
    with ExitStack() as stack:
        slow = [clinic.client.connection() for _ in range(THREADS + 1)]
        for connection in slow:
            stack.callback(connection.close)
            past_accel = {"If_Range": f'"{sha_of(content)}"', "Connection": "close"}  # medfiles sends the bytes itself
            connection.request("GET", path, headers=clinic.client.headers(past_accel))
        assert clinic.client.ask("GET", f"/api/v1/visit/{clinic.visit}/files").status == 200
        assert [connection.getresponse().read() == content for connection in slow] == [True] * len(slow)


def test_only_nginx_can_open_what_is_on_its_way(clinic: Clinic) -> None:
    folders = [clinic.client.front.folder / name for name in ("medfiles-uploads", "medfiles-answers")]
    assert [folder.stat().st_mode & 0o777 for folder in folders] == [0o700, 0o700]


def test_plain_http_leads_to_https_and_the_address_of_who_asks_is_known(clinic: Clinic) -> None:
    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: Any) -> None:
            return None

    with pytest.raises(urllib.error.HTTPError) as told:
        urllib.request.build_opener(Stay).open(f"{clinic.client.front.plain}/patients", timeout=SECONDS)
    assert (told.value.code, told.value.headers["Location"]) == (301, "https://127.0.0.1/patients")
    told.value.close()
    clinic.client.ask("GET", f"/api/v1/visit/{clinic.visit}/files", X_Forwarded_For="198.51.100.9")
    [event] = clinic.world.events(action="list", entity_id=clinic.visit)
    assert event.personal["address"] == "127.0.0.1"


# --- several hosts --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Hosts:
    clinic: Clinic
    instances: tuple[Path, Path]

    def stop(self, instance: Path) -> None:
        """As when the power of that host fails."""
        there = workers(instance)
        master = psutil.Process(there[0]).parent()
        assert master is not None
        for process in (master, *map(psutil.Process, there)):
            process.send_signal(signal.SIGKILL)
        psutil.wait_procs([master], SECONDS)

    def receiving(self) -> Path | None:
        """Which of them has a document on its way in."""
        return next((place for place in self.instances if any((place / "staged").glob("*.part"))), None)


@pytest.fixture
def hosts(
    tmp_path: Path, new_database: Callable[[Path], str], sandbox: Sandbox, bucket: Callable[[], str]
) -> Iterator[Hosts]:
    shared = {
        **BEHIND,
        "MEDFILES_DATABASE_URL": new_database(tmp_path),
        "MEDFILES_STORAGE_URL": bucket(),
        "MEDFILES_AUDIT_ANCHOR": bucket(),
    }
    places = [tmp_path / name for name in ("inside", "left", "right")]
    for place in places:
        place.mkdir()
    inside, left, right = ({**shared, "MEDFILES_INSTANCE": str(place)} for place in places)
    with ExitStack() as stack:
        world = stack.enter_context(install(inside, sandbox))
        servers = [stack.enter_context(serve(settings)) for settings in (left, right)]
        front = stack.enter_context(nginx.serve(servers))
        yield Hosts(clinic_in(world, front, servers[0]), (places[1], places[2]))


@pytest.mark.only_postgres
def test_a_host_that_stops_in_the_middle_of_an_upload_costs_nothing(hosts: Hosts) -> None:
    clinic, client = hosts.clinic, hosts.clinic.client
    before = [client.upload(clinic.visit, f"Letter {n}.pdf", samples.pdf(pages=n), f"{n}").json for n in (1, 2)]
    content = samples.pdf(trailer="%" + "x" * 8 * 1024**2 + "\n")
    died = half_sent(hosts, content)
    for _ in range(6):  # whoever is left answers whatever is asked
        assert client.ask("GET", f"/api/v1/visit/{clinic.visit}/files").status == 200
    again = client.upload(clinic.visit, "X-ray report.pdf", content, "half")
    assert (died, again.status) == (True, 201)
    third = client.upload(clinic.visit, "X-ray report.pdf", content, "half")
    assert (third.status, third.json["id"]) == (200, again.json["id"])
    listed = client.ask("GET", f"/api/v1/visit/{clinic.visit}/files").json
    assert {file["id"] for file in listed} == {*(one["id"] for one in before), again.json["id"]}
    got = client.ask("GET", f"/api/v1/files/{again.json['id']}/download")
    assert sha_of(got.body) == sha_of(content)
    assert integrity.verify(clinic.world.parts.storages).findings == []


def half_sent(hosts: Hosts, content: bytes) -> bool:
    """Half of it goes to one of the hosts, which stops then; whether the upload was not acknowledged."""
    clinic = hosts.clinic
    connection = clinic.client.begin_upload(clinic.visit, "X-ray report.pdf", "half", len(content), clinic.server)
    connection.endheaders(content[: len(content) // 2])
    end = time.monotonic() + SECONDS
    while not (there := hosts.receiving()) and time.monotonic() < end:
        time.sleep(0.01)
    assert there
    hosts.stop(there)
    try:
        connection.send(content[len(content) // 2 :])
        return connection.getresponse().status >= 500
    except (OSError, http.client.HTTPException):
        return True
    finally:
        connection.close()


@pytest.mark.only_postgres
def test_hosts_share_tokens_documents_and_one_audit_log(hosts: Hosts) -> None:
    clinic, client = hosts.clinic, hosts.clinic.client
    for n in range(1, 5):
        told = client.upload(clinic.visit, f"Letter {n}.pdf", samples.pdf(pages=n), f"{n}")
        assert told.status == 201
        for _ in range(2):
            assert client.ask("GET", f"/api/v1/files/{told.json['id']}/download").body == samples.pdf(pages=n)
    chain.seal(clinic.world.parts.sealer, everything=True)
    assert chain.verify(clinic.world.parts.sealer) is None
    assert chain.status().sealed >= 4


# --- an upgrade -----------------------------------------------------------------------------------------------------


def test_servers_are_restarted_one_after_another_without_a_break(site: Site, clinic: Clinic, tmp_path: Path) -> None:
    shared = {"MEDFILES_DATABASE_URL": site.app.config["MEDFILES_DATABASE_URL"]}
    shared["MEDFILES_STORAGE_URL"] = site.app.config["MEDFILES_STORAGE_URL"]
    with ExitStack() as stack:
        running: list[tuple[dict[str, str], int, ExitStack]] = []
        for name in ("left", "right"):
            (tmp_path / name).mkdir()
            settings = {**BEHIND, **shared, "MEDFILES_INSTANCE": str(tmp_path / name)}
            port = stack.enter_context(reserved_port())
            running.append((settings, port, stack.enter_context(ExitStack())))
        servers = [server.enter_context(serve(settings, port, signal.SIGTERM)) for settings, port, server in running]
        front = stack.enter_context(nginx.serve(servers))
        client = Client(front, clinic.client.token)
        with used_meanwhile(client, clinic.visit) as (looks, uploads):
            for settings, port, server in running:
                server.close()
                server.enter_context(serve(settings, port, signal.SIGTERM))
                wait_until_asked(Path(settings["MEDFILES_INSTANCE"]))
        said = (front.folder / "error.log").read_text()
    assert set(looks) == {200}, said
    assert len(looks) > 20
    listed = clinic.client.ask("GET", f"/api/v1/visit/{clinic.visit}/files").json
    assert sorted(file["file_name"] for file in listed) == sorted(uploads)
    assert len(uploads) == UPLOADS


def wait_until_asked(instance: Path) -> None:
    """nginx leaves a server alone for a moment when it did not answer."""
    end = time.monotonic() + SECONDS
    while "/files" not in (instance / "server.log").read_text() and time.monotonic() < end:
        time.sleep(0.05)


@contextmanager
def used_meanwhile(client: Client, visit: int) -> Iterator[tuple[list[int], list[str]]]:
    """Somebody looks at the list all the time, somebody else adds documents, each until it is stored."""
    stop, looks, uploads = threading.Event(), list[int](), list[str]()

    def look() -> None:
        while not stop.wait(0.05):
            looks.append(client.ask("GET", f"/api/v1/visit/{visit}/files").status)

    def upload() -> None:
        for number in range(UPLOADS):
            paper = (f"{number}.pdf", samples.pdf(pages=number + 1), f"{visit}-{number}")
            while client.upload(visit, *paper).status >= 500:
                stop.wait(0.1)
            uploads.append(f"{number}.pdf")
            stop.wait(0.4)

    with ThreadPoolExecutor(2) as pool:
        done = [pool.submit(look), pool.submit(upload)]
        try:
            yield looks, uploads
            done[1].result(SECONDS)
        finally:
            stop.set()
    for one in done:
        one.result()


@pytest.mark.only_postgres
def test_servers_that_start_together_make_the_tables_once(tmp_path: Path, new_database: Callable[[Path], str]) -> None:
    url = new_database(tmp_path)
    hosts = [{"MEDFILES_INSTANCE": str(tmp_path / name), "MEDFILES_DATABASE_URL": url} for name in "ab"]
    flask(hosts[0], "db", "downgrade", "base")
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(flask, host, "db", "upgrade") for host in hosts]:
            done.result(SECONDS)
    assert "(head)" in flask(hosts[0], "db", "current")
