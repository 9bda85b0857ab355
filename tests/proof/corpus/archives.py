"""Word documents whose ZIP attacks whoever opens it."""

import gzip
import struct
from collections.abc import Callable, Mapping
from functools import partial

from tests.sandbox.test_inspect import edited
from tests.sandbox.test_inspect_office import linked, zipped
from tests.support import samples

OUTSIDE = ("../up.xml", "word/../../up.xml", "/etc/passwd", "C:/autoexec.bat", "word\\up.xml", "..\\up.xml", "word/..")
MODES = {"link": 0o120777, "device": 0o020666, "block device": 0o060666, "pipe": 0o010666, "socket": 0o140666}
DIRECTORY = b"PK\1\2"
FIELDS = {"flags": (8, "<H", 1), "packed size": (20, "<I", 7), "size": (24, "<I", 7), "checksum": (16, "<I", 7)}


def member(name: str, content: bytes) -> bytes:
    return zipped((name, content))


def wrong_in_directory(at: int, form: str, value: int) -> bytes:
    whole = samples.docx()
    return edited(whole, whole.index(DIRECTORY) + at, form, value)


def wrong_twice() -> bytes:
    whole = samples.docx()
    return edited(edited(whole, whole.index(DIRECTORY) + 24, "<I", 7), 22, "<I", 7)


def overlapping() -> bytes:
    whole = zipped(("word/one", b"x"), ("word/two", b"x"))
    second = whole.rindex(DIRECTORY)
    first = whole.rindex(DIRECTORY, 0, second)
    return edited(whole, second + 42, "<I", *struct.unpack_from("<I", whole, first + 42))


def twins() -> bytes:
    return zipped(("word/one", b"x"), ("word/two", b"x")).replace(b"word/two", b"word/one")


def inflating() -> bytes:
    return zipped(*((f"word/{number}.bin", bytes(21 * 1024**2)) for number in range(10)))


def nested(depth: int) -> bytes:
    data = samples.docx()
    for _ in range(depth):
        data = zipped(("word/embeddings/a.zip", data))
    return data


def crowded() -> bytes:
    return zipped(*((f"word/{number}", b"") for number in range(10_050)))


ATTACKS: Mapping[str, Callable[[], bytes]] = {
    **{f"member {name}": partial(member, name, b"x") for name in OUTSIDE},
    **{f"a {kind}": partial(zipped, (linked("word/it", mode), b"/etc/passwd")) for kind, mode in MODES.items()},
    **{f"wrong {name}": partial(wrong_in_directory, *values) for name, values in FIELDS.items()},
    "sizes that lie twice": wrong_twice,
    "members that overlap": overlapping,
    "members of one name": twins,
    "210 MB unpacked": inflating,
    "10,050 members": crowded,
    "20 ZIPs inside each other": partial(nested, 20),
    "gzip inside": partial(member, "word/a.gz", gzip.compress(bytes(1024**2))),
    "no end": lambda: samples.docx()[:-22],
}
