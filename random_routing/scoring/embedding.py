"""Sentence embeddings whose bits depend on the text alone, not on the texts beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from transformers import AutoModel

from random_routing.decode.slots import spans
from random_routing.errors import PipelineError, short
from random_routing.files import asset_files
from random_routing.models.attention import NAME as ATTENTION
from random_routing.models.folder import load_tokenizer
from random_routing.models.graphs import FEWEST
from random_routing.models.invariant import make_invariant
from random_routing.models.loading import load_weights
from random_routing.models.memory import out_of_memory
from random_routing.models.numerics import numerics
from random_routing.models.pooling import UNSAID, read_embedding
from random_routing.models.tokens import encode_as_text
from random_routing.runs.recheck import Sample
from random_routing.runs.store import Store, content_key
from random_routing.settings import Settings, Task

if TYPE_CHECKING:  # a GPU's benchmark needs none of the metrics' packages
    from random_routing.metrics.metric import CellTexts

CODE_VERSION = 3  # raise it when a change of code changes vectors
STEP = 16  # tokens
ON_CPU, ON_GPU = (64, 2**14), (4_096, 2**18)  # texts and padded tokens of a model call, at most


class Embedder:
    """Unit vectors of texts, pooled over tokens as the folder says (`read_embedding`).

    Texts are padded to a multiple of 16 tokens, which each text fixes by itself, and grouped by that
    length, two rows at least: so batching leaves no trace. Longer texts than the folder says are cut.
    """

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        self.name, self.rules, self.device = str(folder), read_embedding(folder), device
        network = load_weights(
            AutoModel, folder, "embedder", dtype=torch.float32, attn_implementation=ATTENTION
        )
        self.network = network.eval().to(device)
        self.tokenizer = load_tokenizer(folder)
        positions = getattr(self.network.config, "max_position_embeddings", UNSAID)
        self.longest = self.rules.longest or int(min(UNSAID, positions, self.tokenizer.model_max_length))
        make_invariant(self.network)
        self._probe()

    def _probe(self) -> None:
        """Raises `PipelineError` for a model that gives no vector, or too large a `longest`."""
        word = self.tokenizer("a")["input_ids"] or [0]
        try:
            self._embed([(word * self.longest)[: self.longest]], self._padded(self.longest))
        except PipelineError:
            raise
        except Exception as error:
            if out_of_memory(error):
                raise
            raise PipelineError(
                f"{self.name}: {type(self.network).__name__} gives no vector of a text of {self.longest} tokens, which "
                f"max_seq_length in sentence_bert_config.json would set ({short(f'{type(error).__name__}: {error}')})"
            ) from None

    def _padded(self, length: int) -> int:
        """The next multiple of 16, as far as the model can read."""
        return min(-(-length // STEP) * STEP, self.longest)

    @torch.inference_mode()
    def __call__(
        self, texts: Sequence[str], on_texts: Callable[[int], None] = lambda done: None
    ) -> np.ndarray:
        """(texts, D) float32 unit vectors. on_texts: called with the number that are done."""
        inputs = [self.rules.prompt + (text.lower() if self.rules.lower else text) for text in texts]
        read = encode_as_text(self.tokenizer, inputs, truncation=True, max_length=self.longest)["input_ids"]
        ids = [row or [self.tokenizer.eos_token_id or 0] for row in read]  # an empty text has a vector too
        padded = np.array([self._padded(len(row)) for row in ids])
        most, tokens = ON_CPU if self.device == "cpu" else ON_GPU
        vectors: dict[int, np.ndarray] = {}
        for length in np.unique(padded):
            group = np.flatnonzero(padded == length)
            for start, stop in spans(len(group), max(2, min(most, tokens // int(length)))):
                rows = group[start:stop]
                unit = self._embed([ids[i] for i in rows], int(length)).numpy()
                vectors.update(zip(rows.tolist(), unit, strict=True))
                on_texts(len(vectors))
        return np.stack([vectors[i] for i in range(len(texts))])

    @torch.inference_mode()
    def _embed(self, ids: list[list[int]], length: int) -> Tensor:
        """(texts, D) unit vectors. Raises `PipelineError` where they are not finite."""
        fewest = 2 if self.device == "cpu" else FEWEST  # fewer rows would be rounded otherwise
        rows = ids + ids[:1] * (fewest - len(ids))
        tokens = torch.full((len(rows), length), self.tokenizer.pad_token_id or 0)
        mask = torch.zeros(len(rows), length, dtype=torch.long)
        for i, row in enumerate(rows):
            tokens[i, : len(row)] = torch.tensor(row)
            mask[i, : len(row)] = 1
        tokens, mask = tokens.to(self.device), mask.to(self.device)
        states = self.network(input_ids=tokens, attention_mask=mask).last_hidden_state  # (B, T, D)
        vectors = torch.nn.functional.normalize(self.rules.pool(states, mask), dim=1)  # (B, D)
        if not vectors.isfinite().all():
            raise PipelineError(f"{self.name}: gives vectors that are not finite (NaN or infinite)")
        return vectors[: len(ids)].cpu()


class Embeddings:
    """Unit vectors of sentences, kept in the store. show(done, total): called as texts are embedded.

    Kinds of tasks whose texts are no sentences have a class of their own, of the same methods (`embeddings_of`).
    """

    def __init__(
        self,
        settings: Settings,
        task: Task,
        store: Store,
        show: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        self.name, self.folder = self.source(settings, task)
        self.device = settings.device
        self.store, self.show, self.done = store, show, 0
        self.sample = Sample[str]()  # of those that were computed

    def source(self, settings: Settings, task: Task) -> tuple[str, Path]:
        """What embeds, for signatures, and the folder of the asset that it comes from."""
        return settings.embedder, Path("data/assets") / settings.embedder

    @cached_property
    def embedder(self) -> Embedder:
        return Embedder(self.folder, self.device)

    @cached_property
    def address(self) -> dict[str, Any]:
        return {
            "embedder": asset_files(self.folder),
            "code": CODE_VERSION,
            "numerics": numerics(self.device),
        }

    @property
    def signature(self) -> str:
        """How vectors are made, for signatures."""
        return read_embedding(self.folder).signature

    def beside(self, rows: Sequence[dict[str, Any]]) -> list[list[str]]:
        """What is embedded beside the texts of cells: sources and first references."""
        return [[row["source"] for row in rows], [row["references"][0] for row in rows]]

    def fields(self, rows: Sequence[dict[str, Any]]) -> Callable[[CellTexts], dict[str, Any]]:
        """What a cell gets, of which nothing is absent."""
        sources, references = (self.read(texts) for texts in self.beside(rows))  # (E, D)
        return lambda cell: {
            "text_embeddings": self.read(cell.texts),
            "source_embeddings": sources[cell.example],
            "reference_embeddings": references[cell.example],
        }

    def keys(self, texts: Iterable[str]) -> dict[str, bytes]:
        """Distinct text → its key in the store."""
        return {text: content_key([self.address, text]) for text in dict.fromkeys(texts)}

    def absent(self, texts: Iterable[str]) -> list[str]:
        """Those without a vector, distinct."""
        return self.store.absent(self.keys(texts).items())

    def compute(self, texts: Sequence[str]) -> None:
        """Embed distinct texts into the store."""
        keys, before = self.keys(texts), self.done
        total = before + len(texts)
        vectors = self.embedder(texts, on_texts=lambda done: self.show(before + done, total))
        self.store.put({keys[text]: vector.tobytes() for text, vector in zip(texts, vectors, strict=True)})
        self.sample.add((key, text) for text, key in keys.items())
        self.done = total

    def remade(self) -> Iterator[dict[bytes, bytes]]:
        """Key → bytes of vectors that are made again, a lot at a time, beside others than the first time."""
        for texts in self.sample.lots(lambda text: None):
            keys = self.keys(texts)
            vectors = self.embedder(texts)
            yield {keys[text]: vector.tobytes() for text, vector in zip(texts, vectors, strict=True)}

    def read(self, texts: Sequence[str]) -> np.ndarray:
        """(texts, D) float32, of texts of which none is absent."""
        keys = self.keys(texts)
        stored = self.store.take(list(keys.values()))
        return np.stack([np.frombuffer(stored[keys[text]], dtype=np.float32) for text in texts])
