"""What a decoder that was taken over could ask of the kernel: hostile system calls, made under the real confinement.

As a program, it makes each call in a process of its own and prints what happened. As a task, it makes some of them in
a worker. Arguments are chosen so that a call that is let through does no harm to the machine, only to its victims.
"""

import ctypes
import errno
import importlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

Attacks = dict[str, tuple[Any, ...]]  # number on x86-64, on ARM64 (None: not there), arguments

# fmt: off
FILES: Attacks = {
    "open": (2, None, "path", 0), "openat": (257, 56, -100, "path", 0),
    "openat2": (437, 437, -100, "path", "buffer", 24), "open to write": (2, None, "path", 513),
    "openat to write": (257, 56, -100, "path", 513), "openat the folder": (257, 56, -100, "folder", 65536),
    "openat O_PATH": (257, 56, -100, "path", 2097152), "creat": (85, None, "new", 438),
    "name_to_handle_at": (303, 264, -100, "path", "buffer", "buffer", 0),
    "open_by_handle_at": (304, 265, "fd", "buffer", 0), "chmod": (90, None, "path", 511),
    "fchmod": (91, 52, "fd", 511), "fchmodat": (268, 53, -100, "path", 511),
    "fchmodat2": (452, 452, -100, "path", 511, 0), "chown": (92, None, "path", 1, 1),
    "lchown": (94, None, "path", 1, 1), "fchown": (93, 55, "fd", 1, 1), "fchownat": (260, 54, -100, "path", 1, 1, 0),
    "utime": (132, None, "path", 0), "utimes": (235, None, "path", 0), "futimesat": (261, None, -100, "path", 0),
    "utimensat": (280, 88, -100, "path", 0, 0), "utimensat by descriptor": (280, 88, "fd", 0, 0, 0),
    "setxattr": (188, 5, "path", "attribute", "buffer", 1, 0),
    "lsetxattr": (189, 6, "path", "attribute", "buffer", 1, 0),
    "fsetxattr": (190, 7, "fd", "attribute", "buffer", 1, 0),
    "setxattrat": (463, 463, -100, "path", 0, "attribute", "buffer", 16),
    "removexattr": (197, 14, "path", "attribute"), "fremovexattr": (199, 16, "fd", "attribute"),
    "file_setattr": (469, 469, -100, "path", "buffer", 24, 0), "truncate": (76, 45, "path", 0),
    "ftruncate": (77, 46, "fd", 0), "fallocate": (285, 47, "fd", 0, 0, 4096), "unlink": (87, None, "path"),
    "unlinkat": (263, 35, -100, "path", 0), "rmdir": (84, None, "folder"), "rename": (82, None, "path", "new"),
    "renameat": (264, 38, -100, "path", -100, "new"), "renameat2": (316, 276, -100, "path", -100, "new", 0),
    "link": (86, None, "path", "new"), "linkat": (265, 37, -100, "path", -100, "new", 0),
    "symlink": (88, None, "path", "new"), "symlinkat": (266, 36, "path", -100, "new"),
    "mkdir": (83, None, "new", 448), "mkdirat": (258, 34, -100, "new", 448), "mknod": (133, None, "new", 33152, 0),
    "mknodat": (259, 33, -100, "new", 33152, 0), "readlink": (89, None, "path", "buffer", 64),
    "readlinkat": (267, 78, -100, "path", "buffer", 64), "stat": (4, None, "path", "buffer"),
    "lstat": (6, None, "path", "buffer"), "access": (21, None, "path", 0), "faccessat": (269, 48, -100, "path", 0),
    "faccessat2": (439, 439, -100, "path", 0, 0), "statx": (332, 291, -100, "path", 0, 4095, "buffer"),
    "newfstatat": (262, 79, -100, "path", "buffer", 0), "getdents64": (217, 61, "fd", "buffer", 4096),
    "statfs": (137, 43, "path", "buffer"), "flock": (73, 32, "fd", 2), "fcntl F_SETLK": (72, 25, "fd", 6, "buffer"),
    "fcntl F_SETLEASE": (72, 25, "fd", 1024, 0), "fcntl F_NOTIFY": (72, 25, "fd", 1026, 2),
    "ioctl FS_IOC_SETFLAGS": (16, 29, "fd", 1074292226, "buffer"), "inotify_init1": (294, 26, 0),
    "fanotify_init": (300, 262, 0, 0), "inotify_add_watch": (254, 27, "fd", "path", 2), "chdir": (80, 49, "folder"),
    "sendfile": (40, 71, "fd", "fd", 0, 4), "copy_file_range": (326, 285, "fd", 0, "fd", 0, 4, 0),
    "splice": (275, 76, "fd", 0, "fd", 0, 4, 0), "quotactl": (179, 60, 0, 0, 0, 0),
}
PROCESSES: Attacks = {
    "kill": (62, 129, "pid", 9), "tkill": (200, 130, "pid", 9), "tgkill": (234, 131, "pid", "pid", 9),
    "rt_sigqueueinfo": (129, 138, "pid", 9, "buffer"), "rt_tgsigqueueinfo": (297, 240, "pid", "pid", 9, "buffer"),
    "pidfd_open": (434, 434, "pid", 0), "pidfd_send_signal": (424, 424, "fd", 9, 0, 0),
    "pidfd_getfd": (438, 438, "fd", 0, 0), "prlimit64": (302, 261, "pid", 7, "buffer", 0),
    "prlimit64 to read": (302, 261, "pid", 7, 0, "buffer"), "ptrace": (101, 117, 16, "pid", 0, 0),
    "process_vm_readv": (310, 270, "pid", "buffer", 0, "buffer", 0, 0),
    "process_vm_writev": (311, 271, "pid", "buffer", 0, "buffer", 0, 0),
    "process_madvise": (440, 440, "fd", "buffer", 1, 4, 0), "process_mrelease": (448, 448, "fd", 0),
    "kcmp": (312, 272, "pid", "pid", 0, 0, 0), "setpriority": (141, 140, 0, "pid", 19),
    "ioprio_set": (251, 30, 1, "pid", 0), "sched_setaffinity": (203, 122, "pid", 8, "buffer"),
    "sched_setscheduler": (144, 119, "pid", 5, "buffer"), "sched_setattr": (314, 274, "pid", "buffer", 0),
    "sched_setparam": (142, 118, "pid", "buffer"), "migrate_pages": (256, 238, "pid", 1, "buffer", "buffer"),
    "move_pages": (279, 239, "pid", 0, 0, 0, 0, 0), "get_robust_list": (274, 100, "pid", "buffer", "buffer"),
    "setpgid": (109, 154, "pid", 0), "setsid": (112, 157), "setuid": (105, 146, 1), "setresuid": (117, 147, 1, 1, 1),
    "setgroups": (116, 159, 0, 0), "capset": (126, 91, "buffer", "buffer"),
    "fcntl F_SETOWN": (72, 25, "fd", 8, "pid"), "fcntl F_SETOWN_EX": (72, 25, "fd", 15, "buffer"),
    "fcntl F_SETSIG": (72, 25, "fd", 10, 9), "fcntl F_SETFL O_ASYNC": (72, 25, "fd", 4, 8192),
    "ioctl FIOSETOWN": (16, 29, "fd", 35073, "buffer"), "ioctl SIOCSPGRP": (16, 29, "fd", 35074, "buffer"),
    "ioctl FIOASYNC": (16, 29, "fd", 21586, "buffer"), "ioctl TIOCSTI": (16, 29, "fd", 21522, "buffer"),
    "fork": (57, None), "clone a process": (56, 220, 17, 0, 0, 0, 0),
    "clone a namespace": (56, 220, 268435473, 0, 0, 0, 0),
    "clone a thread with a namespace": (56, 220, 71241472, 0, 0, 0, 0), "clone3": (435, 435, "buffer", 88),
    "execve": (59, 221, "program", 0, 0), "execveat": (322, 281, "fd", "empty", 0, 0, 4096),
    "unshare": (272, 97, 268435456), "setns": (308, 268, "fd", 0),
}
KERNEL: Attacks = {
    "getpid of x32": (0x40000027, None),
    "socket": (41, 198, 2, 1, 0), "socketpair": (53, 199, 1, 1, 0, "buffer"), "connect": (42, 203, 0, "buffer", 16),
    "bind": (49, 200, 0, "buffer", 16), "listen": (50, 201, 0, 1), "accept": (43, 202, 0, 0, 0),
    "accept4": (288, 242, 0, 0, 0, 0), "sendmsg": (46, 211, 0, "buffer", 0),
    "sendmmsg": (307, 269, 0, "buffer", 0, 0), "setsockopt": (54, 208, 0, 1, 1, "buffer", 4),
    "keyctl": (250, 219, 0, 0, 0, 0, 0), "add_key": (248, 217, "buffer", "buffer", "buffer", 0, 0),
    "request_key": (249, 218, "buffer", "buffer", 0, 0), "shmget": (29, 194, 0, 4096, 896),
    "shmat": (30, 196, 0, 0, 0), "semget": (64, 190, 0, 1, 896), "msgget": (68, 186, 0, 896),
    "mq_open": (240, 180, "empty", 0, 0, 0), "memfd_create": (319, 279, "empty", 0), "memfd_secret": (447, 447, 0),
    "perf_event_open": (298, 241, "buffer", 0, -1, -1, 0), "bpf": (321, 280, 0, "buffer", 64),
    "userfaultfd": (323, 282, 0), "io_uring_setup": (425, 425, 1, "buffer"),
    "io_uring_enter": (426, 426, "fd", 0, 0, 0, 0, 0), "io_uring_register": (427, 427, "fd", 0, 0, 0),
    "io_setup": (206, 0, 1, "buffer"), "mount": (165, 40, "empty", "folder", "empty", 0, 0),
    "umount2": (166, 39, "folder", 0), "move_mount": (429, 429, -100, "folder", -100, "folder", 0),
    "open_tree": (428, 428, -100, "folder", 0), "open_tree_attr": (467, 467, -100, "folder", 0, "buffer", 32),
    "fsopen": (430, 430, "empty", 0), "fsmount": (432, 432, "fd", 0, 0), "fspick": (433, 433, -100, "folder", 0),
    "mount_setattr": (442, 442, -100, "folder", 0, "buffer", 32), "pivot_root": (155, 41, "folder", "folder"),
    "chroot": (161, 51, "folder"), "seccomp": (317, 277, 1, 0, "buffer"),
    "prctl PR_SET_PTRACER": (157, 167, 1499557217, "pid", 0, 0, 0), "prctl PR_SET_MM": (157, 167, 35, 0, 0, 0, 0),
    "prctl PR_SET_PDEATHSIG": (157, 167, 1, 9, 0, 0, 0), "prctl PR_SET_CHILD_SUBREAPER": (157, 167, 36, 1, 0, 0, 0),
    "personality": (135, 92, 262144), "landlock_create_ruleset": (444, 444, 0, 0, 1),
    "init_module": (175, 105, "buffer", 0, "empty"), "finit_module": (313, 273, "fd", "empty", 0),
    "delete_module": (176, 106, 1, 0), "kexec_load": (246, 104, 0, 99, 1, -1), "reboot": (169, 142, 0, 0, 0, 0),
    "syslog": (103, 116, 10, 0, 0), "acct": (163, 89, 1), "swapon": (167, 224, "path", 0),
    "swapoff": (168, 225, "path"), "sethostname": (170, 161, 1, -1), "settimeofday": (164, 170, 1, 0),
    "clock_settime": (227, 112, 99, "buffer"), "adjtimex": (159, 171, 1), "iopl": (172, None, 9),
    "ioperm": (173, None, -1, 1, 1), "modify_ldt": (154, None, 0, "buffer", 0),
    "vmsplice": (278, 75, "fd", "buffer", 0, 0), "lsm_set_self_attr": (460, 460, 100, "buffer", 32, 0),
    "map_shadow_stack": (453, 453, 0, 4096, 0), "uselib": (134, None, "path"),
    "lookup_dcookie": (212, 18, 0, "buffer", 1), "remap_file_pages": (216, 234, 0, 0, 0, 0, 0),
    "timer_create": (222, 107, 0, 0, "buffer"), "epoll_create1": (291, 20, 0), "eventfd2": (290, 19, 0, 0),
    "pipe2": (293, 59, "buffer", 0),
}
# fmt: on
ATTACKS: Attacks = FILES | PROCESSES | KERNEL
COLUMN = {"x86_64": 0, "aarch64": 1}
MACHINE = os.uname().machine
TURNED_AWAY = {"killed", "EACCES", "ENOSYS", "EPERM"}
LIBC = ctypes.CDLL(None, use_errno=True)


class Victim:
    """A document, its folder, and a process of the same account."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.document = folder, folder / "document"
        self.document.write_bytes(b"kept")
        self.descriptor = os.open(self.document, os.O_RDONLY)
        self.process = subprocess.Popen(["sleep", "600"])

    def state(self) -> tuple[Any, ...]:
        """Return everything that an attack could change; OSError when the process is gone."""
        about, pid = self.document.stat() if self.document.exists() else None, self.process.pid
        return (
            about and (about.st_mode, about.st_uid, about.st_gid, about.st_nlink, about.st_size, about.st_mtime_ns),
            about and os.listxattr(self.document),
            sorted(path.name for path in self.folder.iterdir()),
            self.process.poll(),
            os.getpriority(os.PRIO_PROCESS, pid),
            os.sched_getaffinity(pid),
            os.sched_getscheduler(pid),
            resource.prlimit(pid, resource.RLIMIT_NOFILE),
        )

    def close(self) -> None:
        os.close(self.descriptor)
        self.process.kill()
        self.process.wait()


def possible(machine: str = MACHINE) -> list[str]:
    """Return the names of the calls that the machine has."""
    return [name for name, attack in ATTACKS.items() if attack[COLUMN[machine]] is not None]


def attempt(attack: str, document: Path, descriptor: int, pid: int) -> str:
    """Make the call and return "done" or the name of the error."""
    meaning: dict[str, Any] = {
        "path": os.fsencode(document),
        "folder": os.fsencode(document.parent),
        "new": os.fsencode(document.parent / "new"),
        "program": b"/bin/true",
        "empty": b"",
        "attribute": b"user.attack",
        "fd": descriptor,
        "pid": pid,
        "buffer": ctypes.create_string_buffer(4096),
    }
    number, arguments = ATTACKS[attack][COLUMN[MACHINE]], ATTACKS[attack][2:]
    ctypes.set_errno(0)
    given = [meaning[value] if isinstance(value, str) else ctypes.c_long(value) for value in arguments]
    if LIBC.syscall(ctypes.c_long(number), *given) >= 0:
        return "done"
    return errno.errorcode[ctypes.get_errno()]


def attempt_in_process(attack: str, victim: Victim, confine: Callable[[], Any]) -> str:
    """Return the outcome, or "killed" for a process that the filter ended."""
    reading, writing = os.pipe()
    if not (pid := os.fork()):
        with suppress(BaseException):
            confine()
            outcome = attempt(attack, victim.document, victim.descriptor, victim.process.pid)
            os.write(writing, outcome.encode())
        os._exit(0)
    os.close(writing)
    with open(reading) as said:
        outcome = said.read()
    _, status = os.waitpid(pid, 0)
    return "killed" if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGSYS else outcome


def attempt_all(folder: Path, confine: Callable[[], Any]) -> dict[str, str]:
    """Return the outcome of each call, with "changed" when it harmed its victim."""
    outcomes, victim = {}, Victim(folder)
    before = victim.state()
    for attack in possible():
        outcomes[attack] = attempt_in_process(attack, victim, confine)
        try:
            changed = victim.state() != before
        except OSError:
            changed = True
        if changed:
            outcomes[attack] = f"changed, {outcomes[attack]}"
            victim.close()
            folder = folder / "next"
            folder.mkdir()
            victim = Victim(folder)
            before = victim.state()
    victim.close()
    return outcomes


def main() -> None:
    sys.path.insert(0, sys.argv[1])
    confinement = importlib.import_module("medfiles.sandbox.confinement")
    version = json.loads(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(attempt_all(Path(folder), lambda: confinement.confine(2 * 1024**3, 64, version))))


TASKS = {
    "attempt": lambda attack, document, pid, file: {"outcome": attempt(attack, Path(document), file.fileno(), pid)}
}

if __name__ == "__main__":
    main()
