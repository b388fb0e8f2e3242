"""A run's results as a person reads them: for the terminal, and in Markdown for docs/benchmarks.md."""

from benchmarks.claims import Met
from benchmarks.report import limits, table
from benchmarks.report.pictures import PICTURES
from benchmarks.rounds import Kind

# The columns of the claims that are words before those that are numbers.
WORDS = 3

# What is to be thought of a run's verdicts.
WORTH = {
    Kind.FULL: "",
    Kind.PART: "This is a part of the full run: it says nothing of what it left out.",
    Kind.QUICK: "This is the quick run: short measures, few rounds, and nothing is said of what was left out.",
}

CEILINGS = "What the crowd takes of a server that only writes what was made before:"


def terminal(results):
    parts = [plain(table.claims(results), WORDS, last=True), summary(results)]
    for case, each in results.cases.items():
        parts += [each["title"], plain(table.figures(results, case))]
    parts += [CEILINGS, plain(table.ceilings(results)), "\n".join(failures(results))]
    return "\n\n".join(filter(None, parts))


def document(results):
    parts = [head(results), markdown(table.claims(results), WORDS, last=True), summary(results)]
    parts += [f"- {sentence}" for sentence in failures(results)]
    parts += [f"![{each.text}](benchmarks/{name}.svg)" for name, each in PICTURES.items() if each.panels_of(results)]
    for case, each in results.cases.items():
        parts += [f"### {each['title']}", markdown(table.figures(results, case))]
    if said := limits.sentences(results):
        parts += ["### What is full first", limits.HEAD, markdown(limits.rows(results)), *said]
    parts += ["### What the crowd can take", CEILINGS, markdown(table.ceilings(results))]
    parts += ["### Settings and versions", markdown(table.settings(results), 2), markdown(table.versions(results), 2)]
    return "\n\n".join(parts)


def head(results):
    """Which run it was, when, and of what."""
    machine = dict(results.machine)
    cores, processor = machine.pop("cores"), machine.pop("processor")
    versions = ", ".join(f"{name} {version}" for name, version in machine.items())
    return f"{results.kind}, {rounds(results)}, {results.day}, on {cores} cores of {processor}: {versions}."


def rounds(results):
    done, wanted = len(results.rounds), results.wanted
    return f"{wanted} {'round' if wanted == 1 else 'rounds'}" if done in (0, wanted) else f"{done} of {wanted} rounds"


def summary(results):
    """How many are met, and how many nobody knows of."""
    verdicts = results.verdicts()
    met, short, unknown = (sum(verdict.met is met for verdict in verdicts) for met in Met)
    text = f"{met} of {len(verdicts)} are met, {short} fall short, and {unknown} were not judged."
    return f"{text} {WORTH[results.kind]}".strip()


def failures(results):
    """Who is left out, and every measurement in which somebody failed."""
    left_out = [f"{peer} is left out: {why}" for peer, why in results.left_out.items()]
    raised = [_failed(case, entrant, outcomes) for (case, entrant), outcomes in results.raised().items()]
    return [*left_out, *raised]


def _failed(case, entrant, outcomes):
    numbers, first = ", ".join(map(str, outcomes)), next(iter(outcomes.values()))
    return f"{case}, {entrant} failed in round {numbers}: {first['raised']}"


def plain(rows, words=1, *, last=False):
    """`words` columns at the left are words, and with `last` the last is: they begin where the column does."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    left = _left(rows, words, last=last)
    lines = [[_aligned(*cell) for cell in zip(row, widths, left, strict=True)] for row in rows]
    return "\n".join("  ".join(line).rstrip() for line in lines)


def markdown(rows, words=1, *, last=False):
    head, *rest = rows
    rule = ["---" if left else "---:" for left in _left(rows, words, last=last)]
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, rule, *rest])


def _left(rows, words, *, last):
    columns = len(rows[0])
    return [place < words or (last and place == columns - 1) for place in range(columns)]


def _aligned(text, width, left):
    return text.ljust(width) if left else text.rjust(width)
