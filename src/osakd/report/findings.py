"""What the records say, in three sentences, computed from them: plain training, OSAKD, label smoothing."""

from collections.abc import Sequence

from osakd.report.aggregate import BASELINE, Difference, MethodSummary, paired_difference
from osakd.report.grids import smaller_than_planned
from osakd.report.plan import Column
from osakd.report.readings import best_reading
from osakd.report.tables import percent, points
from osakd.report.verdicts import FEWEST_RUNS, verdict

SMOOTHING = "label-smoothing"
_BEST, _LAST = "at the best epoch on test", "at the last"
_VERDICTS = {
    "reproduced": "reproduces the paper",
    "better": "is better than in the paper",
    "worse": "is worse than in the paper",
    "too few runs": "cannot be judged beside the paper, which takes three runs",
}


def findings(columns: Sequence[Column]) -> list[str]:
    """Three sentences; those of several columns are joined, each with its name.

    Args:
        columns: with finished runs, at least one.
    """
    return [
        _sentence([(column.name, clause(column)) for column in columns]) for clause in (_reference, _osakd, _smoothing)
    ]


def judged(difference: Difference | None, where: str) -> str:
    """A paired difference in words: ``better at the last epoch (+1.85 [+1.20, +2.50] points)``."""
    if difference is None:
        return f"not to be told {where}, for no seed is common"
    numbers = f"{where} ({points(difference)} points)"
    if difference.low is None or difference.high is None or difference.n < FEWEST_RUNS:
        return f"undecided with {difference.n} seed{'s' if difference.n > 1 else ''} {numbers}"
    return f"{'better' if difference.low > 0 else 'worse' if difference.high < 0 else 'not told apart'} {numbers}"


def _sentence(parts: Sequence[tuple[str, str]]) -> str:
    if len(parts) == 1:
        words = parts[0][1]
    elif len({words for _, words in parts}) == 1:
        words = f"on {' and '.join(name for name, _ in parts)} {parts[0][1]}"
    else:
        words = "; ".join(f"on {name} {words}" for name, words in parts)
    return f"{words[0].upper()}{words[1:]}."


def _reference(column: Column) -> str:
    """Plain training, beside the paper where it has a number for it."""
    plain = column.find(BASELINE)
    if plain is None:
        best = _highest(column)
        return (
            "plain training is not among the finished runs, so no difference to it can be told; the highest last epoch "
            f"is {best.label}'s, {percent(best.spreads['last'])} %{_size(column, best)}"
        )
    last = f"{percent(plain.spreads['last'])} % at the last{_size(column, plain)}"
    best = f"{percent(plain.spreads['best_on_test'])} % at the best epoch on test"
    cell = next((cell for cell in column.cells if cell.label == BASELINE), None)
    if cell is None or cell.published is None:
        return f"plain training reaches {best} and {last}"
    mean, std = cell.published
    word = verdict([100 * value for value in plain.values["best_on_test"]], mean, std)
    return f"plain training {_VERDICTS[word]}: {best}, where the paper has {mean:.2f} ± {std:.2f} %, and {last}"


def _osakd(column: Column) -> str:
    """OSAKD against plain training with the same seeds; of a study, what validation chooses."""
    if column.by_validation:
        return best_reading(column.planned, column.cells, column.wanted)
    ours, plain = _first(column, "osakd"), column.find(BASELINE)
    if ours is None:
        return f"OSAKD is not among the finished runs; {_others(column, plain)}"
    if plain is None:
        best, last = (percent(ours.spreads[key]) for key in ("best_on_test", "last"))
        return f"OSAKD ({ours.label}) reaches {best} % {_BEST} and {last} % {_LAST}{_size(column, ours)}"
    gain = _paper_gain(column, ours)
    there = "" if gain is None else f", where the paper has {gain:+.2f}"
    best, last = (ours.differences.get(key) for key in ("best_on_test", "last"))
    return (
        f"against plain training with the same seeds, {ours.label} is {judged(best, _BEST)}{there}, and "
        f"{judged(last, _LAST)}{_size(column, ours)}"
    )


def _smoothing(column: Column) -> str:
    """Label smoothing against plain training, and OSAKD against label smoothing."""
    smooth, plain, ours = column.find(SMOOTHING), column.find(BASELINE), _first(column, "osakd")
    if smooth is None:
        return "label smoothing is not among the finished runs, so what smoothing alone does cannot be told"
    parts = []
    if plain is not None:
        best, last = (smooth.differences.get(key) for key in ("best_on_test", "last"))
        parts.append(f"against plain training, label smoothing is {judged(best, _BEST)} and {judged(last, _LAST)}")
        parts[-1] += _size(column, smooth)
    if ours is not None:
        best, last = (_paired(ours, smooth, key) for key in ("best_on_test", "last"))
        parts.append(f"against label smoothing, {ours.label} is {judged(best, _BEST)} and {judged(last, _LAST)}")
        parts[-1] += _size(column, ours)
    if not parts:
        parts.append(f"label smoothing reaches {percent(smooth.spreads['last'])} % {_LAST}{_size(column, smooth)}")
    return "; ".join(parts)


def _first(column: Column, method: str) -> MethodSummary | None:
    return next((one for one in column.methods if one.method == method and one.predictor is None), None)


def _highest(column: Column) -> MethodSummary:
    return max((one for one in column.methods if one.predictor is None), key=lambda one: one.spreads["last"].mean)


def _others(column: Column, plain: MethodSummary | None) -> str:
    """How many of the other methods are better than plain training."""
    if plain is None:
        return "nothing else can be said of it"
    compared = [one for one in column.methods if one.predictor is None and "last" in one.differences]
    elsewhere = {cell.label for cell in column.cells if cell.baseline != BASELINE}
    found = [one for one in compared if one.label not in elsewhere]
    if not found:
        return "plain training stands alone"
    best = max(found, key=lambda one: one.differences["last"].mean)
    return (
        f"against plain training, the highest of the others, {best.label}, is {judged(best.differences['last'], _LAST)}"
    )


def _size(column: Column, method: MethodSummary) -> str:
    """How many seeds, or what is smaller than planned."""
    return f", {smaller_than_planned(column, method).strip(' ()') or f'n = {len(method.seeds)}'}"


def _paper_gain(column: Column, ours: MethodSummary) -> float | None:
    """The paper's difference to plain training, in points."""
    cells = {cell.label: cell.published for cell in column.cells}
    mine, plain = cells.get(ours.label), cells.get(BASELINE)
    return mine[0] - plain[0] if mine and plain else None


def _paired(ours: MethodSummary, theirs: MethodSummary, key: str) -> Difference | None:
    other = dict(zip(theirs.seeds, theirs.values[key], strict=True))
    pairs = [(mine, other[seed]) for seed, mine in zip(ours.seeds, ours.values[key], strict=True) if seed in other]
    return paired_difference([one for one, _ in pairs], [one for _, one in pairs]) if pairs else None
