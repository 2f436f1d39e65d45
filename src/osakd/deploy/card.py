"""The model card of a run, in the Hugging Face hub's layout, from what the run recorded and nothing else."""

from math import isfinite
from pathlib import Path
from typing import Any

import yaml
from scipy.stats import binomtest

from osakd.data.recipes import DATA, copy_note, recipe_in_words
from osakd.errors import printable_lines
from osakd.records import DataRecord, Result, RunConfig, read_finished, read_metrics
from osakd.report.tables.table import markdown, markdown_text, table_of


def model_card(run: Path, *, license: str | None = None) -> str:  # noqa: A002 - as the option of the command
    """The card as Markdown behind the hub's metadata block; an InputError for a folder without a finished run."""
    config, result = read_finished(run)
    title = f"{config.model} on {config.data['name']}, trained with {config.method}"
    metadata = yaml.safe_dump(_metadata(title, config, result, license), sort_keys=False, allow_unicode=True)
    parts = [
        f"---\n{metadata}---",
        f"# {markdown_text(title)}",
        _network(config),
        "## Accuracy",
        _scores(config, result),
        "## Training",
        _training(config, result, sum(row["seconds"] for row in read_metrics(run))),
        "## Limits",
        _limits(config, result),
        "## How to load it",
        _LOADING,
    ]
    return printable_lines("\n\n".join(parts) + "\n")


def _hub_id(data: DataRecord) -> str | None:
    return DATA[data["name"]].hub if data["kind"] == "named" else data["name"] if data["kind"] == "hub" else None


def _metadata(title: str, config: RunConfig, result: Result, license_name: str | None) -> dict[str, Any]:
    """What the hub reads."""
    test, hub = result.deployed_scores(), _hub_id(config.data)
    named = {"accuracy": test["accuracy"], "expected_calibration_error": test["ece"]}
    scores = [{"type": name, "value": round(value, 4)} for name, value in named.items() if isfinite(value)]
    measured = {
        "task": {"type": "image-classification"},
        "dataset": {"name": config.data["name"], "type": hub or config.data["name"], "split": "test"},
        "metrics": scores,
    }
    return {
        "library_name": "osakd",
        **({"license": license_name} if license_name else {}),
        "pipeline_tag": "image-classification",
        "tags": list(dict.fromkeys(["osakd", "self-distillation", config.method])),
        **({"datasets": [hub]} if hub else {}),
        "metrics": ["accuracy"],
        "model-index": [{"name": title, "results": [measured]}],
    }


def _network(config: RunConfig) -> str:
    channels, height, width = config.data["input_shape"]
    classes = len(config.data["class_counts"])
    return (
        f"The network {markdown_text(config.model)} sorts images of {height}x{width} pixels with {channels} "
        f"channel{'s' * (channels > 1)} into {classes} classes. It was trained by osakd with the method "
        f"{markdown_text(config.method)}; it is the plain network, with its input normalisation as its first layer."
    )


def _scores(config: RunConfig, result: Result) -> str:
    test, n = result.deployed_scores(), config.data["test"]
    low, high = binomtest(round(n * test["accuracy"]), n).proportion_ci(method="wilson")
    rows = [
        ("accuracy", f"{100 * test['accuracy']:.2f} % (95 % interval {100 * low:.2f} to {100 * high:.2f} %)"),
        ("negative log-likelihood", f"{test['nll']:.4f} nats"),
        ("expected calibration error", f"{100 * test['ece']:.2f} %, 15 bins"),
    ]
    table = markdown(table_of("Scores", ["score", "value"], rows))
    return (
        f"On the {n:,} test images, of the deployed network; a single run, seed {config.seed}. The interval is that of "
        f"drawing {n:,} test images (Wilson), not that of training again.\n\n{table}"
    )


def _training(config: RunConfig, result: Result, seconds: float) -> str:
    settings = ", ".join(f"{name} = {value}" for name, value in config.settings.items()) or "none"
    machine = result.environment
    commit = f", commit {machine['commit']}" if machine.get("commit") else ""
    lines = [
        f"Data: {config.data['name']}, {config.data['train']:,} training images (content {config.data['content']})",
        f"Settings of the method: {settings}",
        recipe_in_words(config).removesuffix("."),
        f"Cost: {seconds:,.0f} s of training and evaluation on {machine.get('device')} ({machine.get('machine')})",
        f"Made by osakd {machine.get('osakd')}{commit}, torch {machine.get('torch')}",
    ]
    return "\n".join(f"- {markdown_text(line)}" for line in lines)


def _limits(config: RunConfig, result: Result) -> str:
    lines = [
        "It gives each image one of its classes, whatever the image shows; its probabilities are as far from "
        "frequencies as the calibration error says, on images like the test images.",
        "A single seed does not show how much the accuracy varies from run to run.",
        "Images of other sizes are resized to the size above.",
        *copy_note(config.data["content"]),
        *result.notes,
    ]
    return "\n".join(f"- {markdown_text(line)}" for line in lines)


_LOADING = """With `pip install 'osakd[train,hub]'`:

```python
import osakd

network = osakd.OSAKDModel.from_pretrained("FOLDER_OR_HUB_ID")
print(network.predict("image.png"))
```"""
