"""Open the parts of Office packages, also if the case of their names or the direction of their slashes is wrong."""

import posixpath
from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import BinaryIO
from zipfile import ZIP_STORED, ZipFile

from lxml import etree

from medfiles.sandbox.inspect.text import parse_xml

RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
CONTENT_TYPES = "[Content_Types].xml"
Parts = dict[str, bytes]


def read_parts(file: BinaryIO) -> Parts:
    """Return the parts of a package by name, with slashes."""
    file.seek(0)
    with ZipFile(BytesIO(file.read())) as package:
        parts = {entry.orig_filename.replace("\\", "/"): package.read(entry) for entry in package.infolist()}
    return parts if is_consistent(parts) else in_lower_case(parts)


def write_parts(parts: Mapping[str, bytes]) -> BytesIO:
    target = BytesIO()
    with ZipFile(target, "w", ZIP_STORED) as package:
        for name, content in parts.items():
            package.writestr(name, content)
    target.seek(0)
    return target


def is_consistent(parts: Parts) -> bool:
    """Return whether every relation leads to a part of exactly that name."""
    spelled = {name.lower(): name for name in parts}
    return all(
        spelled.get(target.lower(), target) == target
        for name in parts
        if name.lower().endswith(".rels")
        for target in relations(parts, name, key="Target").values()
    ) and all(spelled.get(name.lower()) in (None, name) for name in (CONTENT_TYPES, "_rels/.rels"))


def in_lower_case(parts: Parts) -> Parts:
    """Write all names in lower case, in the relations and content types as well."""
    lowered: Parts = {}
    for name, content in parts.items():
        small = name.lower()
        if small.endswith(".rels") or small == CONTENT_TYPES.lower():
            root = parse_xml(content)
            for element in root.iter("{*}Relationship", "{*}Override"):
                key = "PartName" if "PartName" in element.attrib else "Target"
                if element.get("TargetMode") != "External" and element.get(key):
                    element.set(key, element.get(key, "").replace("\\", "/").lower())
            content = etree.tostring(root)
        lowered[CONTENT_TYPES if small == CONTENT_TYPES.lower() else small] = content
    return lowered


def relations(parts: Parts, name: str, key: str = "Id") -> dict[str, str]:
    """Return the internal targets that this .rels part lists, by their ids or by another attribute."""
    if name not in parts:
        return {}
    folder = posixpath.dirname(posixpath.dirname(name))
    return {element.get(key, ""): target for element, target in internal(parts[name], folder)}


def internal(content: bytes, folder: str) -> Iterator[tuple[etree._Element, str]]:
    for element in parse_xml(content).iter("{*}Relationship"):
        if element.get("TargetMode") != "External":
            target = element.get("Target", "").replace("\\", "/")
            yield element, posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/")


def relations_part(name: str) -> str:
    """Return the name of the part that lists the relations of this one."""
    folder, file_name = posixpath.split(name)
    return posixpath.join(folder, "_rels", f"{file_name}.rels")
