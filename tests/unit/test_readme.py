"""README and docs/: what is generated is up to date, examples of it work on any reports, links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks import documents, example, run_tables
from benchmarks.documents import BLOCKS, FILES, MARKED, ROOT, filled
from random_routing.files import read_json, write_json

NAMES = [str(file.relative_to(ROOT)) for file in FILES]
PAGES = [*NAMES, "CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/NOTES.md"]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_what_is_generated_is_that_of_the_reports(name: str) -> None:
    """If not: `python -m benchmarks.documents`."""
    assert read(name) == filled(read(name))


def test_every_block_is_shown_and_closed() -> None:
    whole = "".join(read(name) for name in NAMES)
    assert {found[2] for found in MARKED.finditer(whole)} == set(BLOCKS)
    assert len(MARKED.findall(whole)) == whole.count("<!-- generated") == whole.count("<!-- end -->")


def test_the_readme_is_short() -> None:
    assert read("README.md").count("\n") <= 200


def test_the_statistics_tell_the_truth() -> None:
    """False claims over all hypotheses in at most 6 % of studies, false equivalence in 5 %; 95 % intervals hold 93 to
    97 %; a planted effect is found in three of four. Temperatures that curves are read between lie on them.
    """
    proof = read_json(ROOT / "reports/statistics.json")
    for found in proof["sizes"].values():
        assert found["any_false_claim"] <= 0.06
        for name, rates in found["hypotheses"].items():
            assert abs(rates["bias"]) < 0.15 and 0.93 <= rates["covered"] <= 0.97, name
            assert rates["false_equivalent"] <= 0.05 and rates["found"] >= 0.75, name
        assert all(0.93 <= rate <= 0.97 for rate in found["covered"].values())
    for task in proof["seeds"]:
        assert all(len(words) == 1 for words in task["verdicts"].values())
    read = [one for one in proof["left_out"] if one["temperature"] > 1]
    assert len(read) == 9 and all(abs(one["difference"]) < 0.4 * one["delta"] for one in read)


def anchors(text: str) -> set[str]:
    """Of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", read(name)):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / name).parent / path if path else ROOT / name
        assert target.exists(), link
        assert not anchor or anchor in anchors(target.read_text(encoding="utf-8")), link


@pytest.mark.parametrize("name", PAGES)
def test_paths_and_commands_that_are_named_are_there(name: str) -> None:
    text = read(name)
    for path in re.findall(r"`((?:random_routing|tests|benchmarks|pipeline|docs)/[\w/.]*)`", text):
        assert (ROOT / path).exists() or path.endswith("my_task.py"), path
    for module in re.findall(r"python -m ((?:benchmarks|pipeline|random_routing)\.[\w.]+)", text):
        assert (ROOT / f"{module.replace('.', '/')}.py").exists(), module


HEADER = "task,contrast,against,estimate,lo,hi,delta,verdict,needed,prompts,texts,veto\n"
BETTER = "dialogue,a,temperature,0.5,0.1,0.9,0.1,better,90,40,160,\n"
WORSE = "dialogue,b,temperature,-0.5,-0.9,-0.1,0.6,worse,90,40,160,\n"
SAME = "dialogue,c,base,0.01,-0.05,0.07,0.1,equivalent,90,40,160,\n"
UNCLEAR = "dialogue,d,top_p,0.1,-0.9,0.9,0.1,inconclusive,1200,40,160,\n"
AXES = "task,contrast,lo,hi\ndialogue,a,1,2\ndialogue,a,-2,-1\ndialogue,a,-1,1\ndialogue,a,,\n"
VETOED = "dialogue,f,base,0.01,-0.05,0.07,0.1,inconclusive,90,40,160,14% more junk\n"
MISSING = "dialogue,e,top_p,,,,0.1,,,40,160,\n"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (BETTER + SAME + UNCLEAR, "**In this run, some random routing was better.** Of 3 hypotheses"),
        (BETTER + WORSE, "**In this run, it depends.**"),
        (WORSE + SAME + MISSING, "**In this run, no.** Of 3 hypotheses"),
        (UNCLEAR + VETOED + MISSING, "**Not known yet.**"),
        (MISSING, "**Not known.**"),
    ],
)  # fmt: skip
def test_the_answer_follows_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: str, said: str
) -> None:
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports/contrasts.csv").write_text(HEADER + rows, encoding="utf-8")
    (tmp_path / "reports/axes.csv").write_text(AXES, encoding="utf-8")
    monkeypatch.setattr(run_tables, "ROOT", tmp_path)
    answer, shown = run_tables.answer(), run_tables.tasks_table()
    assert said in answer and ("Better: a (dialogue; the opposite by 1 other measure)." in answer) == (
        BETTER in rows
    )
    assert ("Worse: b (dialogue; estimated below Δ)." in answer) == (WORSE in rows)
    assert ("with 40 prompts per task, 4 texts of each" in answer) == (rows != MISSING)
    assert ("1,200 to 1,200 prompts would settle" in answer) == (UNCLEAR in rows)
    assert ("| 1 up, 1 down, 1 open |" in shown) == (BETTER in rows)
    assert ("| nothing: 14% more junk |" in shown) == (VETOED in rows)
    assert ("| 1,200 prompts |" in shown) == (UNCLEAR in rows)
    assert ("| **missing** | missing |" in shown) == (MISSING in rows)


def test_a_text_cannot_break_out_of_the_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stretches = example.stretches([("<b>", 0), ("| a\n\n", 0), ("</mark>", 2), ("`x`", 1), ("end", 0)])
    assert stretches == [("<b>| a\n\n", False), ("</mark>", True), ("`x`", True), ("end", False)]
    texts = [{"cell": "greedy", "stretches": stretches}]
    (tmp_path / "reports").mkdir()
    write_json(
        tmp_path / "reports/example.json", {"prompt": "a <!-- end -->", "human": "b", "texts": texts}
    )
    monkeypatch.setattr(run_tables, "ROOT", tmp_path)
    shown = run_tables.example()
    assert "&lt;b&gt;| a<br><br><mark><b>&lt;/mark&gt;</b></mark><mark><b>`x`</b></mark>end" in shown
    assert "\n\n" not in shown and "<!--" not in shown


def test_an_unknown_block_is_an_error() -> None:
    with pytest.raises(KeyError, match="nothing"):
        documents.filled("<!-- generated: nothing -->\n<!-- end -->")
