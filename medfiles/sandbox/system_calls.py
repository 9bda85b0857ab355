"""The system calls that a worker may make: an allow-list in the form of a seccomp filter.

A call that is not on the list fails as if the kernel did not have it (ENOSYS), so that a C library that tries a newer
call falls back to an older one. Opening a file or looking one up by name fails as if permission were denied (EACCES).
Calls that only an attacker would make kill the process.
"""

import errno
import struct

# fmt: off
# name: number on x86-64, number on ARM64 (None if the architecture does not have the call)
ALLOWED: dict[str, tuple[int, int | None]] = {
    # memory
    "brk": (12, 214), "mmap": (9, 222), "munmap": (11, 215), "mprotect": (10, 226), "mremap": (25, 216),
    "madvise": (28, 233),
    # open descriptors: the document, the channel to the server and /dev/null
    "read": (0, 63), "readv": (19, 65), "pread64": (17, 67), "preadv": (295, 69), "write": (1, 64),
    "writev": (20, 66), "lseek": (8, 62), "close": (3, 57), "fstat": (5, 80), "recvfrom": (45, 207),
    "recvmsg": (47, 212), "sendto": (44, 206), "poll": (7, None), "ppoll": (271, 73), "select": (23, None),
    "pselect6": (270, 72),
    # threads and the process itself
    "futex": (202, 98), "set_robust_list": (273, 99), "rseq": (334, 293), "sched_yield": (24, 124),
    "sched_getaffinity": (204, 123), "getpid": (39, 172), "gettid": (186, 178), "getuid": (102, 174),
    "geteuid": (107, 175), "getgid": (104, 176), "getegid": (108, 177), "getrusage": (98, 165), "sysinfo": (99, 179),
    "uname": (63, 160), "getcwd": (79, 17), "exit": (60, 93), "exit_group": (231, 94),
    # signals
    "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "sigaltstack": (131, 132),
    "setitimer": (38, 103), "restart_syscall": (219, 128),
    # time and random numbers
    "clock_gettime": (228, 113), "clock_getres": (229, 114), "clock_nanosleep": (230, 115), "nanosleep": (35, 101),
    "gettimeofday": (96, 169), "time": (201, None), "getrandom": (318, 278),
}
FILE_NAMES: dict[str, tuple[int, int | None]] = {
    "open": (2, None), "openat": (257, 56), "creat": (85, None), "stat": (4, None), "lstat": (6, None),
    "access": (21, None), "faccessat": (269, 48), "readlink": (89, None), "readlinkat": (267, 78),
    "chdir": (80, 49), "getdents": (78, None), "getdents64": (217, 61), "statfs": (137, 43),
}
FATAL: dict[str, tuple[int, int | None]] = {
    # other processes
    "fork": (57, None), "vfork": (58, None), "execve": (59, 221), "execveat": (322, 281), "ptrace": (101, 117),
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "process_madvise": (440, 440), "kill": (62, 129),
    "tkill": (200, 130), "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240), "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424), "pidfd_getfd": (438, 438),
    # sockets
    "socket": (41, 198), "socketpair": (53, 199), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201),
    "accept": (43, 202), "accept4": (288, 242), "sendmsg": (46, 211), "sendmmsg": (307, 269),
    # namespaces and mounts
    "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39), "move_mount": (429, 429),
    "open_tree": (428, 428), "fsopen": (430, 430), "fsmount": (432, 432), "pivot_root": (155, 41), "chroot": (161, 51),
    # parts of the kernel with a history of vulnerabilities
    "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218), "shmget": (29, 194), "shmat": (30, 196),
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426), "io_uring_register": (427, 427), "init_module": (175, 105),
    "finit_module": (313, 273), "delete_module": (176, 106), "kexec_load": (246, 104), "kexec_file_load": (320, 294),
    "reboot": (169, 142),
}
# fmt: on
MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column in the tables, AUDIT_ARCH number
SECCOMP = (317, 277)  # the call that installs a filter
OTHER_ABI = 0x40000000  # bit that marks calls of x32, a second call table of x86-64

ALLOW, KILL, REFUSE = 0x7FFF0000, 0x80000000, 0x00050000  # REFUSE plus an error number
NO_SUCH_CALL, NO_ACCESS, NOT_PERMITTED = REFUSE | errno.ENOSYS, REFUSE | errno.EACCES, REFUSE | errno.EPERM
LOAD, EQUALS, AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06  # operations of classic BPF
CALL_NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data

THREAD = (0x3D0F00, 0x7D0F00)  # clone flags of pthread_create in glibc and musl
CONTROLS = (1, 2, 3, 1030)  # fcntl: F_GETFD, F_SETFD, F_GETFL, F_DUPFD_CLOEXEC
DEVICE_CONTROLS = (0x5401, 0x5421, 0x5451)  # ioctl: TCGETS, FIONBIO, FIOCLEX
THREAD_NAMES = (15, 16)  # prctl: PR_SET_NAME, PR_GET_NAME
EMPTY_PATH = 0x1000  # newfstatat: AT_EMPTY_PATH, which is how glibc calls fstat

Step = tuple[int, int, int, int]  # operation, steps to skip if true, steps to skip if false, value


def filter_program(machine: str, pid: int) -> bytes:
    """Return the filter for the process `pid` as an array of struct sock_filter."""
    column, architecture = MACHINES[machine]
    steps: list[Step] = [
        (LOAD, 0, 0, ARCHITECTURE),
        (EQUALS, 1, 0, architecture),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, CALL_NUMBER),
        (AT_LEAST, 0, 1, OTHER_ABI),
        (RETURN, 0, 0, KILL),
    ]
    for calls, action in ((ALLOWED, ALLOW), (FILE_NAMES, NO_ACCESS), (FATAL, KILL)):
        for numbers in calls.values():
            if (number := numbers[column]) is not None:
                steps += [(EQUALS, 0, 1, number), (RETURN, 0, 0, action)]
    steps += only((56, 220)[column], 0, THREAD, KILL)  # clone
    steps += only((234, 131)[column], 0, (pid,), KILL)  # tgkill, with which a process aborts itself
    steps += only((302, 261)[column], 0, (0,), KILL)  # prlimit64, on the process itself
    steps += only((72, 25)[column], 1, CONTROLS, NOT_PERMITTED)  # fcntl
    steps += only((16, 29)[column], 1, DEVICE_CONTROLS, NOT_PERMITTED)  # ioctl
    steps += only((157, 167)[column], 0, THREAD_NAMES, NOT_PERMITTED)  # prctl
    steps += only((262, 79)[column], 3, (EMPTY_PATH,), NO_ACCESS)  # newfstatat
    steps.append((RETURN, 0, 0, NO_SUCH_CALL))
    return b"".join(struct.pack("HBBI", *step) for step in steps)


def only(number: int, argument: int, values: tuple[int, ...], otherwise: int) -> list[Step]:
    """Return steps that allow a call only if a 32-bit argument has one of the values; `otherwise` applies if not."""
    checks = [(EQUALS, len(values) - place, 0, value) for place, value in enumerate(values)]
    return [
        (EQUALS, 0, len(values) + 3, number),
        (LOAD, 0, 0, FIRST_ARGUMENT + 8 * argument),
        *checks,
        (RETURN, 0, 0, otherwise),
        (RETURN, 0, 0, ALLOW),
    ]
