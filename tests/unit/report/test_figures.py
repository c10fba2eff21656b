"""Figures: they are drawn for every table that the settings allow, and always with the same bytes."""

from __future__ import annotations

import io
import math
import re
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest

from pipeline import plot, summarize
from random_routing.errors import PipelineError
from random_routing.files import write_json
from random_routing.report import names, selection
from random_routing.report.figures import (
    captions,
    gates,
    heatmap,
    label_places,
    plane,
    plane_series,
    recovery,
    style,
    tuning,
)
from random_routing.report.input import read_results
from random_routing.results.json_form import from_json
from random_routing.results.measured import CellValues, GateRate, Measured
from random_routing.results.tuned import Tuned
from random_routing.settings import Base, Route, Variant, load_settings, parse_settings
from tests.helpers import LONG, synthetic

TOP = Route("top_k", 20)
TWO_KNOBS = Variant(Base(), Route("uniform"), TOP)
ONE_KNOB = Variant(Base(), TOP, TOP)


def run(folder: Path, raw: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    synthetic.project(folder, raw)
    monkeypatch.chdir(folder)
    summarize.main([])
    settings = load_settings()
    plot.figures(settings, read_results(settings.tasks))
    return {path.name: path.read_bytes() for path in sorted(Path("reports/plots").glob("*.png"))}


def of(*tasks: str) -> dict[str, Any]:
    raw = synthetic.raw_params()["tasks"]
    return {task: raw[task] for task in tasks}


def only(task: str, **changes: Any) -> dict[str, Any]:
    return synthetic.raw_params() | {"tasks": of(task)} | changes


def pixels(png: bytes) -> tuple[int, int]:
    width, height = struct.unpack(">II", png[16:24])
    return width, height


def shades(png: bytes) -> int:
    """Of green."""
    return len(np.unique(matplotlib.image.imread(io.BytesIO(png))[..., 1]))


TASKS = ("textgen", "dialogue", "translation")


@pytest.mark.parametrize(
    "tasks", [TASKS[1:2], pytest.param(TASKS, marks=pytest.mark.long)], ids=["dialogue", "all"]
)
def test_default_grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tasks: tuple[str, ...]) -> None:
    (tmp_path / "reports/plots").mkdir(parents=True)
    (tmp_path / "reports/plots/gone-plane.png").touch()  # of a task that left params.yaml
    report = {"examples": 16, "formats": ["png", "svg", "pdf"]}
    found = run(tmp_path, synthetic.raw_params() | {"tasks": of(*tasks), "report": report}, monkeypatch)
    assert set(found) == {f"{task}-{kind}.png" for task in tasks for kind in synthetic.FIGURES}
    for name, png in found.items():
        width, height = pixels(png)
        assert width == style.FULL * style.DPI, name
        assert width / 4 < height < 2 * width, name
        assert png == Path("reports/figures", f"{Path(name).stem}-full.png").read_bytes()
        assert shades(png) > 2, name  # not blank
        assert len(png) < width * height / 3, name  # well compressed, for the repository
        assert b"Matplotlib" not in png, name  # the version would change the bytes
    said = Path("reports/figures/captions.md").read_text(encoding="utf-8")
    for name, width_name in ((Path(name).stem, width) for name in found for width in style.WIDTHS):
        path = Path("reports/figures", f"{name}-{width_name}")
        assert f"**{name}**: " in said
        pdf = path.with_suffix(".pdf").read_bytes()
        assert pdf.startswith(b"%PDF") and b"Date" not in pdf, name
        svg = path.with_suffix(".svg").read_text(encoding="utf-8")
        points = float(re.search(r'<svg [^>]*?width="([\d.]+)pt"', svg)[1])  # type: ignore[index]
        assert points == pytest.approx(72 * style.WIDTHS[width_name]), name
        assert svg.count("<text") > 5, name  # text stays text
        assert "<dc:date>" not in svg and "Matplotlib" not in svg, name
        sizes = [float(size) for size in re.findall(r"font(?:-size)?: ([\d.]+)px", svg)]
        assert min(sizes) >= style.SMALL, name  # an SVG's px are points here
    if not LONG:
        return
    before = {path.name: path.read_bytes() for path in Path("reports/figures").glob("dialogue-*")}
    again = run(tmp_path, only("dialogue", report=report), monkeypatch)
    assert before == {path.name: path.read_bytes() for path in Path("reports/figures").glob("dialogue-*")}
    assert again == {name: png for name, png in found.items() if name.startswith("dialogue")}


@pytest.mark.parametrize(
    ("metrics", "panels"),
    [
        (["perplexity"], 3),
        pytest.param(["chrf"], 2, marks=pytest.mark.long),
    ],
)
def test_few_metrics(
    metrics: list[str], panels: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Figures have what the comparison stands on, and fluency where it is measured."""
    quality = "reference_similarity"  # what is compared is always there
    comparison = {"diversity": "ead_2", "quality": {"translation": quality}, "correction": "holm"}
    comparison |= {"delta": {"translation": 0.03}}
    raw = only("translation", metrics=[*metrics, "ead_2", quality], comparison=comparison)
    found = run(tmp_path, raw, monkeypatch)
    assert list(found) == [f"translation-{kind}.png" for kind in synthetic.FIGURES]
    assert not list(Path("reports/figures").glob("translation*"))  # formats: []
    results = read_results(["translation"])["translation"]
    assert len(selection.telling_metrics(results.measured)) == panels


@pytest.mark.parametrize(
    "grid", [{"q": [0], "lambda": [0]}, pytest.param({"q": [0.1], "lambda": [0.3]}, marks=pytest.mark.long)]
)
def test_one_cell_and_no_baselines(
    grid: dict[str, list[float]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    variants = {name: synthetic.raw_params()["variants"][name] for name in ("uniform", "plausible")}
    tune = synthetic.raw_params()["tune"] | {"variants": "all"}
    raw = only("textgen", grid=grid, baselines={}, variants=variants, tune=tune)
    found = run(tmp_path, raw, monkeypatch)
    gone = {"heatmap"}  # no grid has two sides
    if grid["q"] != [0.1]:
        gone |= {"gates", "matched"}  # no cell takes a route
    said = capsys.readouterr().out
    assert all(f"textgen-{kind} left out" in said for kind in gone) and "contrasts left out" in said
    assert set(found) == {f"textgen-{kind}.png" for kind in set(synthetic.FIGURES) - gone}


def test_a_file_that_no_stage_wrote_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synthetic.project(tmp_path, only("textgen"))
    monkeypatch.chdir(tmp_path)
    wrongs: tuple[object, ...] = ({"task": "textgen"}, [], "text", None)
    for wrong in wrongs:
        write_json("data/metrics/textgen.json", wrong)
        with pytest.raises(
            PipelineError, match=r"^data/metrics/textgen\.json: not as .* run dvc repro evaluate@textgen$"
        ):
            plot.main([])


def cells(pairs: list[tuple[float, float]], decoders: list[str]) -> list[CellValues]:
    return [
        CellValues(f"{q}-{lam}", "routing", "v", q, lam, 1 - (1 - q) * (1 - lam), 0, d, 2, 1, {})
        for (q, lam), d in zip(pairs, decoders, strict=True)
    ]


def test_lines_of_a_variant() -> None:
    rows = cells([(0, 0), (0, 0.5), (0.5, 0), (0.5, 0.5)], ["a", "b", "b", "d"])
    (line,) = selection.lines(rows, ONE_KNOB, "explore")
    assert [row.r for row in line.rows] == [0, 0.5, 0.75]  # (0, ½) and (½, 0) are one decoder
    rows = cells([(0, 0), (0, 0.5), (0.5, 0), (0.5, 0.5)], ["a", "b", "c", "d"])
    q_alone, lambda_alone = selection.lines(rows, TWO_KNOBS, "explore")
    assert [(q_alone.knob, row.decoder) for row in q_alone.rows] == [("q", "a"), ("q", "c")]
    assert [(lambda_alone.knob, row.decoder) for row in lambda_alone.rows] == [("λ", "a"), ("λ", "b")]
    (loose,) = selection.lines(rows[3:], TWO_KNOBS, "explore")  # no zero in the grid: nothing to connect
    assert loose.knob == ""


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.8736, "0.874"),
        (9.996, "10.0"),
        (27.34, "27.3"),
        (154.4, "154"),
        (999.7, "1.00k"),
        (12345, "12.3k"),
    ],
)
def test_numbers_in_a_cell_are_short(value: float, text: str) -> None:
    assert names.short(value) == text


def test_annealing_is_a_line_of_its_own() -> None:
    settings = parse_settings(synthetic.raw_params())
    rows = from_json(Measured, synthetic.measured("textgen", settings)).cells
    [series] = [one for one in plane_series.all_series(rows, settings) if one.look.name == "annealing"]
    assert series.labels == ("T=1.5 → 0.3", "T=1.3 → 0.7") and series.line == "--"  # the colder one first
    temperature = next(iter(plane_series.all_series(rows, settings)))
    assert temperature.labels[:2] == ("greedy", "T=0.5")


def test_labels_do_not_overlap() -> None:
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    ax = Figure().subplots()
    ax.set(xlim=(0, 1), ylim=(0, 1))
    wanted = [label_places.Label(0.5 + 0.01 * i, 0.5, f"label {i}", "black") for i in range(40)]
    label_places.place(ax, wanted, np.array([[w.x, w.y] for w in wanted]), np.empty((0, 2)))
    boxes = [text.get_window_extent() for text in ax.texts if isinstance(text, Text)]
    assert 3 < len(boxes) < 40  # some found room, the others were left out
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_words_say_when_q_and_lambda_are_one_knob() -> None:
    assert names.routes_in_words(ONE_KNOB, "explore").endswith("r = 1 − (1−q)(1−λ)")
    assert names.routes_in_words(ONE_KNOB, "exploit").endswith("r = 1 − (1−q)λ")
    assert "20 likeliest tokens" in names.routes_in_words(TWO_KNOBS, "explore")


def with_gates(records: list[GateRate]) -> Any:
    settings = parse_settings(only("textgen"))
    measured = replace(synthetic.whole("textgen", settings).measured, gates=records)
    return gates.draw(measured, replace(settings, variants={"v": TWO_KNOBS}), style.FULL)


def test_a_law_that_gives_no_random_step() -> None:
    """A schedule that starts at 0 before a gate that is counted at the first token."""
    figure = with_gates(
        [GateRate("c", "v", "q", "token", 10, 0, share, 0.0, 0.0, 0.1) for share in (0.0, math.nan, 0.2)]
    )
    assert len(figure.axes[0].containers) == 1  # nothing can be said of nothing


@pytest.mark.parametrize(
    ("there", "marks"),
    [
        (["q", "λ", "random, by r"], ["q-route, or random, by r", "λ-route"]),
        (["q", "λ"], ["q-route", "λ-route"]),
        (["random, by r"], ["random, by r"]),
    ],
)
def test_the_legend_names_the_routes_that_there_are(there: list[str], marks: list[str]) -> None:
    figure = with_gates([GateRate("c", "v", route, "token", 10, 1, 0.1, 0.1, 0.0, 0.2) for route in there])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["v", *marks]
    points: list[Any] = list(figure.axes[0].containers)
    filled = [point.lines[0].get_markerfacecolor() != "white" for point in points]
    assert filled == [route != "λ" for route in there]


def test_too_few_isolated_tokens_are_no_figure() -> None:
    settings = parse_settings(only("textgen"))
    measured = synthetic.whole("textgen", settings).measured
    few = [replace(record, events=recovery.FEWEST - 1) for record in measured.recovery]
    assert recovery.draw(replace(measured, recovery=few), settings, style.FULL) is None


def test_hypotheses_have_a_figure_of_their_own_and_a_part_of_the_plane(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    about = {"variant": "uniform", "r": [0.001, 0.15], "against": "temperature"}
    raw = only("translation")
    raw["comparison"] = raw["comparison"] | {"contrasts": {"small": about}}
    assert "contrasts.png" in run(tmp_path, raw, monkeypatch)
    settings = load_settings()
    measured = read_results(["translation"])["translation"].measured
    shown = plane_series.of_hypotheses(measured, settings)
    assert shown and all(row.variant == "uniform" and 0 < row.r <= 0.15 for row in shown)
    assert len(plane.draw(measured, settings, style.COLUMN).axes) == 2
    latex = Path("reports/figures/captions.tex").read_text(encoding="utf-8")
    assert latex.count("begin{figure}") == 1 + len(synthetic.FIGURES)
    assert "contrasts-column.pdf" in latex and not re.search(r"(?<!\\)[%_&#]", latex)


def test_captions_for_latex_are_escaped() -> None:
    made = captions.as_latex({"a": "50% of x_1 & Δ ≤ {2} \\ λ"})
    assert r"50\% of x\_1 \& $\Delta$ ≤ \{2\} \textbackslash  $\lambda$" in made


def test_a_scale_turns_to_what_is_better() -> None:
    """Perplexities above that of people: less is better. On both sides: neither end is."""
    scale = heatmap._scale
    assert scale(30, 90, "perplexity", 20)[1].name == "Blues_r"
    assert scale(5, 900, "perplexity", 26)[0](26) == pytest.approx(0.5)  # logarithmic
    assert heatmap._range(np.array([[math.nan]])) == (0, 1)  # a map without a value
    assert scale(0.1, 0.9, "seq_rep_4", 0.5)[0](0.5) == 0.5 != scale(0.1, 0.9, "seq_rep_4", 2.0)[0](0.4)
    assert scale(0.1, 0.9, "chrf", math.nan)[1].name == "Blues"


def test_a_search_beside_a_grid_without_rewards() -> None:
    found = synthetic.tuned("textgen", load_settings())
    for cell in found["grid"]["cells"]:
        cell["reward"] = None
    figure = tuning.draw(from_json(Tuned, found), style.COLUMN)
    assert figure is not None
    figure.savefig(io.BytesIO())
