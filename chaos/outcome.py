"""What became of the faults of one kind."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Outcome:
    """The faults of one kind.

    Attributes:
        fault: what was done.
        times: how often.
        lost: how often something was gone that had been written before.
        wrong: how often something else came out, without a word.
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
        """Counts a fault with its answer; ``lost`` and ``wrong`` say what was."""
        self.times += 1
        self.lost += bool(lost)
        self.wrong += bool(wrong)
        self.answers[answer] += 1
        self.details += [detail for detail in (lost, wrong) if detail]


def table(outcomes: list[Outcome]) -> str:
    """The outcomes as Markdown."""
    lines = ["| fault | times | lost | wrong | how it was answered |", "|---|---|---|---|---|"]
    for one in outcomes:
        answers = "; ".join(f"{answer} ({count})" for answer, count in one.answers.most_common())
        lines.append(f"| {one.fault} | {one.times:,} | {one.lost} | {one.wrong} | {answers} |")
    total = [sum(getattr(one, name) for one in outcomes) for name in ("times", "lost", "wrong")]
    return "\n".join([*lines, f"| all | {total[0]:,} | {total[1]} | {total[2]} | |"])
