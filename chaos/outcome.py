"""What became of the faults of each kind, and the table of it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from osakd.report.tables.table import Column, Table, markdown


@dataclass
class Outcome:
    """The faults of one kind.

    Attributes:
        fault: what was done.
        times: how often.
        lost: how often something was gone that had been written before.
        wrong: how often the values were other ones, without a word, or an error was not one of ours.
        answers: how each was answered, and how often.
        details: what was lost or wrong, for a person who looks for the reason.
    """

    fault: str
    times: int = 0
    lost: int = 0
    wrong: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    details: list[str] = field(default_factory=list)

    def add(self, answer: str, *, lost: str = "", wrong: str = "") -> None:
        """Counts a fault that was answered well, unless ``lost`` or ``wrong`` describe what was not."""
        self.times += 1
        self.lost += bool(lost)
        self.wrong += bool(wrong)
        self.answers["wrong" if wrong else answer] += 1
        self.details += [f"{self.fault}: {detail}" for detail in (lost, wrong) if detail]


COLUMNS = (
    Column[Outcome]("fault", lambda outcome: outcome.fault, is_text=True),
    Column[Outcome]("times", lambda outcome: f"{outcome.times:,}"),
    Column[Outcome]("lost", lambda outcome: str(outcome.lost)),
    Column[Outcome]("wrong", lambda outcome: str(outcome.wrong)),
    Column[Outcome](
        "answers",
        lambda outcome: "; ".join(f"{answer} ({count})" for answer, count in outcome.answers.most_common()),
        is_text=True,
    ),
)


def table(outcomes: Sequence[Outcome]) -> str:
    """The outcomes and their sum as Markdown."""
    times, lost, wrong = (sum(getattr(row, name) for row in outcomes) for name in ("times", "lost", "wrong"))
    return markdown(Table("chaos", COLUMNS, [*outcomes, Outcome("all", times, lost, wrong)]))
