"""The confinement of a worker: hostile calls are turned away, honest work goes through, a missing layer is reported."""

import contextlib
import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from medfiles.previews import renderer
from medfiles.sandbox import confinement, system_calls
from medfiles.sandbox.media_types import BY_EXTENSION
from medfiles.sandbox.output import Output
from medfiles.sandbox.pool import (
    INSPECTION,
    INSPECTION_LIMITS,
    PACKAGE,
    Limits,
    Sandbox,
    WorkerDied,
    WorkerUnavailable,
    missing_layers,
)
from medfiles.smart_links import story
from tests.sandbox import hostile_calls
from tests.sandbox.hostile_calls import ATTACKS, COLUMN, FILES, TURNED_AWAY, Victim, possible
from tests.support import samples

CALLS = str(Path(hostile_calls.__file__))
LANDLOCK = (None, 0, 1, 2, 3)  # as the kernel reports it, absent, early versions
LAYERS = {"resource-limits", "no-new-privileges", "landlock", "seccomp"}
NAMED = ("kill", "tgkill", "prlimit64", "unshare", "keyctl", "shmget", "socket", "execveat", "io_uring_setup")
DICOM = ("CT_small.dcm", "JPEG2000.dcm", "MR_small_RLE.dcm", "SC_rgb_jpeg_dcmtk.dcm", "MR_small_jpeg_ls_lossless.dcm")
THREADED = """
import errno, os, threading
asked, outcome = threading.Event(), []
def attempt():
    asked.wait()
    try:
        os.open("/", os.O_RDONLY)
        outcome.append("done")
    except OSError as error:
        outcome.append(errno.errorcode[error.errno])
thread = threading.Thread(target=attempt, daemon=True)
thread.start()
def ask():
    asked.set()
    thread.join()
    return {"outcome": outcome[0]}
TASKS = {"ask": ask}
"""
RECORDING = """
import sys
names = []
class Recorder:
    def find_spec(self, name, path=None, target=None):
        names.append(name)
sys.meta_path.insert(0, Recorder())
TASKS = {"late imports": lambda: {"names": names}}
"""


@contextlib.contextmanager
def running(*tasks: str, limits: Limits = INSPECTION_LIMITS) -> Iterator[Sandbox]:
    sandbox = Sandbox(1, tasks, limits)
    with contextlib.closing(sandbox):
        yield sandbox


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Victim]:
    with contextlib.closing(Victim(tmp_path)) as found:
        yield found


def attempt(sandbox: Sandbox, attack: str, victim: Victim) -> str:
    where = {"document": str(victim.document), "pid": victim.process.pid, "file": victim.document}
    try:
        return str(sandbox.run("attempt", attack=attack, **where)["outcome"])
    except WorkerDied:
        return "killed"


@pytest.mark.parametrize("landlock", LANDLOCK)
def test_hostile_calls_are_turned_away_and_harm_nothing(landlock: int | None) -> None:
    command = [sys.executable, "-I", CALLS, str(PACKAGE.parent), json.dumps(landlock)]
    outcomes = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=300).stdout)
    assert {attack: outcome for attack, outcome in outcomes.items() if outcome not in TURNED_AWAY} == {}
    assert outcomes.keys() == set(possible())


@pytest.mark.parametrize("landlock", LANDLOCK)
def test_a_worker_turns_them_away_too(landlock: int | None, victim: Victim) -> None:
    before = victim.state()
    with running(CALLS, limits=Limits(landlock=landlock)) as sandbox:
        attacks = (*FILES, *(NAMED if landlock == 0 else ()))
        outcomes = {attack: attempt(sandbox, attack, victim) for attack in possible() if attack in attacks}
    assert {attack: outcome for attack, outcome in outcomes.items() if outcome not in TURNED_AWAY} == {}
    assert victim.state() == before


def test_threads_that_a_library_started_early_are_confined(tmp_path: Path) -> None:
    tasks = tmp_path / "threaded.py"
    tasks.write_text(THREADED)
    with running(str(tasks), limits=Limits(landlock=0)) as sandbox:
        assert sandbox.run("ask") == {"outcome": "EACCES"}


def verdict(machine: str, number: int, *arguments: int, architecture: int | None = None) -> int:
    """Run the filter as the kernel does."""
    architecture = system_calls.MACHINES[machine][1] if architecture is None else architecture
    data = struct.pack("iIQ6Q", number, architecture, 0, *(value % 2**64 for value in (*arguments, *[0] * 6)[:6]))
    steps = list(struct.iter_unpack("HBBI", system_calls.filter_program(machine, os.getpid())))
    place = loaded = 0
    while True:
        operation, if_true, if_false, value = steps[place]
        if operation == system_calls.RETURN:
            return int(value)
        if operation == system_calls.LOAD:
            loaded, jump = struct.unpack_from("I", data, value)[0], 0
        else:
            holds = loaded == value if operation == system_calls.EQUALS else loaded >= value
            jump = if_true if holds else if_false
        place += 1 + jump


@pytest.mark.parametrize("machine", COLUMN)
def test_the_filter_allows_no_hostile_call_on_any_machine(machine: str) -> None:
    allowed = []
    for attack in possible(machine):
        arguments = [value if isinstance(value, int) else 4_000_000 for value in ATTACKS[attack][2:]]
        if verdict(machine, ATTACKS[attack][COLUMN[machine]], *arguments) == system_calls.ALLOW:
            allowed.append(attack)
    assert allowed == []


@pytest.mark.parametrize(
    ("call", "numbers", "arguments"),
    [
        ("read", (0, 63), [5]),
        ("futex", (202, 98), []),
        ("clone in glibc", (56, 220), [0x3D0F00]),
        ("clone in musl", (56, 220), [0x7D0F00]),
        ("tgkill of oneself", (234, 131), [os.getpid()]),
        ("prlimit64 of oneself", (302, 261), [0, 0]),
        ("fcntl F_DUPFD_CLOEXEC", (72, 25), [5, 1030]),
        ("ioctl FIONBIO", (16, 29), [5, 0x5421]),
        ("prctl PR_SET_NAME", (157, 167), [15]),
        ("fstat in glibc", (262, 79), [5, 1, 1, 0x1000]),
    ],
)
@pytest.mark.parametrize("machine", COLUMN)
def test_the_filter_allows_what_c_libraries_need(
    machine: str, call: str, numbers: tuple[int, int], arguments: list[int]
) -> None:
    assert verdict(machine, numbers[COLUMN[machine]], *arguments) == system_calls.ALLOW, call


def test_a_newer_call_looks_as_if_the_kernel_did_not_have_it() -> None:
    clone3, statx, of_tomorrow = 435, 332, 999
    assert {verdict("x86_64", call) for call in (clone3, statx, of_tomorrow)} == {system_calls.NO_SUCH_CALL}


def test_calls_of_another_architecture_end_the_process() -> None:
    i386, read = 0x40000003, 3
    assert verdict("x86_64", read, architecture=i386) == system_calls.KILL


def documents() -> dict[str, bytes]:
    """Return a file of each format and of the variants that libraries load code for on use, damaged ones included."""
    photo, movie = samples.picture(), BytesIO()
    photo.save(movie, "MPO", save_all=True, append_images=[samples.picture()])
    made = {
        ".pdf": samples.pdf(),
        ".jpg": samples.jpeg(),
        "mpo.jpg": movie.getvalue(),
        ".png": samples.png(),
        ".tiff": samples.tiff(2),
        "lzw.tiff": samples.encoded(photo, "TIFF", compression="tiff_lzw"),
        "cmyk.tiff": samples.encoded(photo.convert("CMYK"), "TIFF", compression="jpeg"),
        ".bmp": samples.bmp(),
        ".gif": samples.gif(2),
        ".heic": samples.heic(),
        ".txt": samples.txt(),
        "greek.txt": "Γλυκόζη 5,1".encode("cp1253"),
        "japanese.txt": "血糖値は正常です。三か月後に再検査".encode("cp932"),
        "other.txt": "Glükoz açlık şekeri düşük ğ".encode("iso8859-9") * 20,
        ".csv": samples.csv(),
        ".json": samples.json(),
        ".xml": samples.xml(),
        ".docx": samples.docx(),
        ".xlsx": samples.xlsx(),
        ".doc": samples.doc(),
        ".xls": samples.xls(),
    }
    made |= {f"broken{name}": content[: len(content) // 2] for name, content in made.items()}
    return made | {name: samples.dicom(name) for name in DICOM}


@pytest.mark.parametrize("landlock", [None, 0])
@pytest.mark.parametrize(("tasks", "limits"), [(INSPECTION, INSPECTION_LIMITS), (renderer.TASKS, renderer.LIMITS)])
def test_every_format_goes_through_and_nothing_is_imported_after_the_start(
    landlock: int | None, tasks: tuple[str, ...], limits: Limits, tmp_path: Path
) -> None:
    recording, document, kinds = tmp_path / "recording.py", tmp_path / "document", {}
    recording.write_text(RECORDING)
    patient = replace(limits, landlock=landlock, start=300, wall=300)
    with running(*tasks, str(recording), limits=patient) as sandbox:
        before = sandbox.run("late imports")["names"]
        for name, content in documents().items():
            document.write_bytes(content)
            extension = Path(f"x{name}").suffix
            if tasks == INSPECTION:
                kinds[name] = sandbox.run("inspect", file=document, extension=extension).get("media_type")
            else:
                about = {"file": document, "media_type": BY_EXTENSION[extension].name}
                kinds[name] = sandbox.run("look", **about)["kind"].replace("none", "") or None
                sandbox.run("picture", **about, page=1, width=480)
        assert sandbox.run("late imports")["names"] == before
    unreadable = {name for name, kind in kinds.items() if kind is None}
    assert {name for name in unreadable if not name.startswith("broken")} - {".doc", ".xls"} == set()


def test_every_format_becomes_a_pdf_and_nothing_is_imported_after_the_start(tmp_path: Path) -> None:
    recording, document = tmp_path / "recording.py", tmp_path / "document"
    recording.write_text(RECORDING)
    patient = replace(renderer.LIMITS, start=300, wall=300)
    with running(*story.TASKS, str(recording), limits=patient) as sandbox:
        before = sandbox.run("late imports")["names"]
        for number, (name, content) in enumerate(documents().items()):
            document.write_bytes(content)
            row = BY_EXTENSION[Path(f"x{name}").suffix]
            if row.previewer == "pdf":
                sandbox.run("measure", file=document)
            elif row.previewer != "dicom":
                task, output = "draw" if row.previewer == "image" else "words", Output(tmp_path / str(number), 1 << 24)
                sandbox.run(task, file=document, media_type=row.name, output=output)
        assert sandbox.run("late imports")["names"] == before


def test_a_worker_reports_its_layers() -> None:
    with running() as sandbox:
        assert sandbox.layers() == dict.fromkeys(LAYERS, "")
    with running(limits=Limits(landlock=0)) as sandbox:
        assert missing_layers(sandbox.layers()) == {"landlock": "Landlock is not available"}


def test_asking_for_the_layers_leaves_no_process(tmp_path: Path) -> None:
    with running() as sandbox:
        sandbox.layers()
        assert sandbox._slots.queue == [None]


def test_where_all_layers_are_required_an_incomplete_worker_gets_no_file(tmp_path: Path) -> None:
    document = tmp_path / "letter.txt"
    document.write_text("Fasting glucose 5.1")
    limits = replace(INSPECTION_LIMITS, require_confinement=True)
    with running(*INSPECTION, limits=limits) as sandbox:
        assert sandbox.run("inspect", file=document, extension=".txt")["media_type"] == "text/plain"
    with running(*INSPECTION, limits=replace(limits, landlock=0)) as sandbox, pytest.raises(WorkerUnavailable):
        sandbox.run("inspect", file=document, extension=".txt")


class Refusing:
    """A C library all of whose calls fail."""

    def prctl(self, *_: Any) -> int:
        return -1

    syscall = prctl


@pytest.mark.parametrize(
    "layer",
    [confinement.forbid_new_privileges, confinement.restrict_system_calls, lambda: confinement.restrict_files(3)],
)
def test_a_call_that_fails_is_reported(layer: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confinement, "_libc", Refusing)
    assert confinement.activate(layer)


def test_another_machine_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "uname", lambda: type("Uname", (), {"machine": "riscv64"}))
    assert "riscv64" in confinement.activate(confinement.restrict_system_calls)


def test_another_system_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert confinement.activate(confinement.forbid_new_privileges) == "only available on Linux"
