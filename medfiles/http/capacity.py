"""Keep threads free by limiting how many requests read bodies, inspect uploads, send archives, or wait to do so."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import IO

from flask import Flask, current_app, g, request

from medfiles.database.session import end_read
from medfiles.errors import MedfilesError, TooManyUploads
from medfiles.http.current import services
from medfiles.i18n import N_
from medfiles.sandbox.pool import Busy

UPLOADS_PER_ACCOUNT = 6
WAIT_SECONDS = 20.0
SMALL_BODY = 16 * 1024  # the server receives bodies up to this size before it assigns the request a thread
NO_ROOM = N_("Too many files are being uploaded. Please try again in a moment.")
ARCHIVES_PER_ACCOUNT = 2
NO_ROOM_TO_SEND = N_("Too many archives are being downloaded. Please try again in a moment.")
BODIES, FORMS, ARCHIVES = "bodies", "forms", "archives"


@dataclass
class Room:
    """A limited number of places per key. At most `queue` callers wait for one, each for at most `seconds`."""

    queue: int
    seconds: float = WAIT_SECONDS
    _taken: Counter[object] = field(default_factory=Counter)
    _waiting: int = 0
    _changed: threading.Condition = field(default_factory=threading.Condition)

    @contextmanager
    def place(self, key: object, size: int, full: MedfilesError) -> Iterator[None]:
        """Hold one of the key's `size` places. Raises `full` if too many callers wait or none becomes free in time."""
        with self._changed:
            if self._taken[key] >= size:
                self._wait(key, size, full)
            self._taken[key] += 1
        try:
            yield
        finally:
            with self._changed:
                self._taken[key] -= 1
                if not self._taken[key]:
                    del self._taken[key]
                self._changed.notify_all()

    def _wait(self, key: object, size: int, full: MedfilesError) -> None:
        if self._waiting >= self.queue:
            raise full
        self._waiting += 1
        try:
            if not self._changed.wait_for(lambda: self._taken[key] < size, self.seconds):
                raise full
        finally:
            self._waiting -= 1


class PlacedBody:
    """A request body that waits for a place before its first byte is read and releases it after the last."""

    def __init__(self, stream: IO[bytes], length: int) -> None:
        self._stream, self._left, self._place = stream, length, ExitStack()
        self._begun = False

    def read(self, size: int = -1) -> bytes:
        if not self._begun:
            self._begun = True
            _take_places(self._place)
            g.capacity.callback(self._place.close)
        chunk = self._stream.read(size)
        self._left -= len(chunk)
        if self._left <= 0 or not chunk:
            self._place.close()
        return chunk


def init_app(app: Flask) -> None:
    app.extensions["medfiles.http.capacity"] = Room(app.config["MEDFILES_THREADS"] // 4)
    app.before_request(bound_body)
    app.teardown_request(_leave)


def bound_body() -> None:
    """Make a body that the client may send slowly wait for a place before it is read."""
    g.capacity = ExitStack()
    length = request.content_length or 0
    if length > SMALL_BODY or (length and "Expect" in request.headers):
        request.environ["wsgi.input"] = PlacedBody(request.environ["wsgi.input"], length)


def admit_upload() -> None:
    """Hold one of the account's upload places until the request ends. Raises TooManyUploads if none becomes free."""
    g.uploading = True
    _take_slot()
    g.capacity.enter_context(_room().place(g.account_id, UPLOADS_PER_ACCOUNT, TooManyUploads()))


def admit_archive() -> None:
    """Hold a place for an archive, which a thread sends, until the request ends. Raises Busy if none becomes free."""
    _take_slot()
    threads: int = current_app.config["MEDFILES_THREADS"]
    g.capacity.enter_context(_room().place((ARCHIVES, g.account_id), ARCHIVES_PER_ACCOUNT, Busy(NO_ROOM_TO_SEND)))
    g.capacity.enter_context(_room().place(ARCHIVES, max(1, threads // 4), Busy(NO_ROOM_TO_SEND)))


def keep_places() -> ExitStack:
    """Take over the places that the request holds; the caller must close them once the response has been sent."""
    places: ExitStack = g.capacity
    return places.pop_all()


def _take_places(places: ExitStack) -> None:
    _take_slot()
    end_read()  # hold no database connection while the bytes are received
    threads: int = current_app.config["MEDFILES_THREADS"]
    if "uploading" not in g:  # limit forms, which anyone can send, to leave room for uploads
        places.enter_context(_room().place(FORMS, max(1, threads // 4), Busy(NO_ROOM)))
    places.enter_context(_room().place(BODIES, max(1, threads // 2), Busy(NO_ROOM)))


def _take_slot() -> None:
    """Hold a slot until the request ends. The number of slots leaves two threads free."""
    if "slot" not in g:
        g.slot = g.capacity.enter_context(services().render_slots.slot())


def _room() -> Room:
    room: Room = current_app.extensions["medfiles.http.capacity"]
    return room


def _leave(_: BaseException | None) -> None:
    if "capacity" in g:
        g.pop("capacity").close()
        g.pop("slot", None)
