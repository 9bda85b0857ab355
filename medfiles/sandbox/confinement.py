"""Irreversibly drop a worker's privileges, in independent layers.

Resource limits apply on every platform. On Linux, `no_new_privs` makes set-user-id programs useless, Landlock blocks
access to files, and seccomp allows only the system calls needed to decode bytes. Each layer reports whether it is
active, so that a missing one is never overlooked.
"""

import ctypes
import math
import os
import platform
import resource
import struct
import sys
from collections.abc import Callable

from medfiles.sandbox.system_calls import MACHINES, SECCOMP, filter_program

NO_NEW_PRIVILEGES = 38  # prctl
FILTER, ALL_THREADS = 1, 1  # seccomp: set a filter, for all threads
CREATE_RULESET, RESTRICT_SELF, REPORT_VERSION = 444, 446, 1
FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}  # Landlock version -> number of file access rights; 16 since version 5
NETWORK_RIGHTS, SCOPES = 0b11, 0b11  # TCP bind and connect since version 4; abstract sockets and signals since 6

Layers = dict[str, str]  # name -> "" if active, otherwise why it is missing


class Missing(Exception):
    """A layer is not available. The argument says why."""


def confine(memory: int, handles: int, landlock_version: int | None = None) -> Layers:
    """Drop privileges. `memory` is a limit in bytes, and `handles` a limit on open files.

    `landlock_version` overrides the version that the kernel reports; 0 stands for a kernel without Landlock.
    """
    layers: dict[str, Callable[[], None]] = {
        "resource-limits": lambda: limit_resources(memory, handles),
        "no-new-privileges": forbid_new_privileges,
        "landlock": lambda: restrict_files(landlock_version),
        "seccomp": restrict_system_calls,
    }
    return {name: activate(layer) for name, layer in layers.items()}


def activate(layer: Callable[[], None]) -> str:
    try:
        layer()
    except (Missing, OSError, ValueError) as error:
        return str(error)
    return ""


def limit_resources(memory: int, handles: int) -> None:
    limits = {"CORE": 0, "FSIZE": 0, "NOFILE": handles, "AS": memory}
    for name, most in limits.items():
        kind = getattr(resource, f"RLIMIT_{name}")
        _, hard = resource.getrlimit(kind)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))


def allow_cpu(seconds: int) -> None:
    """Allow this many more seconds of CPU time. RLIMIT_CPU covers the whole lifetime of the process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(used.ru_utime + used.ru_stime) + seconds, hard))


def forbid_new_privileges() -> None:
    _check(_libc().prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0))


def restrict_files(version: int | None) -> None:
    """Forbid every kind of access that this version of Landlock can restrict, above all to files."""
    libc = _libc()
    if version is None:
        version = _check(libc.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), REPORT_VERSION))
    if version < 1:
        raise Missing("Landlock is not available")
    rights = (1 << FILE_RIGHTS.get(version, 16)) - 1
    attributes = struct.pack("Q", rights)
    if version >= 4:
        attributes += struct.pack("Q", NETWORK_RIGHTS)
    if version >= 6:
        attributes += struct.pack("Q", SCOPES)
    rules = _check(libc.syscall(CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0))
    _check(libc.syscall(RESTRICT_SELF, rules, 0))
    os.close(rules)


def restrict_system_calls() -> None:
    libc, machine = _libc(), os.uname().machine
    if machine not in MACHINES or struct.calcsize("P") != 8:
        raise Missing(f"not implemented for {machine}, {platform.architecture()[0]}")
    code = filter_program(machine, os.getpid())
    steps = ctypes.create_string_buffer(code, len(code))
    header = struct.pack("HP", len(code) // 8, ctypes.addressof(steps))
    call = SECCOMP[MACHINES[machine][0]]
    if thread := _check(libc.syscall(call, FILTER, ALL_THREADS, ctypes.c_char_p(header))):
        raise Missing(f"thread {thread} has a filter of its own")


def _libc() -> ctypes.CDLL:
    if sys.platform != "linux":
        raise Missing("only available on Linux")
    return ctypes.CDLL(None, use_errno=True)


def _check(result: int) -> int:
    """Return the result of a call. Raises `Missing` with the error if the call failed."""
    if result < 0:
        raise Missing(os.strerror(ctypes.get_errno()))
    return result
