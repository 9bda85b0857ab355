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
        "Folder that holds the database, the documents and the secret key.",
    ),
    Setting("MEDFILES_HOST", "127.0.0.1", str, "Address the server listens on."),
    Setting("MEDFILES_PORT", "8000", at_least(0), "Port the server listens on; 0 takes a free one."),
    Setting("MEDFILES_WORKERS", "2", at_least(1), "Server processes."),
    Setting("MEDFILES_THREADS", "8", at_least(1), "Threads in each server process."),
    Setting(
        "MEDFILES_INSPECTORS",
        "2",
        at_least(1),
        "Limited child processes per server process that check uploads.",
    ),
    Setting(
        "MEDFILES_RENDERERS",
        "2",
        at_least(1),
        "Limited child processes per server process that draw previews.",
    ),
    Setting(
        "MEDFILES_SOFFICE",
        "",
        str,
        "LibreOffice's program soffice, which makes old Word documents visible. Empty: they are only downloaded.",
    ),
    Setting(
        "MEDFILES_CLAMD",
        "",
        daemon_address,
        "ClamAV's daemon, which scans documents for malware: tcp://host:port or unix:/path. Empty: none are scanned.",
    ),
    Setting(
        "MEDFILES_CLAMD_SECONDS",
        "30",
        at_least(1),
        "Seconds to wait for its verdict; a document without one is kept and waits.",
    ),
    Setting(
        "MEDFILES_JOBS",
        "server",
        one_of("server", "worker"),
        "Who does what nobody waits for: server, the server processes; worker, only `flask medfiles worker`.",
    ),
    Setting("MEDFILES_SECRET_KEY", "", str, "Signs tokens. Empty: made once and kept in the instance folder."),
    Setting(
        "MEDFILES_DATABASE_URL",
        "",
        str,
        "SQLAlchemy address of the database. Empty: SQLite in the instance folder.",
    ),
    Setting(
        "MEDFILES_STORAGE_URL",
        "",
        str,
        "Where documents are kept: file:///folder or s3://bucket/folder?endpoint=…. Empty: uploads in the instance.",
    ),
    Setting(
        "MEDFILES_STORAGE_ALSO",
        "",
        str,
        "Where documents still are that were kept elsewhere before; `storage copy` brings them over.",
    ),
    Setting(
        "MEDFILES_DIRECT_LINKS",
        "0",
        between(0, 60),
        "Seconds, up to 60, that links into the object store are good for, which the API gives on request; 0: none.",
    ),
    Setting(
        "MEDFILES_ACCEL",
        "",
        location,
        "Where nginx in front finds the folder of documents, to send them itself: /documents-inside/. Empty: never.",
    ),
    Setting(
        "MEDFILES_OLDER_UPLOADS",
        "",
        str,
        "Folder with lab_result_files/ of the older lab-results feature. Empty: uploads in the instance.",
    ),
    Setting(
        "MEDFILES_TRASH_DAYS",
        "30",
        at_least(1),
        "Days a document stays in the trash before it is deleted for ever.",
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
        "Where the head of the trail's chain is kept: a file, syslog: or s3://bucket/folder. Empty: in the instance.",
    ),
    Setting(
        "MEDFILES_AUDIT_KEY",
        "",
        str,
        "Secret from which the key of the trail's chain is made. Empty: the secret key.",
    ),
    Setting("MEDFILES_IDLE_MINUTES", "30", at_least(1), "Minutes without activity after which a session ends."),
    Setting("MEDFILES_SESSION_HOURS", "12", at_least(1), "Hours after which a session ends in any case."),
    Setting(
        "MEDFILES_ENTITIES",
        "",
        str,
        "TOML file that overrides limits per kind of record. Empty: the defaults.",
    ),
    Setting(
        "MEDFILES_HTTPS",
        "0",
        flag,
        "1 when people reach the app by https: cookies become __Host- and Secure.",
    ),
    Setting(
        "MEDFILES_PROXIES",
        "0",
        at_least(0),
        "Reverse proxies in front whose X-Forwarded-* headers are trusted.",
    ),
    Setting(
        "MEDFILES_LIMITS_URL",
        "memory://",
        str,
        "Where rate limits are counted: memory:// in each server process, redis://host:port/0 for all of them.",
    ),
    Setting(
        "MEDFILES_TOKEN_FAILURES_PER_MINUTE",
        "30",
        at_least(0),
        "Requests with a wrong token from one address before they are answered 429; 0: no limit.",
    ),
    Setting(
        "MEDFILES_SIGN_IN_FAILURES",
        "10",
        at_least(0),
        "Wrong passwords or codes for one account from one address within 5 minutes; 0: no limit.",
    ),
    Setting(
        "MEDFILES_UPLOADS_PER_MINUTE",
        "600",
        at_least(0),
        "Uploads of one account; 0: no limit.",
    ),
    Setting(
        "MEDFILES_BULK_PER_MINUTE",
        "600",
        at_least(0),
        "Requests of one account for many documents at once: bulk actions, archives, batch counts; 0: no limit.",
    ),
    Setting(
        "MEDFILES_METRICS_TOKEN",
        "",
        str,
        "Bearer token that /metrics asks for. Empty: it answers this machine alone.",
    ),
    Setting(
        "MEDFILES_QUOTA",
        "0",
        amount,
        "Bytes that the documents of one account's patients may take, trash included, such as 10GB; 0: no end.",
    ),
    Setting("MEDFILES_REGISTRATION", "0", flag, "1 lets anyone who reaches the sign-in page make an account."),
    Setting(
        "MEDFILES_LOG_FORMAT",
        "auto",
        one_of("auto", "text", "json"),
        "Log lines; auto: text on a terminal, else JSON.",
    ),
    Setting("MEDFILES_DEMO", "1", flag, "0: make run never makes the demo family."),
)


def load(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return all settings by name; SettingError for an unknown name or invalid value."""
    unknown = {name for name in environ if name.startswith(PREFIX)} - {setting.name for setting in SETTINGS}
    if unknown:
        raise SettingError(f"Unknown setting {', '.join(sorted(unknown))}: see docs/operate.md for the ones there are.")
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
