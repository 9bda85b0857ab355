"""The sandbox: whatever a task does in its worker, the caller gets an answer or a refusal in time, and the
next job works."""

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from medfiles.errors import StorageError
from medfiles.sandbox.output import Output
from medfiles.sandbox.pool import (
    PACKAGE,
    SPARE_AT,
    Busy,
    Limits,
    Sandbox,
    TimedOut,
    WorkerDied,
    WorkerUnavailable,
    command,
)

TASKS = """
import ctypes, mmap, os, socket, subprocess, sys, threading, time

def spin():
    while True: pass

def burn(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end: pass
    return {}

def read(path):
    with open(path) as file:
        return {"text": file.read()}

def write(path):
    with open(path, "w") as file:
        file.write("x")

def fill(output):
    with mmap.mmap(output.fileno(), 0) as room:
        room[:5] = b"drawn"
        return {"room": len(room)}

def thread():
    ran = []
    worker = threading.Thread(target=ran.append, args=(1,))
    worker.start()
    worker.join()
    return {"ran": ran}

TASKS = {
    "pid": lambda: {"pid": os.getpid()},
    "echo": lambda **arguments: arguments,
    "first": lambda file: {"line": file.readline().decode()},
    "fill": fill,
    "grow": lambda output: {"written": output.seek(0, 2) and output.write(b"x") and output.flush()},
    "about": lambda: {"environment": dict(os.environ), "folder": os.getcwd(),
                      "modules": sorted(sys.modules)},
    "crash": lambda: ctypes.string_at(0),
    "fail": lambda: {}["missing"],
    "spin": spin,
    "hang": lambda: time.sleep(60),
    "eat": lambda: {"size": len(bytearray(3 * 1024**3))},
    "exit": lambda: os._exit(0),
    "socket": lambda: {"socket": socket.socket(socket.AF_INET, socket.SOCK_STREAM).fileno()},
    "datagram": lambda: {"socket": socket.socket(socket.AF_INET, socket.SOCK_DGRAM).fileno()},
    "fork": lambda: {"pid": os.fork() or os._exit(0)},
    "program": lambda: {"status": subprocess.call(["/bin/true"])},
    "signal": lambda: {"sent": os.kill(os.getppid(), 0)},
    "burn": burn,
    "dawdle": lambda: time.sleep(0.5) or {"late": True},
    "read": read,
    "write": write,
    "remove": lambda path: os.unlink(path),
    "open many": lambda: [os.dup(0) for _ in range(70)] and {},
    "shout": lambda: {"text": "x" * 5_000_000},
    "thread": thread,
    "garbage": lambda: os.write(0, b"not json\\n"),
    "nothing": lambda: os.write(0, b"{}\\n") and time.sleep(60),
    "list": lambda: os.write(0, b"[1]\\n") and time.sleep(60),
    "nested": lambda: os.write(0, b"[" * 100_000 + b"\\n") and time.sleep(60),
}
"""
PARENT = f"""
import sys
sys.path.insert(0, {str(PACKAGE.parent)!r})
from medfiles.sandbox.pool import Limits, Sandbox
sandbox = Sandbox(workers=1, tasks=(sys.argv[1],), limits=Limits(wall=60, cpu=1))
"""


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("tasks") / "misbehaviour.py"
    path.write_text(TASKS)
    return str(path)


@contextlib.contextmanager
def sandboxed(tasks: str, workers: int = 1, **limits: Any) -> Iterator[Sandbox]:
    sandbox = Sandbox(workers, (tasks,), Limits(**limits))
    with contextlib.closing(sandbox):
        yield sandbox


@pytest.fixture(scope="module")
def shared(tasks: str) -> Iterator[Sandbox]:
    """With the usual limits. A worker that dies is replaced for the next test."""
    with sandboxed(tasks) as sandbox:
        yield sandbox


def pid_of(sandbox: Sandbox) -> int:
    return int(sandbox.run("pid")["pid"])


class InterruptedWait(Exception):
    """As when a server tells its thread to stop."""


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def ended(pid: int, within: float) -> bool:
    """Also for a process that is not our child."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    with open(handle, "rb") as process:
        return bool(select.select([process], [], [], within)[0])


@contextlib.contextmanager
def parent(tasks: str, does: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([sys.executable, "-c", PARENT + does, tasks], stdout=subprocess.PIPE, text=True)
    with process:
        try:
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[str]) -> int:
    assert process.stdout
    return int(process.stdout.readline())


def test_arguments_and_answers_travel_as_json(shared: Sandbox) -> None:
    for words in (["Größe", None], "x" * 1_000_000):
        assert shared.run("echo", number=1, words=words) == {"number": 1, "words": words}


def test_a_path_arrives_as_an_open_file(shared: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "result.txt"
    path.write_text("first\nsecond\n")
    assert shared.run("first", file=path) == {"line": "first\n"}


def test_a_missing_path_is_the_stores_error_and_costs_no_worker(shared: Sandbox, tmp_path: Path) -> None:
    pid = pid_of(shared)
    with pytest.raises(StorageError):
        shared.run("first", file=tmp_path / "absent")
    assert pid_of(shared) == pid


def test_an_output_is_a_new_file_that_the_task_fills(shared: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "picture"
    assert shared.run("fill", output=Output(path, 100_000)) == {"room": 100_000}
    assert path.read_bytes() == b"drawn" + bytes(99_995)


def test_an_output_does_not_grow(shared: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "picture"
    with pytest.raises(WorkerDied):
        shared.run("grow", output=Output(path, 10))
    assert path.stat().st_size == 10


def test_an_output_replaces_no_file_and_needs_room(shared: Sandbox, tmp_path: Path) -> None:
    kept, pid = tmp_path / "kept", pid_of(shared)
    kept.write_text("kept")
    for output in (Output(kept, 10), Output(tmp_path / "vast", 1 << 60), Output(tmp_path / "none" / "here", 10)):
        with pytest.raises(StorageError):
            shared.run("fill", output=output)
    assert kept.read_text() == "kept"
    assert pid_of(shared) == pid


def test_no_process_is_started_before_the_first_job(tmp_path: Path) -> None:
    marking = tmp_path / "marking.py"
    marking.write_text("from pathlib import Path\nPath(__file__).with_name('started').touch()\nTASKS = {'do': dict}")
    with sandboxed(str(marking)) as sandbox:
        assert not (tmp_path / "started").exists()
        sandbox.run("do")
    assert (tmp_path / "started").exists()


def test_a_worker_is_reused_for_a_thousand_files_and_then_replaced(tasks: str) -> None:
    with sandboxed(tasks) as sandbox:
        pids = [pid_of(sandbox) for _ in range(1001)]
    assert len(set(pids[:1000])) == 1
    assert pids[1000] != pids[999]
    assert not exists(pids[999])


def test_a_worker_stands_back_as_far_as_its_limits_say(tasks: str) -> None:
    for nice in (0, 7):
        with sandboxed(tasks, nice=nice) as sandbox:
            own = os.getpriority(os.PRIO_PROCESS, 0)
            assert os.getpriority(os.PRIO_PROCESS, pid_of(sandbox)) == min(own + nice, 19)


def test_the_worker_has_no_environment_and_no_folder_of_ours(shared: Sandbox) -> None:
    about = shared.run("about")
    assert set(about["environment"]) <= {"LC_CTYPE", "OPENBLAS_NUM_THREADS"}
    assert about["folder"] == "/"


def test_the_worker_never_loads_the_web_application(shared: Sandbox) -> None:
    assert not {"flask", "sqlalchemy", "medfiles.errors"} & set(shared.run("about")["modules"])


@pytest.mark.parametrize(
    "task",
    [
        "crash",
        "fail",
        "eat",
        "exit",
        "socket",
        "datagram",
        "fork",
        "program",
        "signal",
        "open many",
        "garbage",
        "nothing",
        "list",
        "nested",
    ],
)
def test_a_worker_that_does_what_it_must_not_dies_and_the_next_job_works(shared: Sandbox, task: str) -> None:
    pid = pid_of(shared)
    with pytest.raises(WorkerDied, match="could not be checked safely, so it was not stored"):
        shared.run(task)
    assert not exists(pid)
    assert pid_of(shared) != pid


@pytest.mark.parametrize(("task", "limits"), [("hang", {"wall": 0.2}), ("spin", {"cpu": 1, "wall": 60})])
def test_worker_over_its_limit_is_killed_and_the_next_job_works(tasks: str, task: str, limits: dict[str, Any]) -> None:
    with sandboxed(tasks, **limits) as sandbox:
        pid = pid_of(sandbox)
        with pytest.raises(TimedOut, match="took too long"):
            sandbox.run(task)
        assert not exists(pid)
        assert pid_of(sandbox) != pid


def test_kernel_ends_a_worker_that_used_up_its_processor_time(tasks: str, caplog: pytest.LogCaptureFixture) -> None:
    with sandboxed(tasks, cpu=1, wall=60) as sandbox, pytest.raises(TimedOut):
        sandbox.run("spin")
    assert f"task=spin status=-{signal.SIGXCPU.value} " in caplog.text


def test_each_job_has_processor_time_of_its_own(tasks: str) -> None:
    with sandboxed(tasks, cpu=1) as sandbox:
        pid = pid_of(sandbox)
        assert [sandbox.run("burn", seconds=0.5) for _ in range(4)] == [{}] * 4
        assert pid_of(sandbox) == pid


def test_no_file_can_be_read_but_the_one_that_was_handed_over(shared: Sandbox, tmp_path: Path) -> None:
    secret = tmp_path / "secret_key"
    secret.write_text("do not read")
    pid_of(shared)
    with pytest.raises(WorkerDied):
        shared.run("read", path=str(secret))


def test_no_file_can_be_written(shared: Sandbox, tmp_path: Path) -> None:
    with pytest.raises(WorkerDied):
        shared.run("write", path=str(tmp_path / "new"))
    assert list(tmp_path.iterdir()) == []


def test_no_file_can_be_removed(shared: Sandbox, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.touch()
    with pytest.raises(WorkerDied):
        shared.run("remove", path=str(kept))
    assert kept.exists()


def test_threads_are_allowed_because_decoders_use_them(shared: Sandbox) -> None:
    assert shared.run("thread") == {"ran": [1]}


def test_an_answer_beyond_the_limit_is_not_collected(tasks: str) -> None:
    with sandboxed(tasks, answer=1_000_000) as sandbox, pytest.raises(WorkerDied):
        sandbox.run("shout")


def test_a_worker_found_dead_is_replaced_before_it_gets_a_job(tasks: str) -> None:
    with sandboxed(tasks) as sandbox:
        pid = pid_of(sandbox)
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        assert pid_of(sandbox) != pid


def test_a_worker_that_does_not_start_says_nothing_about_a_file(tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("raise ValueError")
    with sandboxed(str(broken)) as sandbox, pytest.raises(WorkerUnavailable, match="right now"):
        sandbox.run("pid")


def test_a_worker_that_starts_slowly_says_nothing_about_a_file(tasks: str) -> None:
    with sandboxed(tasks, start=0.001) as sandbox, pytest.raises(WorkerUnavailable):
        sandbox.run("pid")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP])
def test_a_worker_killed_or_stopped_from_outside_says_nothing_about_a_file(tasks: str, number: signal.Signals) -> None:
    with sandboxed(tasks, wall=3) as sandbox:
        pid = pid_of(sandbox)
        threading.Timer(0.3, os.kill, (pid, number)).start()
        with pytest.raises(WorkerUnavailable):
            sandbox.run("hang")
        assert not exists(pid)
        assert pid_of(sandbox) != pid


def test_concurrent_callers_share_the_workers_and_each_gets_its_own_answer(tasks: str) -> None:
    with sandboxed(tasks, workers=2) as sandbox, ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda number: sandbox.run("echo", number=number)["number"], range(400)))
        workers = set(pool.map(lambda _: pid_of(sandbox), range(50)))
    assert answers == list(range(400))
    assert len(workers) <= 2 + 1  # one of them may reach its hundredth job on the way


def test_a_crash_beside_other_callers_hurts_only_its_own(tasks: str) -> None:
    def attempt(number: int) -> str:
        try:
            return str(sandbox.run(*["crash"] if number % 5 == 0 else ["pid"]).keys())
        except WorkerDied:
            return "died"

    with sandboxed(tasks, workers=2) as sandbox, ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(attempt, range(20)))
    assert [place for place, outcome in enumerate(outcomes) if outcome == "died"] == [0, 5, 10, 15]


def test_an_answer_nobody_waited_for_is_never_given_to_the_next_caller(tasks: str) -> None:
    def give_up(*_: object) -> None:
        raise InterruptedWait

    before = signal.signal(signal.SIGALRM, give_up)
    with sandboxed(tasks) as sandbox:
        pid_of(sandbox)
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(InterruptedWait):
            sandbox.run("dawdle")
        assert sandbox.run("echo", number=1) == {"number": 1}
    signal.signal(signal.SIGALRM, before)


def test_a_caller_waits_only_so_long_for_a_free_worker(tasks: str) -> None:
    with sandboxed(tasks, workers=0, queue=0.01) as sandbox, pytest.raises(Busy, match="try again"):
        sandbox.run("pid")


def test_close_ends_the_workers(tasks: str) -> None:
    with sandboxed(tasks) as sandbox:
        pid = pid_of(sandbox)
    assert not exists(pid)


def test_close_waits_for_the_present_job(tasks: str) -> None:
    with sandboxed(tasks, wall=0.3) as sandbox:
        pid = pid_of(sandbox)
        caller = threading.Thread(target=lambda: pytest.raises(TimedOut, sandbox.run, "hang"))
        caller.start()
    caller.join()
    assert not exists(pid)


def test_an_idle_worker_ends_with_its_parent(tasks: str) -> None:
    with parent(tasks, "print(sandbox.run('pid')['pid'], flush=True)\nsys.stdin.read()") as process:
        worker = said(process)
        process.kill()
        assert ended(worker, within=5)


def test_a_busy_worker_outlives_its_parent_by_its_limits_at_most(tasks: str) -> None:
    with parent(tasks, "print(sandbox.run('pid')['pid'], flush=True)\nsandbox.run('spin')") as process:
        worker = said(process)
        process.kill()
        assert ended(worker, within=50)  # a second of CPU time takes longer beside other work; `wall` would be 60


def test_a_forked_process_starts_workers_of_its_own(tasks: str) -> None:
    does = (
        "import os\nprint(sandbox.run('pid')['pid'], flush=True)\nif os.fork() == 0:\n"
        "    print(sandbox.run('pid')['pid'], flush=True)\n    sandbox.close()\n    os._exit(0)\n"
        "os.wait()\nprint(sandbox.run('pid')['pid'], flush=True)\nsandbox.close()"
    )
    with parent(tasks, does) as process:
        before, forked, after = said(process), said(process), said(process)
    assert before == after != forked


def test_a_stuck_worker_ends_itself_when_nobody_can_end_it(tasks: str) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        process = subprocess.Popen(
            command([tasks], Limits(wall=-0.8)),  # it allows itself one second more
            stdin=theirs.fileno(),
            stderr=subprocess.DEVNULL,
        )
        ours.recv(4096)
        ours.sendall(b'{"task": "hang", "arguments": {}, "files": [], "outputs": []}\n')
        assert process.wait(timeout=5) == -signal.SIGALRM


def test_the_next_worker_is_there_before_the_last_is_worn_out(tasks: str) -> None:
    sandbox = Sandbox(1, [tasks], Limits(jobs=SPARE_AT + 2))
    first = [sandbox.run("pid")["pid"] for _ in range(SPARE_AT + 2)]
    for thread in sandbox._starting:
        thread.join()
    started = sandbox._spares.qsize()
    second = sandbox.run("pid")["pid"]
    assert (len(set(first)), started, second in first, sandbox._spares.qsize()) == (1, 1, False, 0)
    sandbox.close()
