"""All settings in one table; docs/operate/settings.md explains them."""

import ipaddress
import os
import re
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from click import BOOL, BadParameter, Choice, ClickException, IntRange

PREFIX = "MEDFILES_"


class SettingError(ClickException, ValueError):
    """The installation cannot start as configured.

    The message is one sentence that names the setting, folder or driver and says what to do.
    """


@dataclass(frozen=True)
class Setting:
    """One environment variable. `parse` converts its text, or `default` if it is unset or empty, to the value."""

    name: str
    default: str
    parse: Callable[[str], Any]
    help: str


def location(text: str) -> str:
    """Validate an nginx location such as "/inside/". An empty string disables it."""
    if text and not re.fullmatch(r"/([A-Za-z0-9_-]+/)+", text):
        raise ValueError("must be a path such as /documents-inside/")
    return text


def amount(text: str) -> int:
    """Parse "500 MB", "10GB" or a number of bytes."""
    found = re.fullmatch(r"(\d{1,15})\s*([KMGT]?)B?", text.strip(), re.ASCII | re.IGNORECASE)
    if not found:
        raise ValueError("must be a number of bytes, or a number with KB, MB, GB or TB")
    power = " KMGT".index(found[2].upper() or " ")
    return int(found[1]) * int(1024**power)


def public_url(text: str) -> str:
    """Validate the URL that people open, such as https://records.example.org. An empty string means none."""
    parts = urlsplit(text)
    extra = parts.path.strip("/") or parts.query or parts.fragment or parts.username
    if text and (parts.scheme not in ("http", "https") or not parts.hostname or extra):
        raise ValueError("must be http:// or https:// followed by a host name, without a path")
    return text.rstrip("/")


def daemon_address(text: str) -> str:
    """Validate the scanner's address. An empty string means no scanner."""
    parts = urlsplit(text)
    tcp = parts.scheme == "tcp" and parts.hostname and parts.port
    unix = parts.scheme == "unix" and parts.path.startswith("/") and not parts.netloc
    if text and not (tcp or unix):
        raise ValueError("must be tcp://host:port or unix:/path")
    return text


def folder(text: str) -> Path:
    return Path(text).expanduser().resolve()


SETTINGS = (
    Setting("MEDFILES_INSTANCE", "instance", folder, "Folder for the database, the documents and the secret key."),
    Setting("MEDFILES_HOST", "127.0.0.1", str, "Address the server listens on."),
    Setting("MEDFILES_PORT", "8000", IntRange(min=0), "Port the server listens on; 0 picks a free one."),
    Setting("MEDFILES_PUBLIC_URL", "", public_url, "Address people open. If set, requests for other hosts get 400."),
    Setting("MEDFILES_WORKERS", "2", IntRange(min=1), "Server processes."),
    Setting("MEDFILES_THREADS", "32", IntRange(min=1), "Threads in each server process."),
    Setting("MEDFILES_INSPECTORS", "2", IntRange(min=1), "Sandboxed upload-checking processes per server process."),
    Setting("MEDFILES_RENDERERS", "2", IntRange(min=1), "Sandboxed preview-rendering processes per server process."),
    Setting("MEDFILES_SANDBOX", "warn", Choice(("warn", "require")), "require: refuse to start if a layer is missing."),
    Setting("MEDFILES_SOFFICE", "", str, "Path of LibreOffice's soffice, for previews of old Word documents."),
    Setting(
        "MEDFILES_OCR",
        "auto",
        Choice(("auto", "rapidocr", "tesseract", "off")),
        "How text in photos and scans is read. auto: with what is installed.",
    ),
    Setting("MEDFILES_CLAMD", "", daemon_address, "ClamAV daemon: tcp://host:port or unix:/path. Empty: no scans."),
    Setting("MEDFILES_CLAMD_SECONDS", "30", IntRange(min=1), "Seconds to wait for a scan result."),
    Setting("MEDFILES_JOBS", "server", Choice(("server", "worker")), "Which processes run background jobs."),
    Setting("MEDFILES_SECRET_KEY", "", str, "Signs tokens. Empty: created once in the instance directory."),
    Setting("MEDFILES_DATABASE_URL", "", str, "SQLAlchemy URL. Empty: SQLite in the instance directory."),
    Setting("MEDFILES_STORAGE_URL", "", str, "Document store: file:///folder or s3://bucket/folder?endpoint=…"),
    Setting("MEDFILES_STORAGE_ALSO", "", str, "Other document stores to read from, separated by spaces."),
    Setting("MEDFILES_DIRECT_LINKS", "0", IntRange(0, 60), "Seconds for which direct links are valid; 0: no links."),
    Setting("MEDFILES_ACCEL", "", location, "Internal nginx location of the documents folder. Empty: off."),
    Setting("MEDFILES_OLDER_UPLOADS", "", str, "Folder with lab_result_files/ of the previous lab results feature."),
    Setting("MEDFILES_TRASH_DAYS", "30", IntRange(min=1), "Days a document stays in the trash."),
    Setting("MEDFILES_VERIFY_DAYS", "30", IntRange(min=1), "Days within which every document's checksum is verified."),
    Setting(
        "MEDFILES_LINK_READER_DAYS", "90", IntRange(min=1), "Days that names and addresses of link readers are kept."
    ),
    Setting("MEDFILES_AUDIT_ANCHOR", "", str, "Where checkpoints are kept: a file, syslog: or s3://bucket/folder."),
    Setting("MEDFILES_AUDIT_KEY", "", str, "Secret of the audit chain. Empty: the secret key."),
    Setting("MEDFILES_IDLE_MINUTES", "30", IntRange(min=1), "Minutes without activity after which a session ends."),
    Setting("MEDFILES_SESSION_HOURS", "12", IntRange(min=1), "Hours after which a session ends, even if active."),
    Setting("MEDFILES_ENTITIES", "", str, "TOML file that overrides limits and operations per record type."),
    Setting("MEDFILES_HTTPS", "0", BOOL, "1 if the app is served over HTTPS: cookies become __Host- and Secure."),
    Setting("MEDFILES_PROXIES", "0", IntRange(min=0), "Reverse proxies whose X-Forwarded-* headers are trusted."),
    Setting(
        "MEDFILES_LIMITS_URL", "memory://", str, "Where rate-limit counters are kept: memory:// or redis://host:port/0."
    ),
    Setting("MEDFILES_TOKEN_FAILURES_PER_MINUTE", "30", IntRange(min=0), "Wrong tokens per IP address; 0: no limit."),
    Setting("MEDFILES_SIGN_IN_FAILURES", "10", IntRange(min=0), "Wrong passwords or codes in 5 minutes; 0: no limit."),
    Setting("MEDFILES_UPLOADS_PER_MINUTE", "600", IntRange(min=0), "Uploads per account; 0: no limit."),
    Setting("MEDFILES_BULK_PER_MINUTE", "600", IntRange(min=0), "Bulk requests per account; 0: no limit."),
    Setting("MEDFILES_METRICS_TOKEN", "", str, "Bearer token for /metrics. Empty: only local requests are answered."),
    Setting("MEDFILES_QUOTA", "0", amount, "Storage per account, such as 10GB, including trash; 0: no limit."),
    Setting("MEDFILES_REGISTRATION", "0", BOOL, "1: anyone who can open the sign-in page can create an account."),
    Setting("MEDFILES_LOG_FORMAT", "auto", Choice(("auto", "text", "json")), "auto: text on a terminal, else JSON."),
    Setting("MEDFILES_DEMO", "1", BOOL, "0: make run does not create the demo family."),
)


def load(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return all settings by name. Raises SettingError if a name is unknown or a value is invalid."""
    unknown = {name for name in environ if name.startswith(PREFIX)} - {setting.name for setting in SETTINGS}
    if unknown:
        raise SettingError(f"Unknown settings: {', '.join(sorted(unknown))}. See docs/operate/settings.md.")
    values = {setting.name: _read(setting, environ) for setting in SETTINGS}
    instance: Path = values["MEDFILES_INSTANCE"]
    values["MEDFILES_DATABASE_URL"] = values["MEDFILES_DATABASE_URL"] or f"sqlite:///{instance / 'medfiles.db'}"
    values["MEDFILES_STORAGE_URL"] = values["MEDFILES_STORAGE_URL"] or (instance / "uploads").as_uri()
    values["MEDFILES_OLDER_UPLOADS"] = Path(values["MEDFILES_OLDER_UPLOADS"] or instance / "uploads").absolute()
    return values


def _read(setting: Setting, environ: Mapping[str, str]) -> Any:
    text = environ.get(setting.name, "").strip() or setting.default
    try:
        return setting.parse(text)
    except (ValueError, BadParameter) as error:
        reason = error.message if isinstance(error, BadParameter) else error
        raise SettingError(f"{setting.name}={text!r} cannot be used: {str(reason).rstrip('.')}.") from error


def unencrypted(settings: Mapping[str, Any]) -> str | None:
    """Return a warning if the server can be reached from other machines without HTTPS, else None."""
    host = settings["MEDFILES_HOST"].strip("[]")
    if settings["MEDFILES_HTTPS"] or host == "localhost" or host.startswith("unix:"):
        return None
    with suppress(ValueError):
        if ipaddress.ip_address(host).is_loopback:
            return None
    return (
        f"MEDFILES_HOST={host} can be reached from other machines, but MEDFILES_HTTPS is off: passwords and documents "
        "would be sent unencrypted. Put an HTTPS reverse proxy in front and set MEDFILES_HTTPS=1."
    )


def secret_key(settings: Mapping[str, Any]) -> str:
    """Return the configured secret key, or the one in the instance directory, creating it if needed."""
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
