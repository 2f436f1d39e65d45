"""The arithmetic of the table: ratios, medians, floors, and which goals a device has."""

import pytest

from benchmarks.goals import GOALS, SCRIPT, extrapolations, lines, table

SECONDS = {
    SCRIPT[0]: [0.008, 0.010, 0.009],
    SCRIPT[1]: [0.012, 0.011, 0.020],
    "lenet plain": [0.005, 0.0045, 0.004],
    "fused 15": [0.030, 0.027, 0.024],
    "lenet osakd": [0.0050, 0.0048, 0.0049],
    "osakd --help": [0.02, 0.5, 0.03],
}


def found(*, gpu: bool = False) -> dict[str, tuple[float, str]]:
    return {line.goal.what: (round(line.value, 3), line.met) for line in lines(SECONDS, {"lenet": 0.0009}, gpu=gpu)}


def test_the_faster_script_counts_and_ratios_are_taken_within_rounds() -> None:
    values = found()
    assert values["one LeNet run, batch 64"] == (2.222, "no")  # the median of 8/5, 10/4.5, 9/4
    assert values["15 runs (5 seeds x plain, 8NN, 16NN), fused"] == (5.556, "no")  # 15 x 10/27
    assert values["OSAKD step, in-batch, LeNet"] == (1.067, "stretch")  # 4.8/4.5
    assert values["osakd --help"] == (0.03, "yes")
    assert "two processes of one thread" not in values  # it was not timed


def test_a_gpu_has_goals_of_its_own() -> None:
    values = found(gpu=True)
    assert values["one LeNet run, batch 64"] == (2.222, "no")
    assert values["15 runs, fused"] == (2.5, "no")
    column = lines({"column of Table I": [50.0, 61.0, 59.0]}, {}, gpu=True)
    assert [(line.value, line.met) for line in column] == [(59.0, "yes")]


def test_floors_and_their_share() -> None:
    (line, *_) = lines(SECONDS, {"lenet": 0.0009}, gpu=False)
    assert line.floor == pytest.approx((0.9, 0.2))
    rows = table([line]).splitlines()
    assert rows[2].endswith("| 2.22x | 4x | 6x | no | 4.50 | 9.00 | 0.90 | 20 % |")
    assert all(row.count("|") == rows[0].count("|") for row in rows)


def test_a_share_of_the_floor_is_a_goal_too() -> None:
    found = lines({"lenet plain, one thread": [0.002, 0.003, 0.0025]}, {"lenet, one thread": 0.0018}, gpu=False)
    (line,) = found
    assert (line.value, line.met) == (pytest.approx(0.72), "yes")
    assert "| 0.72 | 0.5 | 0.75 | yes | 2.50 | - | 1.80 | 72 % |" in table(found)


def test_extrapolations_say_what_they_are() -> None:
    one, column = extrapolations(SECONDS)
    assert one == (
        "one LeNet run of 100 epochs: 78,200 steps x 4.500 ms = 5.9 minutes, extrapolated, without evaluation"
    )
    assert column.startswith("one column of Table I (15 runs) of 100 epochs: 78,200 steps x 27.000 ms = 35.2 minutes")


def test_every_goal_has_one_of_a_device() -> None:
    assert all(goal.cpu or goal.gpu for goal in GOALS)
    assert len({(goal.what, goal.against) for goal in GOALS}) == len(GOALS)
