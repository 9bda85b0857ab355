"""How fast medfiles is beside what does less: `make bench`; with `--write` docs/performance.md is made of it.

`--rounds 2 --only upload` for a first look.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import count

from bench import report
from bench.browser import LOCAL, PAGES, THROTTLED, browser
from bench.deletion import deletions
from bench.downloads import downloads
from bench.ground import BARE, HANDED_ON, NGINX, OURS, Bench
from bench.pages import pages, pictures
from bench.process import memory, starts
from bench.rounds import Contest, Figure
from bench.servers import bare, folder, medfiles
from bench.slow import slow
from bench.smart import PLAIN, smart
from bench.uploads import uploads
from medfiles.database.session import db

AIMS: dict[str, tuple[str, Callable[[Mapping[str, Figure]], bool]]] = {
    "Upload 100 KiB, 1 client": (
        "≥ 0.45 × bare Flask",
        lambda of: of[OURS].median >= 0.45 * of[BARE].median,
    ),
    "Upload 10 MiB, 1 client": ("faster than bare Flask", lambda of: of[OURS].median < of[BARE].median),
    "Upload 1 MiB, 4 clients": ("≥ bare Flask", lambda of: of[OURS].median >= of[BARE].median),
    "Download 100 KiB, 1 client": ("≥ 0.5 × bare Flask", lambda of: of[OURS].median >= 0.5 * of[BARE].median),
    "Download 10 MiB, 1 client": ("≥ 0.9 × bare Flask", lambda of: of[OURS].median >= 0.9 * of[BARE].median),
    "Download 10 MiB by nginx": ("within 10 % of nginx", lambda of: of[HANDED_ON].median >= 0.9 * of[NGINX].median),
    "List of 10 documents": ("≤ 8 ms", lambda of: of["API"].median <= 8),
    "List of 10,000 documents": ("≤ 8 ms", lambda of: of["API"].median <= 8),
    "Counts of 500 records": ("≤ 10 ms", lambda of: of[OURS].median <= 10),
    "Page with 50 cards": ("≤ 40 ms", lambda of: of[OURS].median <= 40),
    "Trash of a record with 10,000 documents": ("≤ 1 s", lambda of: of["to the trash"].median <= 1000),
    "Trash of a patient with 10,000 documents": ("≤ 1 s", lambda of: of["to the trash"].median <= 1000),
    "Trash of a record with 10,000 documents, PostgreSQL": ("≤ 1 s", lambda of: of["to the trash"].median <= 1000),
    "Trash of a patient with 10,000 documents, PostgreSQL": ("≤ 1 s", lambda of: of["to the trash"].median <= 1000),
    "Timeline of 10,000 records, 95 % of answers": ("≤ 50 ms", lambda of: of["next page"].median <= 50),
    "Start to first answer": ("≤ 1,500 ms", lambda of: of[OURS].median <= 1500),
    "Others beside 64 slow uploads and 64 half heads": ("≤ 1 s", lambda of: of[HANDED_ON].most <= 1000),
    "Others beside 32 slow uploads": ("≤ 3 s", lambda of: of[OURS].most <= 3000),
    "Others beside 64 half heads": ("≤ 1 s", lambda of: of[OURS].most <= 1000),
    "Others beside 80 slow downloads": ("≤ 1 s", lambda of: of[OURS].most <= 1000),
    "/healthz beside 24 pictures of 100 megapixels": ("≤ 1 s", lambda of: of[OURS].most <= 1000),
    "Preparing a SMART Health Link of 15 MiB": ("≤ 3 s", lambda of: of[OURS].median <= 3000),
    "Memory for a SMART Health Link of 15 MiB": ("≤ 64 MiB", lambda of: of[OURS].most <= 64),
    "Fetching a SMART Health Link of 15 MiB": (
        "≤ 1.5 × the time of a download",
        lambda of: of[OURS].median * 1.5 >= of[PLAIN].median,
    ),
    "Memory of a worker, 4 × 20 MiB to disk": ("≤ 16 MiB", lambda of: of[OURS].most <= 16),
    "Memory of a worker, 4 × 20 MiB to an object store": ("≤ 64 MiB", lambda of: of[OURS].most <= 64),
}
IN_BROWSER: Mapping[str, tuple[str, Callable[[Mapping[str, Figure]], bool]]] = {
    "Largest Contentful Paint": (
        "≤ 800 ms, throttled ≤ 2,500 ms",
        lambda of: of[LOCAL].median <= 800 and of[THROTTLED].median <= 2500,
    ),
    "Interaction to Next Paint": ("throttled ≤ 200 ms", lambda of: of[THROTTLED].median <= 200),
    "Cumulative Layout Shift": ("≤ 0.02", lambda of: max(figure.most for figure in of.values()) <= 0.02),
    "Requests before first paint": ("≤ 8", lambda of: max(figure.most for figure in of.values()) <= 8),
}
AIMS |= {f"{what} of {page}": aim for what, aim in IN_BROWSER.items() for page in PAGES}
PARTS = {
    "upload": uploads,
    "download": downloads,
    "page": pages,
    "browser": browser,
    "picture": pictures,
    "trash": deletions,
    "start": starts,
    "memory": memory,
    "slow": slow,
    "smart": smart,
}


def run(rounds: int, only: Sequence[str]) -> Iterator[Contest]:
    with ExitStack() as stack:
        place = folder(stack)
        site = stack.enter_context(medfiles(place))
        patient = site.world.patient()
        visits = [site.world.record(patient=patient).id for _ in range(200)]
        db.session.rollback()
        address = stack.enter_context(bare(place / "bare"))
        bench = Bench(place, site, address, rounds, visits, count())
        for name, part in PARTS.items():
            if not only or name in only:
                for found in part(bench):
                    yield judged(found)


def judged(found: Contest) -> Contest:
    if found.name not in AIMS:
        return found
    words, reached = AIMS[found.name]
    return replace(found, aim=words, reached=reached(found.figures))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="*", choices=list(PARTS), default=[])
    parser.add_argument("--write", action="store_true", help="Make docs/performance.md of it.")
    options = parser.parse_args()
    found = []
    for one in run(options.rounds, options.only):
        print(report.line(one), flush=True)
        found.append(one)
    if options.write:
        report.write(found, options.rounds)


if __name__ == "__main__":
    main()
