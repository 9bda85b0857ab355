"""Commands of a server's administrator, faked below one folder: they change nothing on this machine.

`python fake_system.py ROOT NAME WORDS…` does what `NAME WORDS…` would do, as far as the guides need it. Users, packages
and services are only noted in ROOT/calls; units are run by their own ExecStart lines, with paths below ROOT.
"""

import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
COPIED = (
    "deploy", "medfiles", "migrations", "requirements", "static", "templates", "gunicorn.conf.py", "pyproject.toml",
    "setup.cfg", "wsgi.py",
)  # fmt: skip
FAKED = ("apt-get", "git", "install", "make", "runuser", "systemctl", "useradd")
MOVED = re.compile(r"(?<![\w.])/(srv/medfiles|var/lib/medfiles|backup/medfiles|etc/(?=medfiles|systemd|nginx))")
SECONDS = 120


def below(root: Path, text: str) -> str:
    """The text with the folders of an installation moved below `root`."""
    return MOVED.sub(rf"{root}/\1", text)


def main(root: Path, name: str, words: list[str]) -> None:
    with (root / "calls").open("a") as calls:
        print(name, *words, file=calls)
    if name == "git" and words[0] == "clone":
        clone(Path(words[-1]))
    elif name == "install":
        owners = {place for place, word in enumerate(words) if word in ("-o", "-g")}
        kept = [word for place, word in enumerate(words) if not {place, place - 1} & owners]
        os.execv("/usr/bin/install", ["install", *kept])
    elif name == "make" and words == ["setup"]:
        if not Path(".venv").exists():
            Path(".venv").symlink_to(sys.prefix)
    elif name == "runuser":
        os.execvp(words[3], words[3:])
    elif name == "systemctl":
        systemctl(root, words)


def clone(place: Path) -> None:
    for name in COPIED:
        if (CHECKOUT / name).is_dir():
            shutil.copytree(CHECKOUT / name, place / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(CHECKOUT / name, place)


def systemctl(root: Path, words: list[str]) -> None:
    verb, units = words[0], [word for word in words[1:] if not word.startswith("--")]
    for unit in units:
        template, _, instance = unit.removesuffix(".service").partition("@")
        file = root / "etc/systemd/system" / (f"{template}@.service" if instance else unit)
        if verb == "stop":
            stop(root, unit)
        elif file.suffix == ".service":
            start(root, unit, file, instance)
        elif not file.exists():
            sys.exit(f"There is no unit {file}.")


def start(root: Path, unit: str, file: Path, instance: str) -> None:
    """Run a unit: to its end, or until it answers on the port that is its instance."""
    text = below(root, file.read_text()).replace("%i", instance)
    service: dict[str, list[str]] = {}
    for key, value in re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE):
        service.setdefault(key, []).append(value)
    [place], [command] = service["WorkingDirectory"], service["ExecStart"]
    settings = Path(service["EnvironmentFile"][0].lstrip("-")).read_text().splitlines()
    environ = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "PYTHONPATH": place}
    environ |= dict(line.split("=", 1) for line in [*service["Environment"], *settings])
    for line in service.get("ExecStartPre", []):
        subprocess.run(line.split(), cwd=place, env=environ, check=True)
    if service.get("Type") == ["oneshot"]:
        subprocess.run(command.split(), cwd=place, env=environ, check=True)
        return
    log = (root / "server.log").open("a")
    server = subprocess.Popen(command.split(), cwd=place, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    (root / f"{unit}.pid").write_text(str(server.pid))
    await_port(int(instance), server)


def await_port(port: int, server: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + SECONDS
    while server.poll() is None and time.monotonic() < end:
        with suppress(OSError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5).close()
            return
        with suppress(subprocess.TimeoutExpired):
            server.wait(0.1)
    sys.exit("The server did not start.")


def stop(root: Path, unit: str) -> None:
    number = root / f"{unit}.pid"
    with suppress(ProcessLookupError):
        server = os.pidfd_open(int(number.read_text()))
        signal.pidfd_send_signal(server, signal.SIGINT)
        select.select([server], [], [], SECONDS)  # readable once the process has ended
        os.close(server)
    number.unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
