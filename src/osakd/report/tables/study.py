"""The tables of a study: its methods by validation or in several settings, each against others, and the claims."""

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

from osakd.plan import BASELINE, SMOOTHING
from osakd.report.statistics.claims import Claim, claims
from osakd.report.statistics.format import NO_DIFFERENCE, in_nats, nats, percent, points, with_less
from osakd.report.statistics.panel import MethodScores, RecordedPanel, shortfall
from osakd.report.statistics.scores import AVERAGED, BEST, CHOSEN, ECE, LAST, LAST_EPOCHS, NLL, VALIDATION, Measure
from osakd.report.statistics.spread import CONFIDENCE, FEWEST_SEEDS
from osakd.report.statistics.study import (
    OUTPUTS,
    Contrast,
    Gains,
    Overall,
    candidates,
    contrasts,
    is_harmless,
    mean_gain,
    overall,
    tuned_smoothing,
    worst,
)
from osakd.report.tables.results import METHOD, N_LESS, N
from osakd.report.tables.table import Column, Table, table_of

_VALIDATION_NLL, _VALIDATION_ECE = (Measure(metric, "validation", "best") for metric in ("nll", "ece"))
_SCORES = ((VALIDATION, "accuracy", 1), (_VALIDATION_NLL, "NLL", -1), (_VALIDATION_ECE, "ECE", -1))
"""What is compared by validation, its name, and whether more of it is better."""


def _std_of_last_epochs(row: MethodScores) -> str:
    std = fmean(row.by_seed(Measure("std_of_last_epochs")).values())
    counted = min(LAST_EPOCHS, *(len(run.curve.get("test.accuracy").values) for run in row.runs))
    return f"{100 * std:.2f}" + (f" (of {counted})" if counted < LAST_EPOCHS else "")


_VALIDATION_COLUMNS = (
    METHOD,
    N_LESS,
    Column[MethodScores]("validation %", lambda row: percent(row.spread(VALIDATION))),
    Column[MethodScores](f"vs {BASELINE} [95 % CI]", lambda row: row.difference(VALIDATION)),
    Column[MethodScores]("NLL", lambda row: nats(row.spread(_VALIDATION_NLL))),
    Column[MethodScores]("ECE %", lambda row: percent(row.spread(_VALIDATION_ECE))),
    Column[MethodScores]("test there %", lambda row: percent(row.spread(CHOSEN))),
    Column[MethodScores]("best on test %", lambda row: percent(row.spread(BEST))),
    Column[MethodScores]("last epoch %", lambda row: percent(row.spread(LAST))),
    Column[MethodScores](f"std of last {LAST_EPOCHS}", _std_of_last_epochs),
)


def validation_table(panel: RecordedPanel) -> Table[MethodScores]:
    """The methods of a study: those with the most seeds first, of these the best validation accuracy."""
    note = "Chosen by validation accuracy; the test set's scores stand beside it. Most seeds first, of these the best. "
    note = f"{note}{panel.other_baselines}".rstrip()
    return Table("Methods by validation", _VALIDATION_COLUMNS, panel.ranked, note, lambda row: row.label)


def _pairs(row: MethodScores) -> int:
    gain = row.gain(VALIDATION)
    return gain.n if gain else 0


def _n_of_pairs(row: MethodScores, words: str = "{}") -> str:
    """The number of pairs, and what of the runs of both falls short of the plan."""
    runs = [*row.runs, *MethodScores(row.panel, row.baseline).runs]
    less = shortfall(row.panel.planned, runs, _pairs(row), without=len(row.without))
    return with_less(words.format(_pairs(row)), less)


def _verdict(row: MethodScores) -> str:
    """In which validation scores a method is better or worse than another, each beyond its 95 % interval."""
    signs = {name: sign * (gain.sign or 0) for measure, name, sign in _SCORES if (gain := row.gain(measure))}
    better, worse = ([name for name, sign in signs.items() if sign == wanted] for wanted in (1, -1))
    if len(better) == len(_SCORES):
        return "better in all three"
    words = [f"{word} {', '.join(names)}" for word, names in (("better", better), ("worse", worse)) if names]
    return "; ".join(words) or NO_DIFFERENCE


_AGAINST = (
    METHOD,
    Column[MethodScores]("n", _n_of_pairs),
    Column[MethodScores]("validation accuracy", lambda row: points(row.gain(VALIDATION))),
    Column[MethodScores]("NLL", lambda row: in_nats(row.gain(_VALIDATION_NLL))),
    Column[MethodScores]("ECE", lambda row: points(row.gain(_VALIDATION_ECE))),
    Column[MethodScores]("verdict", _verdict, is_text=True),
)


def against_tables(panel: RecordedPanel) -> list[Table[MethodScores]]:
    """What every method with three common seeds gains on each that all are compared with, paired by seed."""
    planned = panel.planned
    if planned is None:
        return []

    def without_chosen(row: MethodScores) -> str:
        rest = replace(row, without=planned.chose)
        if _pairs(rest) < FEWEST_SEEDS:
            return "-"
        return f"{_n_of_pairs(rest, 'n = {}')}: {points(rest.gain(VALIDATION))}; {_verdict(rest)}"

    columns: Sequence[Column[MethodScores]] = _AGAINST
    if planned.chose:
        head = f"without seeds {', '.join(map(str, planned.chose))}, which chose the methods"
        columns = (*columns, Column[MethodScores](head, without_chosen, is_text=True))
    note = "At the epoch of the best validation accuracy; points and nats, paired by seed, with the 95 % interval."
    tables = []
    for baseline in planned.compared_with:
        rows = [MethodScores(panel, label, baseline=baseline) for label in panel.scores.runs]
        rows = [row for row in rows if _pairs(row) >= FEWEST_SEEDS]
        title = f"Validation scores against {baseline}"
        tables += [Table(title, columns, rows, note, lambda row: row.label)] if rows else []
    return tables


def claims_table(panel: RecordedPanel) -> Table[Sequence[str]] | None:
    """The paper's claims that the runs of a panel decide; None where they decide none."""
    note = "Differences in points, paired by seed, with the 95 % interval; fewer than three seeds decide nothing."
    rows = [[claim.text, claim.number, claim.verdict] for claim in claims(panel)]
    head = ("claim", "number [95 % CI]", "verdict")
    return table_of("The paper's claims", head, rows, note, words=(0, 2)) if rows else None


def all_claims_table(decided: Sequence[Claim]) -> Table[Sequence[str]]:
    """The claims of several panels, with where each is decided."""
    rows = [[claim.text, claim.where, claim.number, claim.verdict] for claim in decided]
    return table_of("Claims", ("claim", "where", "number [95 % CI]", "verdict"), rows, words=(0, 1, 3))


def _of_output(output: str) -> Sequence[Column[MethodScores]]:
    """Columns of a method with its last or with its averaged weights."""

    def of(row: MethodScores) -> MethodScores:
        return replace(row, output=output, baseline_output=output)

    kind = f", {output}" if output else ""
    return (
        Column[MethodScores](f"test %{kind}", lambda row: percent(of(row).spread(LAST))),
        Column[MethodScores](f"vs {BASELINE}{kind} [95 % CI]", lambda row: of(row).difference(LAST)),
        Column[MethodScores](f"NLL{kind}", lambda row: nats(of(row).spread(NLL))),
        Column[MethodScores](f"ECE %{kind}", lambda row: percent(of(row).spread(ECE))),
    )


_WEIGHTS = (METHOD, N, *_of_output(""), *_of_output(AVERAGED))


def weights_table(panel: RecordedPanel) -> Table[MethodScores]:
    """The methods of a panel with their last weights, and beside them with averaged weights."""
    rows = [row for row in candidates(panel) if not row.output]
    kinds = zip(OUTPUTS, ("last weights", "averaged"), strict=True)
    tuned = [f"{label} ({words})" for output, words in kinds if (label := tuned_smoothing(panel, output))]
    note = "Test accuracy of the last epoch, differences paired by seed. "
    note += f"Tuned label smoothing, the best by validation: {', '.join(tuned)}." if tuned else ""
    return Table("Last and averaged weights", _WEIGHTS, rows, note.rstrip(), lambda row: row.label)


def _mean(gains: Gains) -> str:
    return f"{100 * mean_gain(gains):+.2f}" if gains else "-"


def _worst(gains: Gains) -> str:
    if not gains:
        return "-"
    setting, gain = worst(gains)
    return f"{points(gain)}, {setting}"


_OVERALL = (
    Column[Overall]("method", lambda row: row.name, is_text=True),
    Column[Overall]("settings", lambda row: str(len(row.over_plain))),
    Column[Overall](f"mean vs {BASELINE}", lambda row: _mean(row.over_plain)),
    Column[Overall]("worst setting [95 % CI]", lambda row: _worst(row.over_plain)),
    Column[Overall]("never worse", lambda row: "yes" if is_harmless(row.over_plain) else "not shown", is_text=True),
    Column[Overall]("mean vs tuned smoothing", lambda row: _mean(row.over_smoothing)),
    Column[Overall]("worst setting [95 % CI] vs tuned smoothing", lambda row: _worst(row.over_smoothing)),
)


def overall_table(panels: Sequence[RecordedPanel]) -> Table[Overall]:
    """What every method gains on plain training in all settings, and in its worst one."""
    note = (
        "Test accuracy of the last epoch in points, paired by seed, each against plain training or tuned label "
        "smoothing with the same kind of weights. Never worse: the interval ends above -0.5 in every setting."
    )
    return Table("In all settings", _OVERALL, overall(panels), note)


def contrast_tables(panels: Sequence[RecordedPanel]) -> list[Table[Sequence[str]]]:
    """Our methods against others and controls: test accuracy, and NLL; a column for each panel."""
    rows, settings = contrasts(panels), [panel.name for panel in panels if panel.finished]

    def accuracy(setting: str, row: Contrast) -> str:
        return points(row.accuracy.get(setting)) + "*" * (row.adjusted.get(setting, 1) < 1 - CONFIDENCE)

    def nll(setting: str, row: Contrast) -> str:
        return in_nats(row.nll.get(setting))

    note = "Differences of the last epoch on the test images, paired by seed, with the 95 % interval."
    starred = f"{note} Star: p below 0.05 after Holm's correction over the whole table."
    return [
        table_of(
            f"Against other methods and controls: {what}",
            ["method", "against", *settings],
            [[row.name, row.baseline, *(cell(setting, row) for setting in settings)] for row in rows],
            words,
            words=(0, 1),
        )
        for what, cell, words in (("accuracy in points", accuracy, starred), ("NLL in nats", nll, note))
    ]


_CHOSEN_SCORES = [Measure(metric, at="by_validation", output=AVERAGED) for metric in ("accuracy", "nll", "ece")]
"""Of the averaged weights of the epoch with the best validation accuracy."""


def deployed_table(panels: Sequence[RecordedPanel]) -> Table[Sequence[str]]:
    """What averaging and choosing the epoch give, and what soft labels add; a column for each panel."""
    shown = [panel for panel in panels if panel.finished]
    labels = dict.fromkeys(label for panel in shown for label in panel.scores.runs)
    ours = next((panel.planned.ours for panel in shown if panel.planned and panel.planned.ours), "")
    simple = [label for label in labels if label.startswith(SMOOTHING)]

    def scores(label: str, measures: Sequence[Measure]) -> list[str]:
        spreads = [[panel.scores.spread(label, measure) for measure in measures] for panel in shown]
        means = [[spread.mean for spread in of_panel if spread] for of_panel in spreads]
        return [f"{100 * m[0]:.2f} / {m[1]:.2f} / {100 * m[2]:.1f}" if len(m) == len(measures) else "-" for m in means]

    def gains(label: str, baseline: str, over: Measure) -> list[str]:
        return [points(panel.scores.gain(label, baseline, _CHOSEN_SCORES[0], over=over)) for panel in shown]

    rows = [(f"{BASELINE}, last epoch", scores(BASELINE, [LAST, NLL, ECE]))]
    rows += [(f"{label}, chosen", scores(label, _CHOSEN_SCORES)) for label in (BASELINE, *simple, ours)]
    rows += [(f"{ours} - {label}, both chosen", gains(ours, label, _CHOSEN_SCORES[0])) for label in (BASELINE, *simple)]
    rows += [(f"{label}, chosen - {BASELINE}, last epoch", gains(label, BASELINE, LAST)) for label in (BASELINE, ours)]
    note = (
        "Chosen: the averaged weights of the epoch with the best validation accuracy, without a temperature. Means on "
        "the test images; differences of the accuracy in points, paired by seed, with the 95 % interval."
    )
    head = ["accuracy % / NLL / ECE %", *(panel.name for panel in shown)]
    return table_of("What is deployed", head, [[name, *cells] for name, cells in rows] if ours else [], note)
