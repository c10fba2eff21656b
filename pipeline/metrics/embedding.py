"""Sentence embeddings whose bits depend on the text alone, not on the texts beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import AutoModel, AutoTokenizer

from pipeline.checks import PipelineError
from pipeline.decoding.forest import spans
from pipeline.decoding.invariant import make_invariant
from pipeline.decoding.store import Store, content_key
from pipeline.files import check_asset, read_json
from pipeline.settings import Settings

CODE_VERSION = 1  # raise it when a change of code changes vectors
MAX_TOKENS, STEP, BATCH = 256, 16, 64


class Embedder:
    """Mean pooling over a text's tokens, scaled to unit length (Reimers & Gurevych 2019).

    Texts are padded to a multiple of 16 tokens, which each text fixes by itself, and grouped by that
    length, two rows at least: so batching leaves no trace. Texts over 256 tokens are cut.
    """

    def __init__(self, folder: Path) -> None:
        for weights in (False, True):
            check_asset(folder, weights)
        try:
            self.tokenizer = AutoTokenizer.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False
            )
            self.network = AutoModel.from_pretrained(
                folder,
                dtype=torch.float32,
                attn_implementation="eager",
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=False,
            ).eval()
        except (OSError, ValueError, KeyError) as error:
            raise PipelineError(f"{folder}: no usable embedder ({error})") from None
        make_invariant(self.network)

    @torch.inference_mode()
    def __call__(
        self, texts: Sequence[str], on_texts: Callable[[int], None] = lambda done: None
    ) -> np.ndarray:
        """(texts, D) float32 unit vectors; on_texts is told how many are done."""
        ids = self.tokenizer(list(texts), truncation=True, max_length=MAX_TOKENS)["input_ids"]
        padded = np.array([-(-len(row) // STEP) * STEP for row in ids])
        vectors = np.zeros((len(texts), self.network.config.hidden_size), dtype=np.float32)
        done = 0
        for length in np.unique(padded):
            group = np.flatnonzero(padded == length)
            for start, stop in spans(len(group), BATCH):
                rows = group[start:stop]
                vectors[rows] = self._embed([ids[i] for i in rows], int(length))[: len(rows)].numpy()
                done += len(rows)
                on_texts(done)
        return vectors

    def _embed(self, ids: list[list[int]], length: int) -> Tensor:
        rows = ids if len(ids) > 1 else ids * 2  # a lone row would be rounded otherwise
        tokens = torch.full((len(rows), length), self.tokenizer.pad_token_id or 0)
        mask = torch.zeros(len(rows), length, dtype=torch.long)
        for i, row in enumerate(rows):
            tokens[i, : len(row)] = torch.tensor(row)
            mask[i, : len(row)] = 1
        states = self.network(input_ids=tokens, attention_mask=mask).last_hidden_state  # (B, T, D)
        weights = mask[:, :, None].float()
        mean = (states * weights).sum(1) / weights.sum(1)  # (B, D)
        return torch.nn.functional.normalize(mean, dim=1)


def embed(
    settings: Settings,
    texts: list[str],
    store: Store,
    show: Callable[[int, int], None],
    load: Callable[[Path], Embedder] = Embedder,
) -> np.ndarray:
    """Unit vectors (texts, D) float32; those in the store are not computed again."""
    folder = Path("data/assets") / settings.embedder
    address = {"embedder": read_json(folder / "asset.json")["files"], "code": CODE_VERSION}
    keys = {text: content_key([address, text]) for text in texts}
    there = store.get(list(keys.values()))
    missing = [text for text in texts if keys[text] not in there]
    if missing:
        vectors = load(folder)(missing, on_texts=lambda done: show(done, len(missing)))
        found = {keys[text]: vector.tobytes() for text, vector in zip(missing, vectors, strict=True)}
        store.put(found)
        there |= found
    return np.stack([np.frombuffer(there[keys[text]], dtype=np.float32) for text in texts])
