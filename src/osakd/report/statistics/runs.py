"""The names of ``osakd.runs``, from where they are to be imported."""

from osakd.runs import Curve, FinishedRun, RunRecord, Series, State, by_label, finished

__all__ = ["Curve", "FinishedRun", "RunRecord", "Series", "State", "by_label", "finished"]
