"""The tables of a study: its cells by validation, each against its rivals, and the paper's claims."""

from collections.abc import Sequence
from statistics import fmean

from osakd.plan import BASELINE
from osakd.report.statistics.claims import Claim, claims
from osakd.report.statistics.column import RecordedColumn
from osakd.report.statistics.format import in_nats, nats, percent, points, with_less
from osakd.report.statistics.readings import LAST_EPOCHS, CellReadings, cell_readings
from osakd.report.statistics.rivals import RivalRow, Rivalry, rivalries
from osakd.report.statistics.verdicts import other_baselines
from osakd.report.tables.table import Column, Table


def _std_of_last_epochs(cell: CellReadings) -> str:
    std = fmean(one.std_of_last_epochs for one in cell.readings.values())
    return f"{100 * std:.2f}" + (f" (of {cell.counted})" if cell.counted < LAST_EPOCHS else "")


_READINGS = (
    Column[CellReadings]("cell", lambda cell: cell.label, is_text=True),
    Column[CellReadings]("n", lambda cell: with_less(str(cell.n), cell.smaller)),
    Column[CellReadings]("validation %", lambda cell: percent(cell.spread("validation"))),
    Column[CellReadings](f"vs {BASELINE} [95 % CI]", lambda cell: points(cell.gain, cell.n)),
    Column[CellReadings]("NLL", lambda cell: nats(cell.spread("validation_nll"))),
    Column[CellReadings]("ECE %", lambda cell: percent(cell.spread("validation_ece"))),
    Column[CellReadings]("test there %", lambda cell: percent(cell.spread("test"))),
    Column[CellReadings]("best on test %", lambda cell: percent(cell.spread("best_on_test"))),
    Column[CellReadings]("last epoch %", lambda cell: percent(cell.spread("last"))),
    Column[CellReadings](f"std of last {LAST_EPOCHS}", _std_of_last_epochs),
)
_RIVALS = (
    Column[RivalRow]("cell", lambda row: row.label, is_text=True),
    Column[RivalRow]("n", lambda row: with_less(str(row.n), row.smaller)),
    Column[RivalRow]("validation accuracy", lambda row: points(row.accuracy)),
    Column[RivalRow]("NLL", lambda row: in_nats(row.nll)),
    Column[RivalRow]("ECE", lambda row: points(row.ece)),
    Column[RivalRow]("verdict", lambda row: row.verdict, is_text=True),
)
_CLAIM = Column[Claim]("claim", lambda claim: claim.text, is_text=True)
_WHERE = Column[Claim]("where", lambda claim: claim.where, is_text=True)
_NUMBER = Column[Claim]("number [95 % CI]", lambda claim: claim.number)
_VERDICT = Column[Claim]("verdict", lambda claim: claim.verdict, is_text=True)


def readings_table(column: RecordedColumn) -> Table[CellReadings]:
    """The cells of a study: those with the most seeds first, of these the best validation accuracy."""
    note = "Chosen by validation accuracy; the test set's scores stand beside it. Most seeds first, of these the best. "
    note = f"{note}{other_baselines(column)}".rstrip()
    return Table("Cells by validation", _READINGS, cell_readings(column), note, lambda cell: cell.label)


def rival_tables(column: RecordedColumn) -> list[Table[RivalRow]]:
    """What every cell with three common seeds gains on each rival, paired by seed: points, and NLL in nats."""
    note = "At the epoch of the best validation accuracy; points and nats, paired by seed, with the 95 % interval."
    return [
        Table(f"Validation scores against {one.rival}", _columns(one), one.rows, note, lambda row: row.label)
        for one in rivalries(column)
    ]


def _columns(one: Rivalry) -> Sequence[Column[RivalRow]]:
    """Where some seeds chose the cells, the others have a verdict of their own."""
    if not one.chose:
        return _RIVALS
    seeds = ", ".join(map(str, one.chose))
    return (*_RIVALS, Column(f"without seeds {seeds}, which chose the cells", _rest, is_text=True))


def _rest(row: RivalRow) -> str:
    if row.rest is None:
        return "-"
    return f"{with_less(f'n = {row.rest.n}', row.rest.smaller)}: {points(row.rest.accuracy)}; {row.rest.verdict}"


def claims_table(column: RecordedColumn) -> Table[Claim] | None:
    """The paper's claims that the runs of a column decide; None where they decide none."""
    decided = claims(column)
    if not decided:
        return None
    note = "Differences in points, paired by seed, with the 95 % interval; fewer than three seeds decide nothing."
    return Table("The paper's claims", (_CLAIM, _NUMBER, _VERDICT), decided, note)


def all_claims_table(decided: Sequence[Claim]) -> Table[Claim]:
    """The claims of several columns, with where each is decided."""
    return Table("Claims", (_CLAIM, _WHERE, _NUMBER, _VERDICT), decided)
