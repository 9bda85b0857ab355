"""What deploy/ names is there: settings, files, commands, services. nginx itself tries its files in test_deployed."""

import re
import shlex
from configparser import RawConfigParser
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from flask import Flask

from medfiles.app import create_app
from medfiles.config import SETTINGS
from medfiles.http.rate_limits import UPLOADS

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
CHECKOUT = "/srv/medfiles/"
HARDENING = re.compile(r"NoNew|Private|Protect|Restrict|Lock|Capability|UMask|StateDirectory|SystemCall|MemoryDeny")


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    return create_app({"MEDFILES_INSTANCE": str(tmp_path_factory.mktemp("instance"))})


def compose() -> Any:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def has_command(app: Flask, words: list[str]) -> bool:
    """Whether `flask …` knows it, down to its options."""
    command: Any = app.cli
    for word in words:
        if isinstance(command, click.Group):
            command = command.get_command(click.Context(command), word)
        elif word.startswith("--") and not any(word in option.opts for option in command.params):
            return False
    return command is not None and not isinstance(command, click.Group)


def test_every_setting_in_it_is_one() -> None:
    texts = {path: path.read_text() for path in DEPLOY.rglob("*") if path.is_file()}
    named = {name for text in texts.values() for name in re.findall(r"MEDFILES_\w+", text)}
    assert named <= {setting.name for setting in SETTINGS}
    assert len(named) > 8


def test_images_are_pinned_by_digest() -> None:
    images = [service["image"] for service in compose()["services"].values() if "build" not in service]
    images = [image for image in images if image != "medfiles"]  # built here
    images += re.findall(r"^FROM (\S+)", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    assert [image for image in images if not re.fullmatch(r"[\w./-]+:[\w.-]+@sha256:[0-9a-f]{64}", image)] == []
    assert len(images) > 6


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_every_command_of_a_unit_is_one(path: Path, commands: Flask) -> None:
    unit = RawConfigParser(strict=False)
    unit.read(path)
    service = unit["Service"]
    lines = [value for key, value in service.items() if key in ("execstart", "execstartpre")]
    for line in lines:
        program, *words = shlex.split(line)
        if program.endswith("/flask"):
            assert has_command(commands, words[words.index("wsgi") + 1 :]), line
        else:
            assert (ROOT / words[words.index("-c") + 1]).exists(), line
    assert lines
    assert service["workingdirectory"] + "/" == CHECKOUT


def test_all_units_are_hardened_alike() -> None:
    found = {path.name: {line for line in path.read_text().splitlines() if HARDENING.match(line)} for path in UNITS}
    server = found["medfiles@.service"]
    assert len(server) > 10
    assert found == dict.fromkeys(found, server)


def test_whatever_decodes_documents_is_started_with_all_layers_of_the_sandbox() -> None:
    units = {path.name: path.read_text() for path in UNITS}
    required = {name for name, text in units.items() if "Environment=MEDFILES_SANDBOX=require" in text.splitlines()}
    assert required == set(units) - {"medfiles-backup.service"}
    assert re.search(r"^ENV .*\bMEDFILES_SANDBOX=require\b", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    assert "MEDFILES_SANDBOX" not in (DEPLOY / "compose.yaml").read_text()  # which would count instead


def test_the_backup_unit_can_write_the_backup_folder_beside_the_instance() -> None:
    lines = (DEPLOY / "systemd" / "medfiles-backup.service").read_text().splitlines()
    [command] = [line for line in lines if line.startswith("ExecStart=")]
    [writable] = [line.removeprefix("ReadWritePaths=") for line in lines if line.startswith("ReadWritePaths=")]
    assert f" medfiles backup {writable} " in command


def test_services_wait_for_others_that_there_are() -> None:
    found = compose()["services"]
    for name, service in found.items():
        assert set(service.get("depends_on", ())) <= set(found), name
    healthy = {
        other
        for service in found.values()
        for other, how in service.get("depends_on", {}).items()
        if how["condition"] == "service_healthy"
    }
    assert healthy - {"app"} <= {name for name, service in found.items() if "healthcheck" in service}
    assert "HEALTHCHECK" in (DEPLOY / "Dockerfile").read_text()


def test_volumes_are_declared_and_files_are_there() -> None:
    found = compose()
    for service in found["services"].values():
        for source, *_ in (volume.split(":") for volume in service.get("volumes", ()) if ":" in volume):
            place = DEPLOY / source
            assert source in found["volumes"] or place.exists() or source == "./tls", source


def test_the_commands_of_containers_are_ones(commands: Flask) -> None:
    lines = [service["command"] for service in compose()["services"].values() if "command" in service]
    ours = [shlex.split(line)[1:] for line in lines if line.startswith("flask ")]
    assert len(ours) == 2
    assert all(has_command(commands, words) for words in ours)


def test_what_the_image_takes_is_there() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    copied = [words.split()[:-1] for words in re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE)]
    missing = [name for names in copied for name in names if not (ROOT / name).exists()]
    assert (missing, len(copied)) == ([], 7)


def test_nginx_receives_every_upload_of_documents_first(commands: Flask) -> None:
    site = (DEPLOY / "nginx" / "site.conf").read_text()
    [location] = re.findall(r"location ~ (\S+) \{\n    auth_request /upload-allowed;", site)
    addresses = [
        re.sub(r"<[^>]*int:\w+>", "7", rule.rule.replace(f"<{converter}:type>", record_type.name))
        for rule in commands.url_map.iter_rules()
        for converter in re.findall(r"<(\w+):type>", rule.rule)
        for record_type in commands.extensions["medfiles"].registry.every
        if "POST" in (rule.methods or ())
        and getattr(commands.view_functions[rule.endpoint], "rate_limited", None) == UPLOADS
    ]
    assert len(addresses) >= 2 * len(list(commands.extensions["medfiles"].registry.every))
    assert [address for address in addresses if not re.search(location, address)] == []
    assert site.count("proxy_request_buffering on") == 1


def test_secrets_of_the_compose_file_are_named_in_the_example_and_have_no_value_there() -> None:
    wanted = set(re.findall(r"\$\{(\w+):\?", (DEPLOY / "compose.yaml").read_text()))
    lines = [line for line in (DEPLOY / "example.env").read_text().splitlines() if "=" in line and line[0] != "#"]
    given = dict(line.split("=", 1) for line in lines)
    assert set(given) == wanted
    assert {name for name, value in given.items() if value} == {"AWS_ACCESS_KEY_ID"}
