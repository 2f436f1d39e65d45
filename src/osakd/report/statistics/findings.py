"""What the records say, in a few sentences computed from them: plain training, the method, label smoothing."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from osakd.methods.registry import METHODS
from osakd.plan import BASELINE, SMOOTHING
from osakd.report.statistics.format import NO_DIFFERENCE, percent, points
from osakd.report.statistics.panel import MethodScores, RecordedPanel
from osakd.report.statistics.scores import BEST, CHOSEN, DEPLOYED, LAST, VALIDATION, Measure
from osakd.report.statistics.spread import Difference

_WHEN = {LAST: "at the last epoch", BEST: "at the best epoch on test", DEPLOYED: "as deployed"}
_PLAIN, _SMOOTHING = "plain training", "label smoothing"
_VERDICTS = {
    "reproduced": "Plain training reproduces the paper",
    "better": "Plain training is better than in the paper",
    "worse": "Plain training is worse than in the paper",
    "too few runs": "Too few runs to compare plain training with the paper (at least 3)",
}


def findings(panels: Sequence[RecordedPanel]) -> list[str]:
    """Three short paragraphs for each panel: plain training, the method, label smoothing; and which runs are equal.

    With several panels each paragraph names its own; every panel has finished runs.
    """
    paragraphs = [(panel, describe(panel)) for panel in panels for describe in (_plain, _ours, _smoothing)]
    paragraphs += [(panel, sentence) for panel in panels for sentence in panel.equal_runs]
    if len(panels) == 1:
        return [words for _, words in paragraphs]
    return [f"On {panel.name}, {words[0].lower()}{words[1:]}" for panel, words in paragraphs]


def compared(ours: str, theirs: str, differences: Mapping[Measure, Difference | None]) -> str:
    """How a method compares with another at each epoch that counts, as sentences, the verdict first.

    The differences are ours - theirs; None without a common seed.
    """
    by_verdict: dict[str, list[str]] = {}
    for measure, difference in differences.items():
        if difference is None:
            return f"No seed is common to {ours} and {theirs}, so they cannot be compared."
        by_verdict.setdefault(_verdict(ours, theirs, difference), []).append(
            f"{_WHEN[measure]} ({points(difference)} points)"
        )
    return " ".join(f"{words} {' and '.join(places)}." for words, places in by_verdict.items())


def _verdict(ours: str, theirs: str, difference: Difference) -> str:
    if difference.sign is None:
        return f"Too few seeds to compare {ours} with {theirs}"
    if difference.sign:
        return f"{ours} is {'better' if difference.sign > 0 else 'worse'} than {theirs}"
    return f"N{NO_DIFFERENCE[1:]} between {ours} and {theirs}"


def _plain(panel: RecordedPanel) -> str:
    """Plain training, beside the paper where it has a number for it."""
    plain = panel.find(BASELINE)
    if plain is None:
        measure = panel.accuracies[0]
        best = panel.scores_of(panel.scores.best(panel.scores.runs, measure) or "")
        return (
            f"Plain training was not run, so no gain is known. The best network {_WHEN[measure]} is {best.label}'s: "
            f"{percent(best.spread(measure))} %{_size(best)}."
        )
    published = plain.published
    if published is None:
        return f"Plain training {_reaches(plain)}"
    last, best = (f"{percent(plain.spread(measure))} % {when}" for measure, when in _words(panel))
    paper = f"(paper: {published.mean:.2f} ± {published.std:.2f} %)"
    return f"{_VERDICTS[plain.beside_paper]}: {best} {paper}; {last}{_size(plain)}."


def _ours(panel: RecordedPanel) -> str:
    """The method against plain training with the same seeds; of a study, what validation chooses."""
    if panel.by_validation:
        return _chosen(panel)
    ours, plain = _method(panel), panel.find(BASELINE)
    if ours is None:
        return _best_of_others(panel, plain)
    if plain is None:
        return f"{ours.label} {_reaches(ours)}"
    words = compared(ours.label, _PLAIN, {measure: ours.gain(measure) for measure in panel.accuracies})
    published, reference = ours.published, plain.published
    if published and reference:
        words += f" The paper's gain is {published.mean - reference.mean:+.2f} points {_WHEN[BEST]}."
    return f"{words}{_size_sentence(ours, plain)}"


def _smoothing(panel: RecordedPanel) -> str:
    """Label smoothing against plain training, and the method against label smoothing."""
    smooth, ours, plain = panel.find(SMOOTHING), _method(panel), panel.find(BASELINE)
    if smooth is None:
        return "Label smoothing was not run, so what smoothing alone gains is unknown."
    sentences = []
    if plain is not None:
        words = compared(_SMOOTHING, _PLAIN, {measure: smooth.gain(measure) for measure in panel.accuracies})
        sentences.append(f"{_capital(words)}{_size_sentence(smooth, plain)}")
    if ours is not None:
        over_smoothing = replace(ours, baseline=SMOOTHING)
        words = compared(
            ours.label, _SMOOTHING, {measure: over_smoothing.gain(measure) for measure in panel.accuracies}
        )
        sentences.append(f"{words}{_size_sentence(ours, smooth)}")
    measure = panel.accuracies[0]
    alone = f"Label smoothing reaches {percent(smooth.spread(measure))} % {_WHEN[measure]}{_size(smooth)}."
    return " ".join(sentences) or alone


def _chosen(panel: RecordedPanel) -> str:
    """Which method validation chooses, beside what it is compared with."""
    ranked = panel.ranked
    best = ranked[0]
    words = (
        f"Of {len(ranked)} method{'s' * (len(ranked) > 1)}, validation chooses {best.label}: {_accuracies(best)}"
        f"{_size(best)}."
    )
    gain, baseline = best.gain(VALIDATION), panel.find(best.baseline)
    if gain is None or baseline is None:
        return words
    verdict = _capital(_verdict("it", baseline.label, gain))
    return f"{words} {verdict} ({_accuracies(baseline)}): {points(gain)} points on validation, {_seeds(gain.n)}."


def _accuracies(method: MethodScores) -> str:
    return f"{percent(method.spread(VALIDATION))} % on validation, {percent(method.spread(CHOSEN))} % on test"


def _reaches(method: MethodScores) -> str:
    accuracies = " and ".join(f"{percent(method.spread(measure))} % {when}" for measure, when in _words(method.panel))
    return f"reaches {accuracies}{_size(method)}."


def _words(panel: RecordedPanel) -> list[tuple[Measure, str]]:
    return [(measure, _WHEN[measure]) for measure in panel.accuracies]


def _method(panel: RecordedPanel) -> MethodScores | None:
    """The method that the findings are about: what the plan names, else the first with soft labels of neighbours."""
    if panel.planned is not None:
        return panel.find(panel.planned.ours) if panel.planned.ours else None
    for method in panel.deployed:
        entry = METHODS.get(method.runs[0].config.method)
        if entry is not None and entry.settings.has_soft_labels:
            return method
    return None


def _best_of_others(panel: RecordedPanel, plain: MethodScores | None) -> str:
    """The best of the methods that are compared with plain training."""
    if plain is None:
        return "No method with soft labels of neighbours was run."
    measure = panel.accuracies[0]
    gains = [(method, method.gain(measure)) for method in panel.deployed if method.baseline == BASELINE]
    known = [(method, gain) for method, gain in gains if gain is not None]
    if not known:
        return "Only plain training was run."
    best, gain = max(known, key=lambda pair: pair[1].mean)
    words = compared(best.label, _PLAIN, {measure: gain})
    return f"The best of the other methods is {best.label}. {words}{_size_sentence(best, plain)}"


def _size(method: MethodScores) -> str:
    """How many seeds, or what falls short of the plan, behind a number."""
    return f", {method.shortfall or _seeds(method.n)}"


def _size_sentence(first: MethodScores, second: MethodScores) -> str:
    """The same as a sentence, of the method that has fewer of the seeds that are compared."""
    fewer = min(first, second, key=lambda method: method.n)
    return f" Smaller than planned: {fewer.shortfall}." if fewer.shortfall else f" {_seeds(fewer.n)}."


def _seeds(number: int) -> str:
    return f"{number} seed{'s' * (number > 1)}"


def _capital(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}"
