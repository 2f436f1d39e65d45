"""What the runs of a panel say, in a few sentences computed from them: the verdict first."""

from collections.abc import Iterator

from osakd.methods.registry import METHODS
from osakd.plan import BASELINE, SMOOTHING
from osakd.report.statistics.format import IDENTICAL, NO_DIFFERENCE, percent, points
from osakd.report.statistics.panel import MethodScores, RecordedPanel
from osakd.report.statistics.scores import BEST, CHOSEN, DEPLOYED, LAST, VALIDATION, Measure
from osakd.report.statistics.spread import FEWEST_SEEDS, Difference
from osakd.report.statistics.study import candidates, named

_VALIDATION = Measure(split="validation", at="deployed")
_WHEN = {LAST: "at the last epoch", BEST: "at the best epoch on test", DEPLOYED: "as deployed"}
_BESIDE_PAPER = {
    "reproduced": "Plain training reproduces the paper",
    "better": "Plain training is better than in the paper",
    "worse": "Plain training is worse than in the paper",
    "too few runs": "Too few runs to compare plain training with the paper (at least 3)",
}


def findings(panel: RecordedPanel) -> list[str]:
    """The verdict, then what is behind it: the paper's numbers, every method against plain training, and smoothing."""
    if not panel.finished:
        return ["No run has finished yet." if panel.runs or not panel.planned else "Not run."]
    plain, smooth, ours = panel.find(BASELINE), panel.find(SMOOTHING), _method(panel)
    if panel.view in ("", "study"):
        verdict = advice(panel)
    elif panel.by_validation:
        verdict = _chosen(panel)
    else:
        verdict = _compared(ours, plain) if ours and plain else ""
    sentences = [verdict] if verdict else []
    if not sentences or (plain and plain.published):
        sentences.append(_reached(panel, plain))
    if plain and len(panel.deployed) > 1:
        sentences += [_against_plain(panel, measure) for measure in panel.accuracies]
    if ours and smooth:
        sentences.append(_compared(ours, smooth))
    return [*sentences, *remarks(panel)]


def advice(panel: RecordedPanel) -> str:
    """Which method to take, as a sentence; empty where fewer than two can be compared.

    The best by validation accuracy of the deployed network is recommended if it is better on the test images than the
    best of plain training and label smoothing (95 % interval, paired by seed). Otherwise that simpler one is, if it is
    better than plain training in its turn.
    """
    rows = candidates(panel)
    if BASELINE not in panel.scores.runs or len(rows) < 2:
        return ""
    gains = [(row, panel.scores.gain(row.label, BASELINE, row.of(_VALIDATION), over=_VALIDATION)) for row in rows]
    if all(gain is None for _, gain in gains):
        return (
            "No method is recommended: no images were held out for validation (--validation 0.1), and the test images "
            "must not choose."
        )
    known = [(row, gain.mean) for row, gain in gains if gain and gain.n >= FEWEST_SEEDS]
    ranked = [row for row, _ in sorted(known, key=lambda item: item[1], reverse=True)]
    if not ranked:
        return "No method is recommended: that takes three seeds of each."
    simple = next(row for row in ranked if row.label == BASELINE or row.label.startswith(SMOOTHING))
    plain = next(row for row in ranked if row.label == BASELINE and not row.output)
    best = taken = ranked[0]
    doubt = ""
    if best is not simple and not _is_better(best, simple):
        doubt = f"; {_name(best)} is the best by validation, but not shown to be better ({_gain_words(best, simple)})"
        taken = simple
    if taken is simple and taken is not plain and not _is_better(taken, plain):
        words = f"{_name(best)}, the best by validation, has {_gain_words(best, plain)}"
        doubt = f"; nothing is shown to be better: {words}"
        taken = plain
    parts = [f"{percent(taken.spread(DEPLOYED))} % on test", f"{taken.n} seeds"]
    if taken is not plain:
        others = [plain] if taken is simple or simple is plain else [plain, simple]
        parts += [f"{_gain_words(taken, other)} over {_name(other)}" for other in others]
        parts.append(_needs(taken))
    return f"Take {_name(taken)}: {', '.join(parts)}{doubt}."


def _compared(ours: MethodScores, theirs: MethodScores) -> str:
    """A method against another at each epoch that counts, and the paper's gain."""
    gains = {measure: ours.gain(measure, theirs) for measure in ours.panel.accuracies}
    words = [
        f"{_verdict(gain)} {_WHEN[measure]} ({points(gain)} points)" for measure, gain in gains.items() if gain
    ] or [ours.same(theirs) or "no seed is common to both, so they cannot be compared"]
    if ours.published and theirs.published:
        words[-1] += f"; the paper's gain is {ours.published.mean - theirs.published.mean:+.2f}"
    fewer = min(ours, theirs, key=lambda method: method.n)
    return f"{ours.label} against {theirs.label}: {', '.join(words)}, {_size(fewer)}."


def _verdict(gain: Difference) -> str:
    return {None: "too few seeds to tell", 0: NO_DIFFERENCE, 1: "better", -1: "worse"}[gain.sign]


def _reached(panel: RecordedPanel, plain: MethodScores | None) -> str:
    """What plain training reaches, beside the paper where that has a number; without it the best method."""
    shown = plain or panel.scores_of(panel.scores.best(panel.scores.runs, panel.accuracies[0]) or "")
    reached = [f"{percent(shown.spread(measure))} % {_WHEN[measure]}" for measure in panel.accuracies]
    if plain and plain.published:
        reached[-1] += f" (paper: {plain.published.mean:.2f} ± {plain.published.std:.2f} %)"
        return f"{_BESIDE_PAPER[plain.beside_paper]}: {'; '.join(reached[::-1])}, {_size(shown)}."
    what = "Plain training" if plain else f"Plain training was not run, so no gain is known; {shown.label}"
    return f"{what} reaches {' and '.join(reached)}, {_size(shown)}."


def _against_plain(panel: RecordedPanel, measure: Measure) -> str:
    """Which methods are better or worse than plain training, and which are not shown to be either."""
    by_verdict: dict[str, list[str]] = {word: [] for word in ("better", "worse", NO_DIFFERENCE)}
    for row in panel.deployed:
        gain = row.gain(measure)
        if row.baseline == BASELINE and row.label != BASELINE:
            words = _verdict(gain) if gain else row.same() or "no common seed"
            by_verdict.setdefault(words, []).append(row.label)
    return f"Against plain training {_WHEN[measure]}: {_listed(by_verdict)}."


def _listed(by_words: dict[str, list[str]]) -> str:
    return "; ".join(f"{words}: {', '.join(labels)}" for words, labels in by_words.items() if labels)


def _chosen(panel: RecordedPanel) -> str:
    """Which method validation chooses, beside what it is compared with."""
    best = panel.ranked[0]
    words = f"Validation chooses {best.label} of {len(panel.ranked)}: {_accuracies(best)}, {_size(best)}"
    gain = best.gain(VALIDATION)
    if gain is None:
        return f"{words}."
    verdict = f"{_verdict(gain)} against {best.baseline} ({points(gain)} points on validation)"
    return f"{words}; {verdict}."


def _accuracies(method: MethodScores) -> str:
    return f"{percent(method.spread(VALIDATION))} % on validation, {percent(method.spread(CHOSEN))} % on test"


def remarks(panel: RecordedPanel) -> Iterator[str]:
    """Methods that trained equal networks, whose soft labels had no part, or that probably answer one class."""
    groups: dict[str, list[str]] = {}
    for row in panel.deployed:
        first = next(other for other in panel.deployed if other.label == row.label or row.same(other) == IDENTICAL)
        groups.setdefault(first.label, []).append(row.label)
    for labels in groups.values():
        if len(labels) > 1:
            yield f"{_and(labels)} trained equal networks: what differs between these methods did nothing."
    if idle := [row.label for row in panel.deployed if row.is_idle]:
        yield f"The soft labels of {_and(idle)} had no part in the loss: the difference to plain training is rounding."
    stuck: dict[str, list[str]] = {}
    for row in panel.deployed:
        values = row.by_seed(panel.accuracies[0]).values()
        if len(values) > 1 and len(set(values)) == 1:
            stuck.setdefault(f"{100 * max(values):.2f}", []).append(row.label)
    for value, labels in stuck.items():
        yield f"{_and(labels)} reach {value} % with every seed: they may answer one class whatever the image."


def _and(labels: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(labels[:-1]), labels[-1]]))


def _method(panel: RecordedPanel) -> MethodScores | None:
    """The method that the findings are about: what the plan names, else the first with soft labels of neighbours."""
    if panel.planned is not None:
        return panel.find(panel.planned.ours) if panel.planned.ours else None
    for method in panel.deployed:
        entry = METHODS.get(method.runs[0].config.method)
        if entry is not None and entry.settings.has_soft_labels:
            return method
    return None


def _is_better(ours: MethodScores, theirs: MethodScores) -> bool:
    gain = ours.gain(DEPLOYED, theirs)
    return gain is not None and gain.sign == 1


def _gain_words(ours: MethodScores, theirs: MethodScores) -> str:
    return ours.same(theirs) or f"{points(ours.gain(DEPLOYED, theirs))} points"


def _needs(row: MethodScores) -> str:
    """What its training needs beyond the network. A step's time would say less: some runs are timed in groups."""
    method = row.runs[0].config.method
    needs = ["averaged weights beside the network's own"] if row.output else []
    if method in METHODS and not METHODS[method].settings.single_network:
        needs.append("further networks or branches")
    return f"training needs {' and '.join(needs) or 'no other network'}"


def _name(row: MethodScores) -> str:
    return named(row.label, row.output)


def _size(method: MethodScores) -> str:
    """How many seeds, or what falls short of the plan, behind a number."""
    return method.shortfall or f"{method.n} seed{'s' * (method.n > 1)}"
