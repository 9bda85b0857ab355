"""All settings in one table: name, default, parser and help."""

import os
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

PREFIX = "MEDFILES_"


class SettingError(ValueError):
    """An unknown setting or an invalid value; the message names it."""


@dataclass(frozen=True)
class Setting:
    """One environment variable; `parse` turns its text, or `default`, into the value."""

    name: str
    default: str
    parse: Callable[[str], Any]
    help: str


def flag(text: str) -> bool:
    try:
        return {
            "1": True,
            "true": True,
            "yes": True,
            "on": True,
            "0": False,
            "false": False,
            "no": False,
            "off": False,
        }[text.lower()]
    except KeyError:
        raise ValueError("write 1 or 0") from None


def at_least(least: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        number = int(text)
        if number < least:
            raise ValueError(f"must be at least {least}")
        return number

    return parse


def between(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        number = int(text)
        if not least <= number <= most:
            raise ValueError(f"must be from {least} to {most}")
        return number

    return parse


def location(text: str) -> str:
    """Check an nginx location such as "/inside/", or ""."""
    if text and not re.fullmatch(r"/([A-Za-z0-9_-]+/)+", text):
        raise ValueError("write a path such as /documents-inside/")
    return text


def amount(text: str) -> int:
    """Parse "500 MB", "10GB" or a number of bytes."""
    found = re.fullmatch(r"(\d{1,15})\s*([KMGT]?)B?", text.strip(), re.ASCII | re.IGNORECASE)
    if not found:
        raise ValueError("write a number of bytes, or one with KB, MB, GB or TB")
    power = " KMGT".index(found[2].upper() or " ")
    return int(found[1]) * int(1024**power)


def one_of(*allowed: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}")
        return text

    return parse


def daemon_address(text: str) -> str:
    """Check the scanner's address; empty: no scanner."""
    parts = urlsplit(text)
    tcp = parts.scheme == "tcp" and parts.hostname and parts.port
    unix = parts.scheme == "unix" and parts.path.startswith("/") and not parts.netloc
    if text and not (tcp or unix):
        raise ValueError("must be tcp://host:port or unix:/path")
    return text


def folder(text: str) -> Path:
    return Path(text).expanduser().resolve()


SETTINGS = (
    Setting(
        "MEDFILES_INSTANCE",
        "instance",
        folder,
        "Folder for the database, the documents and the secret key.",
    ),
    Setting("MEDFILES_HOST", "127.0.0.1", str, "Address the server listens on."),
    Setting("MEDFILES_PORT", "8000", at_least(0), "Port the server listens on; 0 picks a free one."),
    Setting("MEDFILES_WORKERS", "2", at_least(1), "Server processes."),
    Setting("MEDFILES_THREADS", "8", at_least(1), "Threads in each server process."),
    Setting(
        "MEDFILES_INSPECTORS",
        "2",
        at_least(1),
        "Sandboxed processes per server process that check uploads.",
    ),
    Setting(
        "MEDFILES_RENDERERS",
        "2",
        at_least(1),
        "Sandboxed processes per server process that render previews.",
    ),
    Setting(
        "MEDFILES_SANDBOX",
        "warn",
        one_of("warn", "require"),
        "When a layer of the sandbox is missing: warn in log, status page and metrics; require, refuse to start.",
    ),
    Setting(
        "MEDFILES_SOFFICE",
        "",
        str,
        "Path of LibreOffice's soffice, for previews of old Word documents. Empty: no preview of them.",
    ),
    Setting(
        "MEDFILES_CLAMD",
        "",
        daemon_address,
        "ClamAV daemon that scans documents for malware: tcp://host:port or unix:/path. Empty: no scans.",
    ),
    Setting(
        "MEDFILES_CLAMD_SECONDS",
        "30",
        at_least(1),
        "Seconds to wait for a scan result; a document without one is stored and scanned later.",
    ),
    Setting(
        "MEDFILES_JOBS",
        "server",
        one_of("server", "worker"),
        "Where background jobs run: server, in the server processes; worker, only in `flask medfiles worker`.",
    ),
    Setting("MEDFILES_SECRET_KEY", "", str, "Signs tokens. Empty: generated once and kept in the instance directory."),
    Setting(
        "MEDFILES_DATABASE_URL",
        "",
        str,
        "SQLAlchemy URL of the database. Empty: SQLite in the instance directory.",
    ),
    Setting(
        "MEDFILES_STORAGE_URL",
        "",
        str,
        "Document store: file:///folder or s3://bucket/folder?endpoint=…, or name=URL. Empty: uploads in the instance.",
    ),
    Setting(
        "MEDFILES_STORAGE_ALSO",
        "",
        str,
        "Other document stores still read, as URL or name=URL, separated by spaces; `storage copy` empties them.",
    ),
    Setting(
        "MEDFILES_DIRECT_LINKS",
        "0",
        between(0, 60),
        "Lifetime in seconds, up to 60, of direct object store links in the API; 0: no links.",
    ),
    Setting(
        "MEDFILES_ACCEL",
        "",
        location,
        "Internal nginx location of the documents folder, for X-Accel-Redirect: /documents-inside/. Empty: off.",
    ),
    Setting(
        "MEDFILES_OLDER_UPLOADS",
        "",
        str,
        "Folder with lab_result_files/ of the previous lab results feature. Empty: uploads in the instance directory.",
    ),
    Setting(
        "MEDFILES_TRASH_DAYS",
        "30",
        at_least(1),
        "Days a document stays in the trash before it is deleted permanently.",
    ),
    Setting(
        "MEDFILES_VERIFY_DAYS",
        "30",
        at_least(1),
        "Days within which every document is read and compared with its SHA-256.",
    ),
    Setting(
        "MEDFILES_AUDIT_ANCHOR",
        "",
        str,
        "Where audit log checkpoints are kept: a file, syslog: or s3://bucket/folder. Empty: the instance directory.",
    ),
    Setting(
        "MEDFILES_AUDIT_KEY",
        "",
        str,
        "Secret from which the key of the audit chain is derived. Empty: the secret key.",
    ),
    Setting("MEDFILES_IDLE_MINUTES", "30", at_least(1), "Minutes without activity after which a session ends."),
    Setting("MEDFILES_SESSION_HOURS", "12", at_least(1), "Hours after which a session ends, even if active."),
    Setting(
        "MEDFILES_ENTITIES",
        "",
        str,
        "TOML file that overrides limits per record type. Empty: the defaults.",
    ),
    Setting(
        "MEDFILES_HTTPS",
        "0",
        flag,
        "1 if the app is served over HTTPS: cookies become __Host- and Secure.",
    ),
    Setting(
        "MEDFILES_PROXIES",
        "0",
        at_least(0),
        "Number of reverse proxies whose X-Forwarded-* headers are trusted.",
    ),
    Setting(
        "MEDFILES_LIMITS_URL",
        "memory://",
        str,
        "Where rate limits are counted: memory:// per server process, redis://host:port/0 across all.",
    ),
    Setting(
        "MEDFILES_TOKEN_FAILURES_PER_MINUTE",
        "30",
        at_least(0),
        "Requests with a wrong token per minute and IP address before they get 429; 0: no limit.",
    ),
    Setting(
        "MEDFILES_SIGN_IN_FAILURES",
        "10",
        at_least(0),
        "Wrong passwords or codes per account and IP address within 5 minutes; 0: no limit.",
    ),
    Setting(
        "MEDFILES_UPLOADS_PER_MINUTE",
        "600",
        at_least(0),
        "Uploads per minute and account; 0: no limit.",
    ),
    Setting(
        "MEDFILES_BULK_PER_MINUTE",
        "600",
        at_least(0),
        "Bulk requests per minute and account: bulk actions, archives, batch counts; 0: no limit.",
    ),
    Setting(
        "MEDFILES_METRICS_TOKEN",
        "",
        str,
        "Bearer token for /metrics. Empty: only local requests are answered.",
    ),
    Setting(
        "MEDFILES_QUOTA",
        "0",
        amount,
        "Storage limit per account, such as 10GB, for all documents of its patients including trash; 0: no limit.",
    ),
    Setting("MEDFILES_REGISTRATION", "0", flag, "1: anyone who can open the sign-in page can create an account."),
    Setting(
        "MEDFILES_LOG_FORMAT",
        "auto",
        one_of("auto", "text", "json"),
        "Log format; auto: text on a terminal, otherwise JSON.",
    ),
    Setting("MEDFILES_DEMO", "1", flag, "0: make run does not create the demo family."),
)


def load(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return all settings by name; SettingError for an unknown name or invalid value."""
    unknown = {name for name in environ if name.startswith(PREFIX)} - {setting.name for setting in SETTINGS}
    if unknown:
        raise SettingError(f"Unknown setting {', '.join(sorted(unknown))}: see docs/operate/settings.md.")
    return with_places({setting.name: _read(setting, environ) for setting in SETTINGS})


def _read(setting: Setting, environ: Mapping[str, str]) -> Any:
    text = environ.get(setting.name, "").strip() or setting.default
    try:
        return setting.parse(text)
    except ValueError as error:
        raise SettingError(f"{setting.name}={text!r} cannot be used: {error}.") from error


def with_places(settings: dict[str, Any]) -> dict[str, Any]:
    """Fill in the paths that default to the instance directory."""
    instance: Path = settings["MEDFILES_INSTANCE"]
    return settings | {
        "MEDFILES_DATABASE_URL": settings["MEDFILES_DATABASE_URL"] or f"sqlite:///{instance / 'medfiles.db'}",
        "MEDFILES_STORAGE_URL": settings["MEDFILES_STORAGE_URL"] or (instance / "uploads").as_uri(),
        "MEDFILES_OLDER_UPLOADS": Path(settings["MEDFILES_OLDER_UPLOADS"] or instance / "uploads").absolute(),
    }


def secret_key(settings: Mapping[str, Any]) -> str:
    """Return the configured secret key, or the one created in the instance directory."""
    if settings["MEDFILES_SECRET_KEY"]:
        return str(settings["MEDFILES_SECRET_KEY"])
    path: Path = settings["MEDFILES_INSTANCE"] / "secret-key"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"secret-key.{secrets.token_hex(8)}")
    if not path.exists():
        draft.touch(mode=0o600, exist_ok=False)
        draft.write_text(secrets.token_urlsafe(48))
        try:
            os.link(draft, path)  # never overwrites, so two concurrent first starts agree on one key
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text()
