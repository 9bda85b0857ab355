"""Raw sockets against the server as people run it: every message is answered or hung up on, and costs no memory."""

import json
import urllib.request
from collections.abc import Callable
from pathlib import Path

from medfiles.sandbox.pool import Sandbox
from tests.proof.corpus.desk import LIMITS, UNLIMITED
from tests.proof.corpus.sources import some
from tests.proof.corpus.wire import Line, messages, resident
from tests.support.api_client import script
from tests.support.factories import install
from tests.support.server import serve

MIB = 1024 * 1024
GROWTH, WARM = 64 * MIB, 5  # messages in WARM warm it up before its memory is looked at


def test_the_server_answers_every_message_and_keeps_its_size(
    tmp_path: Path,
    new_database: Callable[[Path], str],
    sandbox: Sandbox,
    share: int,
    record_property: Callable[[str, object], None],
) -> None:
    (tmp_path / "limits.toml").write_text(LIMITS)
    settings = {
        "MEDFILES_INSTANCE": str(tmp_path),
        "MEDFILES_DATABASE_URL": new_database(tmp_path),
        "MEDFILES_ENTITIES": str(tmp_path / "limits.toml"),
        "MEDFILES_WORKERS": "1",
        **UNLIMITED,
    }
    with install(settings, sandbox) as world, serve(settings) as address:
        record, token = world.record(), script(world).headers["Authorization"].removeprefix("Bearer ")
        where = f"/api/v1/visit/{record.id}/files".encode()
        line = Line(address, {b"upload": where, b"page": where, b"token": token.encode()})
        sent = some("wire", list(messages()), share)
        record_property("inputs", len(sent))
        warm, rest = sent[: len(sent) // WARM], sent[len(sent) // WARM :]
        wrong = [said for said in map(line.wrong, warm) if said]
        before = resident(str(tmp_path))
        wrong += [said for said in map(line.wrong, rest) if said]
        grown = resident(str(tmp_path)) - before
        with urllib.request.urlopen(f"{address}/readyz", timeout=10) as answer:
            assert answer.status == 200
        world.assert_settled()
    assert not wrong, "\n".join(wrong)
    assert before > MIB
    assert grown < GROWTH, f"grew by {grown / MIB:.0f} MiB"
    logged = (tmp_path / "server.log").read_text(errors="replace")
    assert "Traceback" not in logged, logged[logged.index("Traceback") - 500 :][:2000]
    assert token not in logged
    [json.loads(row) for row in logged.splitlines() if row.startswith("{")]
