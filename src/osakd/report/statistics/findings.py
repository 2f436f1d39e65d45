"""What the records say, in a few sentences computed from them: plain training, the method, label smoothing."""

from collections.abc import Sequence

from osakd.methods.registry import METHODS
from osakd.plan import BASELINE, SMOOTHING
from osakd.report.statistics.aggregate import MethodSummary
from osakd.report.statistics.column import RecordedColumn
from osakd.report.statistics.format import NO_DIFFERENCE, percent, points
from osakd.report.statistics.readings import CellReadings, cell_readings
from osakd.report.statistics.spread import Difference, paired_by_seed
from osakd.report.statistics.verdicts import verdict

_WHEN = {"last": "at the last epoch", "best_on_test": "at the best epoch on test"}
_PLAIN, _SMOOTHING = "plain training", "label smoothing"
_VERDICTS = {
    "reproduced": "Plain training reproduces the paper",
    "better": "Plain training is better than in the paper",
    "worse": "Plain training is worse than in the paper",
    "too few runs": "Too few runs to compare plain training with the paper (at least 3)",
}


def findings(columns: Sequence[RecordedColumn]) -> list[str]:
    """Three short paragraphs for each column: plain training, the method, label smoothing.

    Args:
        columns: columns with finished runs, at least one; with several, each paragraph names its column.
    """
    said = [(column, about(column)) for column in columns for about in (_reference, _ours, _smoothing)]
    return [_on(column, words) if len(columns) > 1 else words for column, words in said]


def compared(ours: str, theirs: str, differences: dict[str, Difference | None]) -> str:
    """How one method compares with another at each epoch that counts, as sentences, the verdict first.

    Args:
        ours: name of the first.
        theirs: name of the second.
        differences: ours - theirs, by ``last`` and ``best_on_test``; None without a common seed.

    Example:
        >>> compared("a", "b", {"last": Difference(3, 0.02, 0.01, 0.03)})
        'a is better than b at the last epoch (+2.00 [+1.00, +3.00] points).'
    """
    by_verdict: dict[str, list[str]] = {}
    for key, difference in differences.items():
        if difference is None:
            return f"No seed is common to {ours} and {theirs}, so they cannot be compared."
        by_verdict.setdefault(_verdict(ours, theirs, difference), []).append(
            f"{_WHEN[key]} ({points(difference)} points)"
        )
    return " ".join(f"{words} {' and '.join(places)}." for words, places in by_verdict.items())


def _on(column: RecordedColumn, said: str) -> str:
    """A paragraph with the column's name in front."""
    return f"On {column.name}, {said[0].lower()}{said[1:]}"


def _verdict(ours: str, theirs: str, difference: Difference) -> str:
    if difference.sign is None:
        return f"Too few seeds to compare {ours} with {theirs}"
    if difference.sign:
        return f"{ours} is {'better' if difference.sign > 0 else 'worse'} than {theirs}"
    return f"{_capital(NO_DIFFERENCE)} between {ours} and {theirs}"


def _reference(column: RecordedColumn) -> str:
    """Plain training, beside the paper where it has a number for it."""
    plain = column.find(BASELINE)
    if plain is None:
        best = max(column.deployed, key=lambda one: one.spreads["last"].mean)
        return (
            f"Plain training was not run, so no gain is known. The best last epoch is {best.label}'s: "
            f"{percent(best.spreads['last'])} %{_size(column, best)}."
        )
    last, best = (f"{percent(plain.spreads[key])} % {_WHEN[key]}" for key in ("last", "best_on_test"))
    published = next((cell.published for cell in column.cells if cell.label == BASELINE), None)
    if published is None:
        return f"Plain training reaches {last} and {best}{_size(column, plain)}."
    word = verdict([100 * value for value in plain.values["best_on_test"]], published.mean, published.std)
    there = f"(paper: {published.mean:.2f} ± {published.std:.2f} %)"
    return f"{_VERDICTS[word]}: {best} {there}; {last}{_size(column, plain)}."


def _ours(column: RecordedColumn) -> str:
    """The method against plain training with the same seeds; of a study, what validation chooses."""
    if column.by_validation:
        return _chosen(column)
    ours, plain = _method(column), column.find(BASELINE)
    if ours is None:
        return _best_of_others(column, plain)
    if plain is None:
        last, best = (f"{percent(ours.spreads[key])} % {_WHEN[key]}" for key in ("last", "best_on_test"))
        return f"{ours.label} reaches {last} and {best}{_size(column, ours)}."
    said = compared(ours.label, _PLAIN, {key: ours.differences.get(key) for key in _WHEN})
    gain = _paper_gain(column, ours)
    there = "" if gain is None else f" The paper's gain is {gain:+.2f} points {_WHEN['best_on_test']}."
    return f"{said}{there}{_size_sentence(column, ours, plain)}"


def _smoothing(column: RecordedColumn) -> str:
    """Label smoothing against plain training, and the method against label smoothing."""
    smooth, ours, plain = column.find(SMOOTHING), _method(column), column.find(BASELINE)
    if smooth is None:
        return "Label smoothing was not run, so what smoothing alone gains is unknown."
    said = []
    if plain is not None:
        said.append(compared(_SMOOTHING, _PLAIN, {key: smooth.differences.get(key) for key in _WHEN}))
        said[-1] = f"{_capital(said[-1])}{_size_sentence(column, smooth, plain)}"
    if ours is not None:
        gains = {key: paired_by_seed(ours.by_seed(key), smooth.by_seed(key)) for key in _WHEN}
        said.append(compared(ours.label, _SMOOTHING, gains) + _size_sentence(column, ours, smooth))
    alone = f"Label smoothing reaches {percent(smooth.spreads['last'])} % {_WHEN['last']}{_size(column, smooth)}."
    return " ".join(said) or alone


def _chosen(column: RecordedColumn) -> str:
    """Which cell validation chooses, beside what it is compared with."""
    cells = cell_readings(column)
    best, others = cells[0], {cell.label: cell for cell in cells}
    size = best.smaller or _seeds(best.n)
    chosen = (
        f"Of {len(cells)} cell{'s' * (len(cells) > 1)}, validation chooses {best.label}: {_accuracies(best)}, {size}."
    )
    if best.gain is None:
        return chosen
    other, gain = others[best.baseline], best.gain
    verdict = _capital(_verdict("it", other.label, gain))
    return f"{chosen} {verdict} ({_accuracies(other)}): {points(gain)} points on validation, {_seeds(gain.n)}."


def _accuracies(cell: CellReadings) -> str:
    return f"{percent(cell.spread('validation'))} % on validation, {percent(cell.spread('test'))} % on test"


def _method(column: RecordedColumn) -> MethodSummary | None:
    """The method that the findings are about: what the plan names, else the first with soft labels of neighbours."""
    if column.plan is not None:
        return column.find(column.plan.ours) if column.plan.ours else None
    return next(
        (one for one in column.deployed if one.method in METHODS and METHODS[one.method].settings.has_soft_labels), None
    )


def _best_of_others(column: RecordedColumn, plain: MethodSummary | None) -> str:
    """The best of the methods that are compared with plain training."""
    if plain is None:
        return "No method with soft labels of neighbours was run."
    compared_with_plain = [
        one for one in column.deployed if "last" in one.differences and column.baseline_of(one.label) == BASELINE
    ]
    if not compared_with_plain:
        return "Only plain training was run."
    best = max(compared_with_plain, key=lambda one: one.differences["last"].mean)
    said = compared(best.label, _PLAIN, {"last": best.differences["last"]})
    return f"The best of the other methods is {best.label}. {said}{_size_sentence(column, best, plain)}"


def _size(column: RecordedColumn, method: MethodSummary) -> str:
    """How many seeds, or what is smaller than planned, behind a number."""
    return f", {column.smaller(method) or _seeds(len(method.seeds))}"


def _size_sentence(column: RecordedColumn, one: MethodSummary, other: MethodSummary) -> str:
    """The same as a sentence, of the one that has fewer of the seeds that are compared."""
    fewer = min(one, other, key=lambda method: len(method.seeds))
    less = column.smaller(fewer)
    return f" Smaller than planned: {less}." if less else f" {_capital(_seeds(len(fewer.seeds)))}."


def _seeds(number: int) -> str:
    return f"{number} seed{'s' * (number > 1)}"


def _capital(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}"


def _paper_gain(column: RecordedColumn, ours: MethodSummary) -> float | None:
    """The paper's difference to plain training, in points."""
    published = {cell.label: cell.published for cell in column.cells}
    mine, plain = published.get(ours.label), published.get(BASELINE)
    return mine.mean - plain.mean if mine and plain else None
