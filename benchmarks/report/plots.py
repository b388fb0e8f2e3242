"""Draws the pictures, as SVG.

Texts stay texts, nothing is filled behind them, and the inks can be read on white and on black. There is no date in the
file and no path: another run changes only what it has measured otherwise.
"""

import io
from statistics import median

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.report.pictures import PICTURES
from benchmarks.report.table import number

INK, OURS, THEIRS = "#75808a", "#2f81f7", "#a4adb6"

STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "django_rooms",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlesize": 10,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "savefig.transparent": True,
}

# Inches.
WIDTH, LINE, MARGIN = 9.0, 0.3, 1.0
CURVES = 3.4

# Lines of peers are told apart by these.
DASHES = ("--", ":", "-.", (0, (1, 3)))

ROOM_FOR_LABELS = 1.5


def short(value):
    """Beside the next one on a scale of powers of ten there is no room for more."""
    return f"{value // 1000}k" if value >= 1000 else f"{value}"


def draw(results, folder):
    """Writes what can be drawn of these results; returns the names of the files."""
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    with mpl.rc_context(STYLE):
        for name, picture in PICTURES.items():
            if panels := picture.panels_of(results):
                curves = results.cases[panels[0].case]["along"]
                (folder / f"{name}.svg").write_text(svg(lines(results, panels) if curves else bars(results, panels)))
                names.append(f"{name}.svg")
    return names


def svg(figure):
    file = io.StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines()) + "\n"


def bars(results, panels):
    """A panel beside the other; in each, the bars from the shortest to the longest."""
    most = max(len(results.cases[panel.case]["entrants"]) for panel in panels)
    return _beside(panels, most * LINE + MARGIN, lambda axes, panel: _bars(axes, results, panel))


def lines(results, panels):
    """Curves: what is ten times as much is as far away everywhere, and nothing is at the bottom."""
    return _beside(panels, CURVES, lambda axes, panel: _lines(axes, results, panel))


def _beside(panels, height, draw_one):
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        draw_one(axes, panel)
        axes.set_title(panel.title, loc="left")
    return figure


def _bars(axes, results, panel):
    figures = {name: results.figures(panel.case, name, panel.figure) for name in results.cases[panel.case]["entrants"]}
    medians = {name: median(values) for name, values in figures.items() if values}
    names = sorted(medians, key=medians.get)
    lengths = [medians[name] for name in names]
    low, high = ([end(figures[name]) for name in names] for end in (min, max))
    axes.barh(names, lengths, color=[OURS if name.startswith("rooms") else THEIRS for name in names], height=0.7)
    # From the least round to the greatest, over the end of the bar.
    axes.hlines(range(len(names)), low, high, color=INK)
    for place, (end, length) in enumerate(zip(high, lengths, strict=True)):
        axes.text(end, place, f"  {number(length)}", verticalalignment="center")
    axes.set_xlim(0, max(lengths) * ROOM_FOR_LABELS or 1)
    axes.xaxis.set_visible(False)
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(left=False)


def _lines(axes, results, panel):
    case, dashes = results.cases[panel.case], iter(DASHES * len(results.cases[panel.case]["entrants"]))
    for place, name in enumerate(case["entrants"]):
        rounds = {at: results.figures(panel.case, name, panel.figure, at) for at in case["values"]}
        values = [at for at in case["values"] if rounds[at]]
        # The first of ours is drawn through, and who else is ours has its colour.
        color = OURS if name.startswith("rooms") else THEIRS
        style = {"color": color, "linestyle": "-" if place == 0 else next(dashes), "label": name}
        axes.plot(values, [median(rounds[at]) for at in values], marker="o", markersize=3, **style)
        # From the least round to the greatest.
        axes.vlines(values, [min(rounds[at]) for at in values], [max(rounds[at]) for at in values], color=color)
    axes.set_xscale("log")
    axes.set_xticks(case["values"], labels=[short(at) for at in case["values"]])
    axes.minorticks_off()
    axes.margins(y=0.15)
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
