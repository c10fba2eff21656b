"""From a fetched data set to records: a literal table from `reader:` to a function.

Each takes (folder, asset, task) and yields the task's records; the folder's files are untrusted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

from random_routing.environments.tabular import read_environment
from random_routing.errors import PipelineError
from random_routing.files import read_json, read_jsonl
from random_routing.settings import FAULT, ORIGIN, Asset, Task
from random_routing.sources.as_json_lines import MISSING, RECORDS, pick
from random_routing.tasks.chat_records import exchange
from random_routing.tasks.digits import read_digits

Records = Iterator[dict[str, Any]]


def read_sotu(folder: Path, asset: Asset, task: Task) -> Records:
    """Paragraphs of at least 130 words, white space normalised."""
    for path in sorted(folder.rglob("*.txt")):
        try:
            speech = path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise PipelineError(f"{path}: is not UTF-8 text ({error})") from None
        for paragraph in re.split(r"\n\s*\n", speech):
            words = paragraph.split()
            if len(words) >= 130:
                yield {"text": " ".join(words)}


CLEAN = re.compile(r"[\x20-\x7e’‘“”…–—é]+")  # a reply in plain English prose, with a few marks
WEB = re.compile(r"https?:|www\.|@|<|>|\*")


def read_chitchat(folder: Path, asset: Asset, task: Task) -> Records:
    """The first context of each conversation whose human reply has 10 to 40 words.

    A turn is all that one person said before the other spoke. Turns with addresses, markup or
    unusual characters, and turns over 60 words, are not used.
    """
    for path in sorted(folder.rglob("dataset.json")):
        for turns in _conversations(path):
            for start in range(len(turns) - task.turns):
                *context, reply = turns[start : start + task.turns + 1]
                good = all(_clean(turn) for turn in (*context, reply))
                if good and 10 <= len(reply.split()) <= 40:
                    yield {"context": context, "reply": reply}
                    break


def _conversations(path: Path) -> Iterator[list[str]]:
    """The turns of each conversation: the messages of a turn joined, white space normalised."""
    try:
        for conversation in read_json(path).values():
            messages = conversation["messages"]
            yield [" ".join(" ".join(message["text"] for message in turn).split()) for turn in messages]
    except (AttributeError, KeyError, TypeError):
        raise PipelineError(f"{path}: holds something else than Chit-Chat conversations") from None


def _clean(turn: str) -> bool:
    return bool(CLEAN.fullmatch(turn)) and not WEB.search(turn) and len(turn.split()) <= 60


PLACEHOLDER = re.compile(r"[{}\[\]<>%`\n|]|https?:|\*\*")


def read_homeassistant(folder: Path, asset: Asset, task: Task) -> Records:
    """Interface texts of 8 to 30 words in both languages, without placeholders, links or markup."""
    for path in sorted(folder.rglob(f"translations/{task.source_language}.json")):
        other = path.with_name(f"{task.target_language}.json")
        if not other.exists():
            continue
        sources, targets = dict(_leaves(read_json(path))), dict(_leaves(read_json(other)))
        for key in (key for key in sources if key in targets):  # in the file's order: a set has none
            source, target = (" ".join(text[key].split()) for text in (sources, targets))
            fit = all(8 <= len(t.split()) <= 30 and not PLACEHOLDER.search(t) for t in (source, target))
            if fit and source != target:
                yield {"source": source, "references": [target]}


def _leaves(tree: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from _leaves(value, (*path, key))
    elif isinstance(tree, str):
        yield path, tree


def read_records(folder: Path, asset: Asset, task: Task) -> Records:
    """Rows of a hub or local data set; `fields` maps a field of the task to a column.

    One `reference` will do for `references`. A `conversation` becomes context and reply.
    """
    if not (folder / RECORDS).exists():
        raise PipelineError(f"{folder}: has no {RECORDS}; reader records needs an hf: or file: data set")
    for number, row in enumerate(read_jsonl(folder / RECORDS), 1):
        if not isinstance(row, dict):
            yield {FAULT: "that are no mapping of columns", ORIGIN: f"{RECORDS}, line {number}"}
            continue
        record = {ORIGIN: f"{RECORDS}, line {number}", **row}
        for name, column in asset.fields.items():
            record.pop(name, None)
            if (value := pick(row, column)) is not MISSING:
                record[name] = value
        if "reference" in record and "references" not in record:
            record["references"] = record["reference"]
        if isinstance(record.get("references"), str):
            record["references"] = [record["references"]]
        if task.turns and "conversation" in {*record, *asset.fields}:
            record |= exchange(record.get("conversation"), task.turns)
        yield record


def read_episodes(folder: Path, asset: Asset, task: Task) -> Records:
    """Numbers of episodes in an environment of gymnasium, without end."""
    environment = read_environment(folder)
    for number in count():
        yield {"episode": number, "environment": environment}


READERS = {
    "sotu": read_sotu,
    "chitchat": read_chitchat,
    "homeassistant": read_homeassistant,
    "records": read_records,
    "episodes": read_episodes,
    "digits": read_digits,
}
