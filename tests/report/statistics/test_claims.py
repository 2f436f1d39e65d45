"""The claims: what holds, what does not, what three seeds do not decide, what was not run."""

from dataclasses import replace
from typing import Any

import pytest

from osakd.plan import Interpretation, PanelMethod, Preference, Published
from osakd.report.statistics.claims import claims
from osakd.report.statistics.format import NO_DIFFERENCE
from osakd.report.statistics.panel import RecordedPanel
from tests.report.made import planned, run_of

FEW = Preference("8 neighbours serve 10 classes better than 16", "osakd-8nn", "osakd-16nn")


def run(*accuracies: float, mass: tuple[float, float] = (0.2, 0.6), fraction: float = 1.0) -> dict[str, Any]:
    """Accuracies; the soft labels' mass in the first and in the last epoch."""
    masses = [mass[0]] * (len(accuracies) - 1) + [mass[1]]
    return {"tests": accuracies, "masses": masses, "fraction": fraction}


def panel(runs: dict[str, dict[int, Any]], gain: float, seeds: int = 3, epochs: int = 3) -> RecordedPanel:
    methods = [
        PanelMethod("plain", "plain", Published(60.0, 0.1)),
        PanelMethod("osakd-8nn", "osakd", Published(60.0 + gain, 0.1)),
    ]
    experiment = planned(
        "cifar10",
        methods,
        seeds=seeds,
        epochs=epochs,
        ours="osakd-8nn",
        preferences=(FEW,),
        interpretations=(Interpretation("osakd-8nn"),),
    )
    records = tuple(run_of(label, seed, **made) for label, seeds in runs.items() for seed, made in seeds.items())
    return RecordedPanel("table1", "cifar10", records, experiment, experiment.panels[0])


def verdicts(runs: dict[str, dict[int, Any]], gain: float, seeds: int = 3, epochs: int = 3) -> dict[str, str]:
    return {claim.text: claim.verdict for claim in claims(panel(runs, gain, seeds, epochs))}


def noisy(*accuracies: float) -> dict[int, Any]:
    return {seed: run(*(value + 0.001 * seed for value in accuracies)) for seed in range(3)}


def test_a_gain_that_is_reached_missed_or_not_significant() -> None:
    runs = {"plain": noisy(0.5, 0.60, 0.55), "osakd-8nn": noisy(0.5, 0.61, 0.61)}
    runs["osakd-8nn"][0] = run(0.5, 0.612, 0.611)
    assert verdicts(runs, 1.0)["OSAKD-8NN gains +1.00 at the best epoch"] == "holds"
    assert verdicts(runs, 2.0)["OSAKD-8NN gains +2.00 at the best epoch"] == "does not hold"
    runs["osakd-8nn"][1] = run(0.5, 0.57, 0.57)
    assert verdicts(runs, 2.0)["OSAKD-8NN gains +2.00 at the best epoch"] == NO_DIFFERENCE


def test_stability_and_what_is_not_in_the_records() -> None:
    runs = {"plain": noisy(0.5, 0.60, 0.55), "osakd-8nn": noisy(0.6, 0.61, 0.61)}
    runs["osakd-8nn"][0] = run(0.6, 0.612, 0.611)
    found = verdicts(runs, 2.0)
    assert found["more stable: best minus last epoch, plain - OSAKD"] == "holds"
    assert found["more stable: std of the last 3 epochs, plain - OSAKD"] == "holds"
    assert found["labels grow reliable: true-class mass, last - first epoch"] == "holds"
    assert found["ours: more than label smoothing, best epoch"] == "not tested"
    assert verdicts({}, 0.9) == {"every claim on its runs": "not tested"}
    del runs["plain"][2]
    assert verdicts(runs, 2.0)["OSAKD-8NN gains +2.00 at the best epoch"] == "not tested (2 of 3 seeds)"


def test_the_number_of_neighbours_is_the_plan_s_claim() -> None:
    runs = {"plain": noisy(0.5, 0.60, 0.55), "osakd-8nn": noisy(0.5, 0.61, 0.61), "osakd-16nn": noisy(0.5, 0.60, 0.6)}
    assert verdicts(runs, 0.0)["8 neighbours serve 10 classes better than 16, best epoch"] == "holds"


def test_a_column_that_the_paper_claims_nothing_of() -> None:
    whole = panel({"plain": noisy(0.5, 0.6, 0.55)}, 1.0)
    assert whole.planned is not None
    assert claims(replace(whole, planned=replace(whole.planned, preferences=(), interpretations=()))) == []
    assert claims(RecordedPanel("comparison", "mine", whole.runs)) == []


def test_what_is_smaller_and_whose_question_it_is_is_said() -> None:
    runs = {"plain": noisy(0.5, 0.60, 0.55), "osakd-8nn": noisy(0.5, 0.60, 0.55)}
    found = verdicts(runs, 0.0, 5, 100)
    assert found["ours: OSAKD-8NN gains at the last epoch"] == "no difference (3 of 5 seeds, 3 of 100 epochs)"
    runs["plain"][0] = run(0.5, 0.60, 0.55, fraction=0.1)
    assert verdicts(runs, 0.0)["ours: OSAKD-8NN gains at the last epoch"] == "no difference (10 % of the images)"


def test_stability_over_ten_epochs_says_ten() -> None:
    runs = {label: noisy(*[0.5] * 12) for label in ("plain", "osakd-8nn")}
    assert "more stable: std of the last 10 epochs, plain - OSAKD" in verdicts(runs, 0.0)


def test_the_drop_is_the_best_minus_the_last() -> None:
    """Of plain training 0.3, of the method nothing, in every seed."""
    runs = {label: {seed: run(*ones) for seed in range(3)} for label, ones in
            {"plain": (0.1, 0.9, 0.6), "osakd-8nn": (0.1, 0.9, 0.9)}.items()}  # fmt: skip
    (drop,) = [one for one in claims(panel(runs, 0.0)) if one.text.startswith("more stable: best minus")]
    assert drop.number == "+30.00 [+30.00, +30.00], n = 3"
    assert drop.verdict == "holds"


@pytest.mark.parametrize("missing", ["plain", "osakd-8nn"])
def test_without_a_common_seed_nothing_is_tested(missing: str) -> None:
    runs = {"plain": noisy(0.5, 0.6, 0.6), "osakd-8nn": noisy(0.5, 0.6, 0.6)}
    del runs[missing]
    assert verdicts(runs, 0.0) == {"every claim on its runs": "not tested"}
