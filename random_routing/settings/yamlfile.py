"""A YAML file as plain values, where what YAML 1.1 reads in a way that nobody means is an error with its line.

DVC reads the same file as YAML 1.2. The two agree on what is accepted here: `yes`, `no`, `on` and `off` are text, and
numbers that they read differently (`010` is 8 or 10) are refused, as is a key that stands twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from random_routing.errors import SettingsError, short

NUMBER = re.compile(  # decimal; YAML 1.1 also knows 010 (8), 0x1F, 0b11, 1_000 and 1:30 (90)
    r"[-+]?(0|[1-9][0-9]*)|[-+]?([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)
NUMBER_TAGS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
MERGE = "tag:yaml.org,2002:merge"


class PlainLoader(yaml.SafeLoader):
    """YAML's plain types. An alias may not stand for what holds aliases: a few levels make billions of values."""

    anchors_open = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        alias = isinstance(event, yaml.AliasEvent)
        if alias and self.anchors_open:
            raise yaml.YAMLError(
                f"line {event.start_mark.line + 1}: alias *{event.anchor} inside of another anchor"
            )
        anchored = not alias and event.anchor is not None
        self.anchors_open += anchored
        node = super().compose_node(parent, index)
        self.anchors_open -= anchored
        return node


PlainLoader.yaml_implicit_resolvers = {  # without yes, no, on, off
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
PlainLoader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile("true|True|TRUE|false|False|FALSE"), list("tTfF")
)


def read_yaml(path: str | Path) -> Any:
    """Raises `SettingsError` with one line."""
    try:
        loader = PlainLoader(Path(path).read_text(encoding="utf-8-sig"))
        loader.name = str(path)  # which errors quote
        try:
            root = loader.get_single_node()
            if root is None:
                return None
            for where, node in nodes(root):
                check_node(path, where, node)
            return loader.construct_document(root)
        finally:
            loader.dispose()
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # 5,000 digits, month 13, 1,000 brackets
        raise SettingsError(f"{path}: is not YAML: {short(error, 400)}") from None


def nodes(node: yaml.Node, where: str = "") -> Iterator[tuple[str, yaml.Node]]:
    """Every node with its key, such as `grid.q[0]`."""
    yield where, node
    if isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            yield from nodes(item, f"{where}[{number}]")
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from nodes(value, f"{where}.{key.value}" if where else str(key.value))


def check_node(path: str | Path, where: str, node: yaml.Node) -> None:
    """Raises `SettingsError` for a key that stands twice, and for a number that is not plainly decimal."""
    if isinstance(node, yaml.MappingNode):
        check_keys(path, where, node)
        return
    plain = isinstance(node, yaml.ScalarNode) and not node.style
    if plain and node.tag in NUMBER_TAGS and not NUMBER.fullmatch(node.value):
        raise SettingsError(
            f"{path}, line {node.start_mark.line + 1}: {where:.300} = {node.value:.120}: not a plain number; "
            "write decimal digits (8, not 010; 1000, not 1_000), or quotes around a text"
        )


def check_keys(path: str | Path, where: str, node: yaml.MappingNode) -> None:
    """What a mapping says itself may replace what it takes over by `<<`; nothing else may stand twice."""
    lines: dict[Any, int] = {}
    merged: list[yaml.Node] = []
    for key, value in node.value:
        see(path, where, key, lines)
        if key.tag == MERGE:
            merged += value.value if isinstance(value, yaml.SequenceNode) else [value]
    taken: dict[Any, int] = {}
    for part in merged:
        for key, _ in part.value if isinstance(part, yaml.MappingNode) else ():
            if (key.tag, str(key.value)) not in lines:
                see(path, where, key, taken)


def see(path: str | Path, where: str, key: yaml.Node, lines: dict[Any, int]) -> None:
    """lines: keys so far → their line, from 1."""
    name, line = (key.tag, str(key.value)), key.start_mark.line + 1
    if name in lines:
        full = f"{where}.{key.value}" if where else str(key.value)
        raise SettingsError(
            f"{path}: {full:.300} stands twice, in lines {lines[name]} and {line}; keep one"
        )
    lines[name] = line
