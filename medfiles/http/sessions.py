"""Sessions kept in the app's own database: a copied cookie is dead after sign-out, idle ones end by themselves."""

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Any

from flask import Flask, Request, Response, g, request
from flask_session.base import ServerSideSession, ServerSideSessionInterface
from sqlalchemy import delete, select, update
from sqlalchemy.exc import OperationalError

from medfiles.clock import now
from medfiles.database.session import db, transaction
from medfiles.database.sqlite import SOON
from medfiles.models import Session

TOUCH_AFTER = timedelta(seconds=30)
USER = "_user_id"  # where Flask-Login keeps whom a session belongs to


class DatabaseSessions(ServerSideSessionInterface):  # type: ignore[misc]
    """Flask-Session's machinery over the `sessions` table, which knows whose session it is and when it was used."""

    def __init__(self, app: Flask, idle: timedelta, longest: timedelta) -> None:
        super().__init__(app, key_prefix="", serialization_format="json")
        self.idle = idle
        self.longest = longest

    def open_session(self, app: Flask, request: Request) -> ServerSideSession:
        try:
            session = super().open_session(app, request)
        except OperationalError:
            g.database_down = True  # the gate says so, once there is a request to answer
            session = self.session_class(sid=self._generate_sid(self.sid_length))
        g.session_owner = session.get(USER)
        g.session_digest = digest_of(session.sid)
        return session

    def save_session(self, app: Flask, session: ServerSideSession, response: Response) -> None:
        if session.get(USER) != g.get("session_owner") and session.get(USER):
            session["csrf_token"] = secrets.token_hex(32)  # at once: parts of a page that ask together share one
            self.regenerate(session)  # who signs in leaves the old session id behind
            g.session_seen = None
        if not g.get("database_down"):
            super().save_session(app, session, response)
            self._touch()

    def should_set_storage(self, app: Flask, session: ServerSideSession) -> bool:
        return bool(session.modified)

    def should_set_cookie(self, app: Flask, session: ServerSideSession) -> bool:
        return bool(session.modified)

    def get_expiration_time(self, app: Flask, session: ServerSideSession) -> None:
        return None  # the cookie goes with the browser, the session by its own clock

    def _retrieve_session_data(self, store_id: str) -> dict[str, Any] | None:
        at = now()
        query = select(Session).where(
            Session.digest == digest_of(store_id),
            Session.seen_at > at - self.idle,
            Session.created_at > at - self.longest,
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
        """Update the row; insert one only for a session that began in this request: an ended one stays ended."""
        data = self.serializer.encode(session)
        digest = digest_of(store_id)
        with transaction() as database:
            values = {"data": data, "owner": session.get(USER)}
            if g.get("session_seen") is not None:
                database.execute(update(Session).where(Session.digest == digest).values(**values))
                return
            agent = (request.user_agent.string or "")[:255]
            database.add(Session(digest=digest, address=request.remote_addr, agent=agent, **values))

    def _touch(self) -> None:
        seen: datetime | None = g.get("session_seen")
        if seen is None or g.get("background") or now() - seen < TOUCH_AFTER:
            return
        with transaction(SOON) as database:
            database.execute(update(Session).where(Session.digest == g.session_digest).values(seen_at=now()))


def background(view: Any) -> Any:
    """Mark a view whose requests the page makes by itself: they do not keep a session alive."""
    view.background = True
    return view


def digest_of(sid: str) -> str:
    return hashlib.sha256(sid.encode()).hexdigest()
