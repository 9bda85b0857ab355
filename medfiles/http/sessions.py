"""Store sessions in the database, so that sign-out and timeouts end them for good.

Before sign-in, there is no row; a visitor's CSRF token and notices are kept in a signed cookie.
"""

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Any

from flask import Flask, Request, Response, current_app, g, request
from flask_session.base import ServerSideSession, ServerSideSessionInterface
from itsdangerous import BadSignature, URLSafeTimedSerializer
from sqlalchemy import delete, select, update
from sqlalchemy.exc import OperationalError

from medfiles.clock import is_within, now
from medfiles.database.session import db, transaction
from medfiles.database.sqlite import ASYNCHRONOUS
from medfiles.models import Session

TOUCH_AFTER = timedelta(seconds=30)
USER_KEY = "_user_id"  # Flask-Login's key for the user
VISITOR = "visitor."  # prefix of cookies that hold the session itself; a session id has no dot
VISITOR_KEYS = {"csrf_token", "fs_cc", "_flashes", "_fresh", "_permanent"}  # keys that pages set before sign-in


def had_session() -> bool:
    """Return whether the browser sent the cookie of a signed-in session, even one that has ended."""
    cookie = request.cookies.get(current_app.config["SESSION_COOKIE_NAME"], "")
    return bool(cookie) and not cookie.startswith(VISITOR)


class DatabaseSessions(ServerSideSessionInterface):  # type: ignore[misc]
    """A Flask-Session backend that stores sessions in the `sessions` table, with owner and time of last use."""

    def __init__(self, app: Flask, idle: timedelta, longest: timedelta) -> None:
        super().__init__(app, key_prefix="", serialization_format="json")
        self.idle, self.longest = idle, longest

    def open_session(self, app: Flask, request: Request) -> ServerSideSession:
        try:
            session = self._visitor(app, request) or super().open_session(app, request)
        except OperationalError:
            g.database_down = True  # http.security reports this once the request is set up
            session = self.session_class(sid=self._generate_sid(self.sid_length))
        g.session_owner = session.get(USER_KEY)
        g.session_digest = digest_of(session.sid)
        return session

    def save_session(self, app: Flask, session: ServerSideSession, response: Response) -> None:
        if session.get(USER_KEY) != g.get("session_owner") and session.get(USER_KEY):
            session["csrf_token"] = secrets.token_hex(32)  # set now, so that a page's parallel requests share it
            self.regenerate(session)  # prevents session fixation
            g.session_seen = None
        if g.get("database_down"):
            return
        if session and session.modified and session.keys() <= VISITOR_KEYS:
            self._save_visitor(app, session, response)
            return
        super().save_session(app, session, response)
        self._touch()

    def _visitor(self, app: Flask, request: Request) -> ServerSideSession | None:
        """Return the session stored in the cookie itself, with a new id in case the visitor signs in, or None."""
        prefix, found, signed = request.cookies.get(self.get_cookie_name(app), "").partition(VISITOR)
        if prefix or not found:
            return None
        sid = self._generate_sid(self.sid_length)
        try:
            held, signed_at = self._signer(app).loads(signed, return_timestamp=True)
        except BadSignature:
            return self.session_class(sid=sid)
        return self.session_class(held if is_within(signed_at, self.longest) else None, sid=sid)

    def _save_visitor(self, app: Flask, session: ServerSideSession, response: Response) -> None:
        if g.get("session_seen") is not None:
            self._delete_session(self._get_store_id(session.sid))
        response.set_cookie(
            self.get_cookie_name(app),
            VISITOR + str(self._signer(app).dumps(dict(session))),
            path=self.get_cookie_path(app),
            secure=self.get_cookie_secure(app),
            httponly=self.get_cookie_httponly(app),
            samesite=self.get_cookie_samesite(app),
        )
        response.vary.add("Cookie")

    def _signer(self, app: Flask) -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(str(app.secret_key), salt="visitor-session")

    def should_set_storage(self, app: Flask, session: ServerSideSession) -> bool:
        return bool(session.modified)

    should_set_cookie = should_set_storage

    def get_expiration_time(self, app: Flask, session: ServerSideSession) -> None:
        return None  # a session cookie; the server enforces its own timeouts

    def _retrieve_session_data(self, store_id: str) -> dict[str, Any] | None:
        query = select(Session).where(
            Session.digest == digest_of(store_id),
            is_within(Session.seen_at, self.idle),
            is_within(Session.created_at, self.longest),
        )
        row = db.session.scalar(query)
        if row is None:
            return None
        g.session_seen = row.seen_at
        return dict(self.serializer.decode(row.data))

    def _delete_session(self, store_id: str) -> None:
        with transaction() as session:
            session.execute(delete(Session).where(Session.digest == digest_of(store_id)))

    def _upsert_session(self, session_lifetime: timedelta, session: ServerSideSession, store_id: str) -> None:
        """Update the session's row, or insert one if the session began in this request.

        Inserting any other session would revive one that has ended.
        """
        digest, values = digest_of(store_id), {"data": self.serializer.encode(session), "owner": session.get(USER_KEY)}
        with transaction() as database:
            if g.get("session_seen") is not None:
                database.execute(update(Session).where(Session.digest == digest).values(**values))
                return
            agent = (request.user_agent.string or "")[:255]
            database.add(Session(digest=digest, address=request.remote_addr, agent=agent, **values))

    def _touch(self) -> None:
        seen: datetime | None = g.get("session_seen")
        if seen is None or g.get("background") or is_within(seen, TOUCH_AFTER):
            return
        with transaction(ASYNCHRONOUS) as database:
            database.execute(update(Session).where(Session.digest == g.session_digest).values(seen_at=now()))


def background(view: Any) -> Any:
    """Mark a view that pages call automatically, so that it does not keep a session alive."""
    view.background = True
    return view


def digest_of(sid: str) -> str:
    return hashlib.sha256(sid.encode()).hexdigest()
