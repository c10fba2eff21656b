"""What follows generation, on tiny models: metrics, tuning, tables, figures, the page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import example, run_tables
from pipeline import evaluate, generate, plot, summarize, tune
from random_routing.files import read_json
from tests.helpers import LONG
from tests.helpers.synthetic import FIGURES
from tests.helpers.workspace import columns, inside, params, write_params

OF_A_RUN = (
    run_tables.answer, run_tables.tasks_table, run_tables.loops_table, run_tables.gates_table,
    run_tables.recovery_table, run_tables.likelihood_table, run_tables.tune_table, run_tables.example,
)  # fmt: skip


def test_the_rest_of_the_pipeline(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = params()
    if not LONG:  # robustness/test_odd_settings.py has dialogue
        del values["tasks"]["dialogue"]
    values["baselines"]["annealing"] = [{"shape": "exploratory", "start": 1.5, "end": 0.5}]
    write_params(work, values)
    with inside(work):
        for task in values["tasks"]:
            generate.main([task])
            evaluate.main([task])
            tune.main([task])
        first = (work / "data/metrics/textgen.json").read_bytes()
        evaluate.main(["textgen"])
        assert (work / "data/metrics/textgen.json").read_bytes() == first
        summarize.main([])
        plot.main([])
        example.main()
    metrics = read_json(work / "data/metrics/translation.json")
    assert {"bleu", "chrf", "ter"} <= set(metrics["metrics"])
    assert "context_similarity" not in metrics["metrics"]
    human = next(cell for cell in metrics["cells"] if cell["cell"] == "human")
    assert human["metrics"]["bleu"]["value"] == pytest.approx(100)
    for cell in metrics["cells"]:
        for name, record in cell["metrics"].items():
            if record["value"] is not None and name != "self_bleu":
                assert record["lo"] <= record["value"] + 1e-9 and record["value"] <= record["hi"] + 1e-9
    summary = read_json(work / "reports/summary.json")
    assert summary and all(set(numbers) <= set(values["tasks"]) for numbers in summary.values())
    drawn = {path.stem for path in (work / "reports/plots").glob("*.png")}
    wanted = {f"{task}-{kind}" for task in values["tasks"] for kind in FIGURES}
    # Few random tokens are isolated, and few texts of tiny models lie on the temperature curve.
    rare = {f"{task}-{kind}" for task in values["tasks"] for kind in ("recovery", "matched")}
    assert wanted - rare <= drawn <= wanted
    text = (work / "reports/index.html").read_text(encoding="utf-8")
    data = json.loads(text.split('id="data">')[1].split("</script>")[0])
    for task, found in data["tasks"].items():
        assert ("annealing 1.5 → 0.5, exploratory", "annealing") in {
            (c["label"], c["family"]) for c in found["cells"]
        }
        samples, written = found["samples"], columns(work)
        for cell in found["cells"]:
            if cell["cell"] != "human":  # the browser's pieces make the text that was written
                first = samples["texts"][samples["cells"][cell["decoder"]][0]]
                shown = "".join(samples["pieces"][piece] for piece in first[0])
                assert written[f"{task}/{cell['cell']}"]["text"][0].strip() in shown
                number = samples["cells"][cell["decoder"]][0]
                assert samples["scores"]["length"][number] == len(first[0]) - first[5]
    for text in read_json(work / "reports/example.json")[
        "texts"
    ]:  # what the README shows is what was written
        stretches = "".join(stretch for stretch, _ in text["stretches"])
        assert stretches == columns(work)[f"textgen/{text['cell']}"]["text"][0]
    monkeypatch.setattr(run_tables, "ROOT", work)
    assert all(block() for block in OF_A_RUN)
    costs = [read_json(work / f"data/cost/{stage}-textgen.json") for stage in ("generate", "evaluate")]
    assert all(cost["tokens"] >= cost["rows"] > 0 and cost["seconds"] > 0 for cost in costs)
