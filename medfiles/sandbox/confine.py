"""Drop a worker's privileges: resource limits, Landlock and seccomp.

Resource limits apply everywhere. On Linux, Landlock leaves only Python's own files readable and none writable,
and seccomp kills the process when it opens a socket or starts another process.
"""

import contextlib
import ctypes
import math
import os
import platform
import resource
import struct
import sys
import sysconfig

NO_NEW_PRIVILEGES, SET_SECCOMP, SECCOMP_FILTER = 38, 22, 2
KILL, ALLOW, UNKNOWN_CALL = 0x80000000, 0x7FFF0000, 0x00050000 | 38
CLONE_THREAD = 0x10000
LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT = 444, 445, 446
READ_FILES_AND_FOLDERS = 0b1100
RIGHTS_BY_VERSION = {1: 13, 2: 14, 3: 15, 4: 15}
LOAD, EQUALS, ANY_BIT, AT_LEAST, RETURN = 0x20, 0x15, 0x45, 0x35, 0x06
CALL_NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16

# architecture -> its audit number, clone, clone3, forbidden calls: sockets, processes, tracing
CALLS = {
    "x86_64": (
        0xC000003E,
        56,
        435,
        (41, 42, 49, 50, 53, 57, 58, 59, 62, 101, 200, 304, 310, 311, 322, 425, 434),
    ),
    "aarch64": (
        0xC00000B7,
        220,
        435,
        (117, 129, 130, 198, 199, 200, 201, 203, 221, 265, 270, 271, 281, 425, 434),
    ),
}


def confine(package: str, memory: int, handles: int) -> None:
    """Drop privileges for good; `memory` in bytes, `handles` open files."""
    limit_resources(memory, handles)
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        restrict_files(libc, [package, *sysconfig.get_paths().values()])
        restrict_system_calls(libc)


def limit_resources(memory: int, handles: int) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (handles, handles))
    with contextlib.suppress(ValueError, OSError):  # macOS knows the name but not the limit
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


def allow_cpu(seconds: int) -> None:
    """Allow so many more seconds: RLIMIT_CPU counts over the process's whole life."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(used.ru_utime + used.ru_stime) + seconds, hard))


def restrict_files(libc: ctypes.CDLL, readable: list[str]) -> None:
    version = libc.syscall(LANDLOCK_CREATE, None, ctypes.c_size_t(0), 1)
    if version < 1:
        return
    rights = (1 << RIGHTS_BY_VERSION.get(version, 16)) - 1
    network, scopes = (3 if version >= 4 else 0), (3 if version >= 6 else 0)
    attributes = struct.pack("QQQ", rights, network, scopes)[: 24 if version >= 6 else 16 if version >= 4 else 8]
    rules = libc.syscall(LANDLOCK_CREATE, attributes, ctypes.c_size_t(len(attributes)), 0)
    for folder in filter(os.path.isdir, readable):
        allow_reading(libc, rules, folder)
    libc.syscall(LANDLOCK_RESTRICT, rules, 0)
    os.close(rules)


def allow_reading(libc: ctypes.CDLL, rules: int, folder: str) -> None:
    handle = os.open(folder, os.O_PATH | os.O_CLOEXEC)
    libc.syscall(LANDLOCK_ADD, rules, 1, struct.pack("=Qi", READ_FILES_AND_FOLDERS, handle), 0)
    os.close(handle)


def restrict_system_calls(libc: ctypes.CDLL) -> None:
    if platform.machine() in CALLS:
        code = b"".join(struct.pack("HBBI", *step) for step in filter_program(*CALLS[platform.machine()]))
        steps = ctypes.create_string_buffer(code, len(code))
        header = struct.pack("HP", len(code) // 8, ctypes.addressof(steps))
        libc.prctl(SET_SECCOMP, SECCOMP_FILTER, ctypes.c_char_p(header), 0, 0)


def filter_program(
    architecture: int, clone: int, clone3: int, forbidden: tuple[int, ...]
) -> list[tuple[int, int, int, int]]:
    """Build a classic BPF program: (operation, jump if true, jump if false, value).

    Threads are allowed, since decoders use them; processes are not. clone3 hides its flags behind a pointer, which BPF
    cannot follow, so it is reported as not implemented and the C library falls back to clone.
    """
    return [
        (LOAD, 0, 0, ARCHITECTURE),
        (EQUALS, 1, 0, architecture),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, CALL_NUMBER),
        (AT_LEAST, 0, 1, 0x40000000),
        (RETURN, 0, 0, KILL),
        *(step for call in forbidden for step in ((EQUALS, 0, 1, call), (RETURN, 0, 0, KILL))),
        (EQUALS, 0, 1, clone3),
        (RETURN, 0, 0, UNKNOWN_CALL),
        (EQUALS, 0, 3, clone),
        (LOAD, 0, 0, FIRST_ARGUMENT),
        (ANY_BIT, 1, 0, CLONE_THREAD),
        (RETURN, 0, 0, KILL),
        (RETURN, 0, 0, ALLOW),
    ]
