"""What sacrebleu needs to know of a language to find its words."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from random_routing.settings import Task


@dataclass(frozen=True)
class Language:
    """bleu: sacrebleu's tokenizer for BLEU. by_script: no language is known; single characters of scripts without
    spaces are words. ter: spaces | asian (Chinese characters by themselves) | characters.
    """

    bleu: str = "13a"
    ter: str = "spaces"
    by_script: bool = False


UNKNOWN = Language(by_script=True)
WITH_SPACES = Language()
CHARACTERS = Language("char", "characters")
LANGUAGES = {
    "zh": Language("zh", "asian"), "ja": Language("char", "asian"), "ko": Language("char", "spaces"),
    "th": CHARACTERS, "lo": CHARACTERS, "km": CHARACTERS, "my": CHARACTERS, "bo": CHARACTERS, "dz": CHARACTERS,
}  # fmt: skip
# Other codes (ISO 639-3), and names.
ALIASES = {
    "zho": "zh", "chi": "zh", "cmn": "zh", "yue": "zh", "wuu": "zh", "chinese": "zh", "mandarin": "zh",
    "cantonese": "zh", "jpn": "ja", "japanese": "ja", "kor": "ko", "korean": "ko", "tha": "th", "thai": "th",
    "lao": "lo", "khm": "km", "khmer": "km", "mya": "my", "bur": "my", "burmese": "my", "bod": "bo", "tib": "bo",
    "tibetan": "bo", "dzo": "dz", "dzongkha": "dz",
}  # fmt: skip


def language_of(task: Task) -> Language:
    """Of the texts that a task's decoders write; other languages than these have spaces between words.

    `target_language` may be a code (zh, zh-TW, zho_Hans) or a name (Simplified Chinese).
    """
    if not task.target_language:
        return UNKNOWN
    first, *others = re.findall(r"\w+", task.target_language.lower().replace("_", " ")) or [""]
    names = (part for part in others if len(part) > 3)  # a code that follows is a country's
    key = next((code for part in (first, *names) if (code := ALIASES.get(part, part)) in LANGUAGES), "")
    language = LANGUAGES.get(key, WITH_SPACES)
    return replace(language, bleu=task.bleu_tokenizer) if task.bleu_tokenizer else language
