"""Records and patients with 10,000 documents to the trash and back: what the one who asks waits for."""

from collections.abc import Iterator

from sqlalchemy import update

from bench.client import Client, seconds_each
from bench.ground import Bench
from bench.rounds import Contest, Round, contest
from bench.servers import Site, medfiles, request
from medfiles.database.session import transaction
from medfiles.models import EntityFile
from tests.support import large_lists, postgres

FIRST, MANY = 7000, 10_000


def deletions(bench: Bench) -> Iterator[Contest]:
    yield from _deletions(bench, bench.site, "")
    with postgres.server() as url, medfiles(bench.place / "postgres", DATABASE_URL=url) as site:
        yield from _deletions(bench, site, ", PostgreSQL")


def _deletions(bench: Bench, site: Site, suffix: str) -> Iterator[Contest]:
    owner = site.world.user().id
    large_lists.patients(owner, FIRST, 1)
    large_lists.visits(FIRST, FIRST, 1, 1)
    large_lists.documents(FIRST, FIRST, MANY, MANY, offset=7_000_000)
    with transaction() as session:
        session.execute(update(EntityFile).where(EntityFile.patient_id == FIRST).values(deleted_at=None))
    large_lists.analyse()
    for name, path in (("record", f"/api/v1/visit/{FIRST}"), ("patient", f"/api/v1/patients/{FIRST}")):
        ways = {
            "to the trash": _asked(bench, site, "DELETE", path),
            "back": _asked(bench, site, "POST", f"{path}/restore"),
        }
        yield contest(f"Trash of a {name} with 10,000 documents{suffix}", "ms", _in_turns(ways), bench.rounds)


def _in_turns(ways: dict[str, Round]) -> dict[str, Round]:
    """The contest changes the order in every other round; a restore can only follow a deletion."""
    seconds: dict[str, float] = {}

    def taken(way: str) -> float:
        if way not in seconds:
            seconds.update({name: ask() for name, ask in ways.items()})
        return seconds.pop(way)

    return {way: lambda way=way: taken(way) for way in ways}  # type: ignore[misc]


def _asked(bench: Bench, site: Site, method: str, path: str) -> Round:
    said = request(method, path, {"Authorization": f"Bearer {site.token}", "Content-Length": "0"})

    def work(client: Client, _: int) -> None:
        answer = client.ask(said)
        assert answer.status == 200, answer

    return lambda: float(seconds_each(site.address, work, bench.numbers, 1)[0] * 1000)
