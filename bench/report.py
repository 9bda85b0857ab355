"""The figures as lines, as a table, and as a chart."""

import os
import platform
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from xml.sax.saxutils import escape

from bench.rounds import Contest, Figure

DOCS = Path(__file__).parents[1] / "docs"
BEGIN, END = "<!-- figures -->", "<!-- /figures -->"
MORE_IS_BETTER = "/s"


def line(found: Contest) -> str:
    figures = " · ".join(f"{way} {shown(figure, found.unit)}" for way, figure in found.figures.items())
    return f"{found.name:<52} {figures}{_judgement(found)}"


def shown(figure: Figure, unit: str) -> str:
    return f"{number(figure.median)} {unit} ({number(figure.least)}–{number(figure.most)})"


def number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.1f}" if abs(value) >= 1 or not value else f"{value:.3f}"


def _judgement(found: Contest) -> str:
    return f"   aim: {found.aim}: {'reached' if found.reached else 'MISSED'}" if found.aim else ""


def write(found: Sequence[Contest], rounds: int) -> None:
    page = DOCS / "performance.md"
    before, _, rest = page.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    page.write_text(f"{before}{BEGIN}\n\n{_where(rounds)}\n\n{table(found)}\n\n{END}{after}")
    (DOCS / "performance.svg").write_text(chart(found))


def _where(rounds: int) -> str:
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1024**3
    return (
        f"Measured on {date.today().isoformat()}: {os.cpu_count()} processors ({platform.machine()}), {memory:.0f} GB, "
        f"Python {platform.python_version()}, {rounds} rounds."
    )


def table(found: Sequence[Contest]) -> str:
    lines = ["| | | median | least – most | aim |", "|---|---|---:|---:|---|"]
    for one in found:
        judged = list(one.figures).index("medfiles") if "medfiles" in one.figures else 0
        for place, (way, figure) in enumerate(one.figures.items()):
            aim = f"{one.aim}: {'reached' if one.reached else '**missed**'}" if one.aim and place == judged else ""
            span = f"{number(figure.least)} – {number(figure.most)}"
            lines.append(
                f"| {'' if place else one.name} | {way} | {number(figure.median)} {one.unit} | {span} | {aim} |"
            )
    return "\n".join(lines)


# --- the chart --------------------------------------------------------------------------------------------------------

COLOURS = {"medfiles": "#0f766e", "medfiles + nginx": "#5eead4", "nginx": "#94a3b8", "plain Python": "#cbd5e1"}
LEFT, WIDTH, BAR, GAP = 250, 400, 14, 12
MOST = 2.5  # longer bars end there
STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#334155}.s{font-size:11px}.l{stroke:#b91c1c;stroke-dasharray:4 3}"
    "@media(prefers-color-scheme:dark){text{fill:#cbd5e1}.l{stroke:#f87171}}"
)


def chart(found: Sequence[Contest]) -> str:
    """Draw the speed of each program compared with bare Flask, the line at 100 %."""
    rows, y = [], 46
    beside = [one for one in found if "bare Flask" in one.figures]
    for one in beside:
        rows.append(f'<text x="{LEFT - 12}" y="{y + 11}" text-anchor="end">{escape(one.name)}</text>')
        for way in one.figures:
            if way != "bare Flask":
                rows.append(_bar(_share(one, way), way, y))
                y += BAR
        y += GAP
    line = LEFT + WIDTH / MOST
    said = f'<text class="s" x="{line}" y="{y + 10}" text-anchor="middle">bare Flask, 100 %</text>'
    rule = f'<line class="l" x1="{line}" x2="{line}" y1="40" y2="{y - 4}"/>'
    words = _legend()
    size = f'width="{LEFT + WIDTH + 90}" height="{y + 24}" viewBox="0 0 {LEFT + WIDTH + 90} {y + 24}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img"><title>Speed compared with bare Flask</title>'
    return "\n".join([head, f"<style>{STYLE}</style>", words, *rows, rule, said, "</svg>"]) + "\n"


def _share(one: Contest, way: str) -> float:
    bare, own = one.figures["bare Flask"].median, one.figures[way].median
    return own / bare if one.unit == MORE_IS_BETTER else bare / own


def _bar(share: float, way: str, y: float) -> str:
    width = WIDTH * min(share, MOST) / MOST
    far = " →" if share > MOST else ""
    bar = f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR - 3}" rx="2" fill="{COLOURS[way]}"/>'
    return f'{bar}<text class="s" x="{LEFT + width + 6:.1f}" y="{y + 10}">{share:.0%}{far}</text>'


def _legend() -> str:
    parts, x = [], LEFT
    for way, colour in COLOURS.items():
        parts.append(f'<rect x="{x}" y="12" width="12" height="12" rx="2" fill="{colour}"/>')
        parts.append(f'<text class="s" x="{x + 17}" y="22">{way}</text>')
        x += 38 + 7 * len(way)
    return "".join(parts)
