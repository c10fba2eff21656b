"""Languages and scripts without spaces: BLEU, TER and chrF by sacrebleu's own, words by hand."""

from __future__ import annotations

import math
from importlib.metadata import version
from typing import Any

import pytest
import sacrebleu
from nltk.tokenize import wordpunct_tokenize
from sacrebleu.metrics import BLEU, TER

from random_routing.errors import SettingsError
from random_routing.metrics import METRICS
from random_routing.metrics.helpers.languages import LANGUAGES, UNKNOWN, WITH_SPACES, Language, language_of
from random_routing.metrics.helpers.words import spaced, word_ids, words
from random_routing.metrics.translation import signatures
from random_routing.settings import parse_settings, tasks
from tests.helpers.cell_texts import cell, value
from tests.helpers.synthetic import raw_params
from tests.helpers.tasks import task

CHINESE = cell(
    ["与服务器的连接已中断。", "请重新启动该设备。"],
    references=[["与服务器的连接已经中断。"], ["请重新启动设备。"]],
    language=LANGUAGES["zh"],
)
JAPANESE = cell(
    ["サーバーとの接続が切れました。"],
    references=[["サーバーへの接続が切れました。"]],
    language=LANGUAGES["ja"],
)


def test_chinese_and_japanese_by_their_characters() -> None:
    """By spaces alone each clause is one word: no BLEU, and TER 100. In Japanese one of 15 characters is another one:
    14/15, 12/14, 10/13 and 8/12 of the n-grams match.
    """
    assert value("bleu", CHINESE) == pytest.approx(72.226450, abs=1e-6)
    assert value("ter", CHINESE) == pytest.approx(10)
    assert value("chrf", CHINESE) == pytest.approx(61.458333, abs=1e-6)
    assert value("bleu", JAPANESE) == pytest.approx(100 * (16 / 39) ** 0.25)
    blind = cell(CHINESE.texts, references=CHINESE.references, language=WITH_SPACES)
    assert math.isnan(value("bleu", blind)) and value("ter", blind) == 100


def test_ter_of_a_script_without_spaces_by_hand() -> None:
    """Thai: one of four letters replaced: 25 edits per 100; all of one word by spaces."""
    thai = cell(["กขคง"], references=[["กขคจ"]], language=LANGUAGES["th"])
    assert value("ter", thai) == pytest.approx(25)
    assert value("bleu", thai) == pytest.approx(
        sacrebleu.corpus_bleu(["กขคง"], [["กขคจ"]], tokenize="char").score
    )


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("de", WITH_SPACES), ("en", WITH_SPACES), ("en-TH", WITH_SPACES), ("German", WITH_SPACES),
        ("zh", LANGUAGES["zh"]), ("zh-TW", LANGUAGES["zh"]), ("zho_Hans", LANGUAGES["zh"]),
        ("Simplified Chinese", LANGUAGES["zh"]), ("Cantonese", LANGUAGES["zh"]), ("ja_XX", LANGUAGES["ja"]),
        ("jpn_Jpan", LANGUAGES["ja"]), ("KO", LANGUAGES["ko"]), ("th", LANGUAGES["th"]), ("Lao", LANGUAGES["lo"]),
        ("khm_Khmr", LANGUAGES["km"]), ("my", LANGUAGES["my"]), ("-", WITH_SPACES),
    ],
)  # fmt: skip
def test_codes_and_names_of_languages(asked: str, expected: Language) -> None:
    assert language_of(task("translation", target_language=asked)) == expected


def test_tasks_without_a_language_go_by_the_script() -> None:
    assert language_of(task("dialogue")) == language_of(task("textgen")) == UNKNOWN


TOKENIZERS = {
    "zh": "zh",
    "ja": "char",
    "ko": "char",
    "th": "char",
    "lo": "char",
    "km": "char",
    "my": "char",
}


@pytest.mark.parametrize("code", TOKENIZERS)
def test_signatures_name_what_finds_the_words(code: str) -> None:
    found = signatures(LANGUAGES[code])
    assert f"|tok:{TOKENIZERS[code]}|" in found["bleu"]
    asian = code in ("zh", "ja")
    assert ("norm:yes|punct:yes|asian:yes" in found["ter"]) == asian
    assert found["ter"].startswith("words:characters|") == (code not in ("zh", "ja", "ko"))


def test_signatures_of_european_languages_are_sacrebleus() -> None:
    """And the same as ever."""
    assert signatures(WITH_SPACES) == {
        "bleu": f"nrefs:var|case:mixed|eff:no|tok:13a|smooth:exp|version:{sacrebleu.__version__}",
        "ter": f"nrefs:var|case:lc|tok:tercom|norm:no|punct:yes|asian:no|version:{sacrebleu.__version__}",
    }
    assert signatures(UNKNOWN)["bleu"].endswith(
        f"|characters of scripts without spaces|regex:{version('regex')} apart"
    )


def test_a_declared_language_is_sacrebleus_own_even_of_other_scripts() -> None:
    """A random token may be Chinese in a German text: 13a reads it as sacrebleu does."""
    texts, references = ["Das ist ein 漢字 hier und dort"], [["Das ist ein 漢 hier und dort"]]
    german = cell(texts, references=references, language=WITH_SPACES)
    assert value("bleu", german) == pytest.approx(BLEU().corpus_score(texts, [references[0]]).score)
    assert value("ter", german) == pytest.approx(TER().corpus_score(texts, [references[0]]).score)


def test_dialogue_in_chinese_has_a_bleu() -> None:
    """'我们走' against '我们去': 2 of 3 characters, 1 of 2 pairs: (2/3·1/2)^½; where no language is declared."""
    texts = cell(["我们走"], references=[["我们去"]])
    assert value("bleu_2", texts) == pytest.approx(100 * math.sqrt(1 / 3))


def test_samples_in_chinese_by_hand() -> None:
    """Pairs 我们 们走 and 我们 们去: 3 of 4 differ; two texts of one prompt, each against the other."""
    texts: Any = cell(["我们走", "我们去"], example=[0, 0], examples=1)
    assert value("sample_distinct_2", cell(texts.texts, example=CHINESE.example * 0, examples=1)) == 3 / 4
    long = cell(["我们走吧好", "我们走吧你"], example=CHINESE.example * 0, examples=1)
    expected = sacrebleu.corpus_bleu(
        ["我 们 走 吧 好"] * 1, [["我 们 走 吧 你"]], tokenize="none", force=True
    ).score
    assert value("pairwise_bleu", long) == pytest.approx(expected)


def test_words_by_script() -> None:
    """Letters with their signs are one character; numbers, Korean and punctuation are as ever."""
    assert words("The the, 漢字!") == ("The", "the", ",", "漢", "字", "!")
    assert words("2024年サーバー。") == ("2024", "年", "サ", "ー", "バ", "ー", "。")
    assert words("กำลัง") == ("กำ", "ลั", "ง")
    assert words("བོད་") == ("བོ", "ད", "་")
    assert words("မြန်") == ("မြ", "န်")
    assert words("か\u3099") == ("か\u3099",) and words("ﾊﾞ") == ("ﾊﾞ",)
    assert words("오늘 날씨") == ("오늘", "날씨")
    assert words("人人 people人") == ("人", "人", "people", "人")
    assert list(map(len, word_ids(["人人", "", "a人"]))) == [2, 0, 2]
    assert word_ids(["人人", "", "a人"]).values.tolist() == [0, 0, 1, 0]


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n",
        "...",
        "Größe: 40 m² — naïve “Straße”!",
        "Привет, мир",
        "αβγ",
        "नमस्ते दुनिया",
        "שלום",
        "🎲🎲 e\u0301",
    ],
)
def test_scripts_with_spaces_stay_as_they_are(text: str) -> None:
    assert list(words(text)) == wordpunct_tokenize(text)
    assert spaced(text) == text


def test_word_metrics_see_characters_where_there_are_no_spaces() -> None:
    """'他说他走' has four characters of which three differ; by spaces it is one word and distinct-1 is 1."""
    assert value("distinct_1", cell(["他说他走"])) == 3 / 4
    assert value("entropy_2", cell(["他说他走"])) == pytest.approx(math.log(3))
    assert value("zipf", cell(["他说他走"])) > 0
    same = value("self_bleu", cell(["他说他走了", "他说他走吧", "我"]))
    assert 0 < same < 1
    assert same == value("self_bleu", cell(["x y x z u", "x y x z v", "w"]))


@pytest.mark.parametrize("name", ["distinct_1", "entropy_2", "zipf", "self_bleu", "sample_distinct_2"])
def test_signatures_of_word_metrics_name_the_libraries(name: str) -> None:
    signature = METRICS[name].signature
    assert "wordpunct, characters of scripts without spaces" in signature
    assert f"nltk:{version('nltk')}" in signature and f"regex:{version('regex')}" in signature


def with_tokenizer(name: str) -> dict[str, Any]:
    values = raw_params()
    values["tasks"]["translation"] |= {"target_language": "ja", "bleu_tokenizer": name}
    return values


def test_another_tokenizer_may_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = parse_settings(with_tokenizer("intl")).tasks["translation"]
    assert language_of(chosen) == Language("intl", "asian")
    monkeypatch.setattr(tasks, "find_spec", lambda module: None)
    with pytest.raises(SettingsError) as refused:
        parse_settings(with_tokenizer("ja-mecab"))
    assert str(refused.value) == (
        "params.yaml: tasks.translation.bleu_tokenizer = 'ja-mecab': needs MeCab and ipadic, not installed here: "
        "pip install 'sacrebleu[ja]'; or use char, which needs nothing"
    )
    monkeypatch.setattr(tasks, "find_spec", lambda module: module)  # any module will do
    assert parse_settings(with_tokenizer("ja-mecab")).tasks["translation"].bleu_tokenizer == "ja-mecab"
    with pytest.raises(SettingsError, match="must be one of 13a, char, intl, ja-mecab, ko-mecab, zh"):
        parse_settings(with_tokenizer("mecab"))


def test_the_default_run_goes_by_spaces() -> None:
    """German and English are told from no other: their numbers are those of sacrebleu's defaults."""
    values = parse_settings(raw_params())
    assert language_of(values.tasks["translation"]) == WITH_SPACES
