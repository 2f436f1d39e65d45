"""Against label smoothing, and other cells that all are compared with: what each gains, by validation scores alone."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from osakd.report.statistics.column import RecordedColumn
from osakd.report.statistics.format import NO_DIFFERENCE
from osakd.report.statistics.pooled import smaller_runs
from osakd.report.statistics.readings import CellReadings, cell_readings
from osakd.report.statistics.spread import FEWEST_SEEDS, Difference, paired_difference

_SCORES = {"validation": ("accuracy", 1), "validation_nll": ("NLL", -1), "validation_ece": ("ECE", -1)}
"""What is compared, its name, and whether more of it is better."""


@dataclass(frozen=True)
class RivalRow:
    """What a cell gains on another, at the epoch of the best validation accuracy of both.

    Attributes:
        label: label of the cell.
        n: number of pairs.
        accuracy: difference of the validation accuracies.
        nll: difference of the validation NLL, in nats.
        ece: difference of the validation ECE.
        smaller: what is smaller than planned, as a list.
        rest: the same without the seeds that chose the cells; None where fewer than three are left.
    """

    label: str
    n: int
    accuracy: Difference
    nll: Difference
    ece: Difference
    smaller: str
    rest: "RivalRow | None" = None

    @property
    def verdict(self) -> str:
        """In which scores the cell is better or worse, each beyond its 95 % interval."""
        return verdict((self.accuracy, self.nll, self.ece))


@dataclass(frozen=True)
class Rivalry:
    """The cells of a column against one of them.

    Attributes:
        rival: label of that one.
        chose: seeds that chose the cells.
        rows: the other cells with at least three common seeds.
    """

    rival: str
    chose: tuple[int, ...]
    rows: list[RivalRow]


def rivalries(column: RecordedColumn) -> list[Rivalry]:
    """A column against each of its rivals; where no cell has enough common seeds there is none."""
    if column.plan is None:
        return []
    cells = {cell.label: cell for cell in cell_readings(column)}
    cells = {label: cells[label] for label in column.planned}
    chose = column.plan.chose
    pairs = [Rivalry(rival, chose, list(_rows(column, cells, rival))) for rival in column.plan.rivals if rival in cells]
    return [one for one in pairs if one.rows]


def verdict(gains: Sequence[Difference]) -> str:
    """Whether a reading is better than its rival: in validation accuracy, NLL and ECE, each beyond its 95 % interval.

    Args:
        gains: differences of accuracy, NLL and ECE.

    Example:
        >>> verdict([Difference(5, 0.01, 0.005, 0.015), Difference(5, -0.1, -0.2, -0.05), Difference(5, 0, -0.1, 0.1)])
        'better accuracy, NLL'
    """
    signs = [(name, sign * (gain.sign or 0)) for (name, sign), gain in zip(_SCORES.values(), gains, strict=True)]
    better, worse = ([name for name, one in signs if one == wanted] for wanted in (1, -1))
    if len(better) == len(signs):
        return "better in all three"
    said = [f"{word} {', '.join(names)}" for word, names in (("better", better), ("worse", worse)) if names]
    return "; ".join(said) or NO_DIFFERENCE


def _rows(column: RecordedColumn, cells: dict[str, CellReadings], rival: str) -> Iterator[RivalRow]:
    chose = column.plan.chose if column.plan else ()
    for label, ours in cells.items():
        row = _row(column, ours, cells[rival], ()) if label != rival else None
        if row is not None:
            yield replace(row, rest=_row(column, ours, cells[rival], chose) if chose else None)


def _row(
    column: RecordedColumn, ours: CellReadings, theirs: CellReadings, left_out: tuple[int, ...]
) -> RivalRow | None:
    seeds = [seed for seed in ours.runs if seed in theirs.runs and seed not in left_out]
    if len(seeds) < FEWEST_SEEDS:
        return None
    accuracy, nll, ece = (_gain(ours, theirs, key, seeds) for key in _SCORES)
    both = [*ours.runs.values(), *theirs.runs.values()]
    less = smaller_runs(column.plan, both, len(seeds), left_out=len(left_out))
    return RivalRow(ours.label, len(seeds), accuracy, nll, ece, less)


def _gain(ours: CellReadings, theirs: CellReadings, key: str, seeds: Sequence[int]) -> Difference:
    own, other = ours.by_seed(key), theirs.by_seed(key)
    return paired_difference([own[seed] for seed in seeds], [other[seed] for seed in seeds])
