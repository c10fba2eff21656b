"""A small causal transformer over the pixels of an image, after a token that says what it shows.

Pixels one after the other, each from those before it (van den Oord et al. 2016, "Pixel Recurrent Neural Networks";
Chen et al. 2020, "Generative Pretraining from Pixels"). A Llama, so that whatever decodes language models decodes it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import Tensor
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from random_routing.errors import PipelineError
from random_routing.files import write_json
from random_routing.progress import Progress
from random_routing.settings import Asset, Trained
from random_routing.tasks.digits import CLASSES, LEVELS, PIXELS, in_training, load_digits
from random_routing.tasks.images import class_token

UNKNOWN = "<unk>"
SMOOTH = 0.1  # added to the counts of the baselines
WARM_UP, DECAY, CLIP, BETAS = 0.1, 0.3, 1.0, (0.9, 0.95)


def train_pixels(trained: Trained, asset: Asset, data: Path, folder: Path) -> None:
    """data: the data asset's folder, of reader digits; folder: where the model goes, with `training.json`, which has
    the bits per pixel of held-out images. On one thread: the same bytes every time on one kind of machine.
    """
    if asset.reader != "digits":
        raise PipelineError(
            f"params.yaml: trained.{trained.name}.data = {asset.name}: its reader is {asset.reader}; "
            f"{trained.recipe} needs digits"
        )
    images, labels = load_digits(data)
    seen = in_training(images)
    with torch.random.fork_rng(devices=[]), one_thread():
        torch.manual_seed(trained.seed)
        network = LlamaForCausalLM(_config(trained))
        ids = torch.from_numpy(np.hstack([LEVELS + labels[:, None], images]))  # (N, 65)
        _fit(network, ids[torch.from_numpy(seen)], trained)
        held_out = bits_per_pixel(network, ids[torch.from_numpy(~seen)])
    network.config.attention_dropout = 0.0
    network.generation_config = GenerationConfig(suppress_tokens=list(range(LEVELS, LEVELS + CLASSES + 1)))
    network.save_pretrained(folder)
    pixel_tokenizer().save_pretrained(folder)
    write_json(folder / "training.json", {
        "images": {"training": int(seen.sum()), "held out": int((~seen).sum())},
        "bits per pixel, held out": {"model": held_out, **baselines(images, labels, seen)},
        "parameters": sum(p.numel() for p in network.parameters()),
    }, indent=1)  # fmt: skip


def pixel_tokenizer() -> PreTrainedTokenizerFast:
    """A token for each grey level, whose id is the level; a control token for each class; one for all else."""
    control = [*map(class_token, range(CLASSES)), UNKNOWN]
    spelt = [*map(str, range(LEVELS)), *control]
    tokenizer = Tokenizer(models.WordLevel({token: i for i, token in enumerate(spelt)}, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens(control)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token=UNKNOWN)


def bits_per_pixel(network: LlamaForCausalLM, ids: Tensor) -> float:
    """Mean −log2 p of the pixels of ids (N, 65), each from the class and the pixels before it."""
    network.eval()
    with torch.inference_mode():
        return float(_loss(network, ids)) / math.log(2)


def baselines(images: np.ndarray, labels: np.ndarray, seen: np.ndarray) -> dict[str, float]:
    """Bits per pixel of the held-out images under the frequencies of grey levels in the others: of all pixels
    together, of each place, and of each place in images of the same class.
    """
    places, held_out = np.arange(PIXELS), images[~seen]
    counts = np.full((CLASSES, PIXELS, LEVELS), SMOOTH)
    np.add.at(counts, (labels[seen][:, None], places, images[seen]), 1)
    of_place = counts.sum(0)
    bits = {
        "all pixels alike": _bits(of_place.sum(0))[held_out],
        "each place by itself": _bits(of_place)[places, held_out],
        "each place of a class": _bits(counts)[labels[~seen][:, None], places, held_out],
    }
    return {name: float(values.mean()) for name, values in bits.items()}


def _bits(counts: np.ndarray) -> np.ndarray:
    bits: np.ndarray = -np.log2(counts / counts.sum(-1, keepdims=True))
    return bits


def _config(trained: Trained) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=LEVELS + CLASSES + 1,
        hidden_size=trained.width,
        intermediate_size=2 * trained.width,
        num_hidden_layers=trained.layers,
        num_attention_heads=trained.heads,
        max_position_embeddings=2 * PIXELS,  # a prompt is padded to 16 tokens
        attention_dropout=trained.dropout,
        rope_parameters={"rope_type": "default", "rope_theta": 1000.0},
        bos_token_id=None,
        eos_token_id=None,
    )


def _loss(network: LlamaForCausalLM, ids: Tensor) -> Tensor:
    """Mean nats per pixel, among the grey levels alone."""
    logits = network(input_ids=ids[:, :-1]).logits[..., :LEVELS]  # (N, 64, 17)
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())


def _fit(network: LlamaForCausalLM, ids: Tensor, trained: Trained) -> None:
    """AdamW with a warm-up and a cosine to 0 (Smith & Topin 2019, "Super-Convergence"), epoch after epoch."""
    rate, steps = trained.learning_rate, trained.steps
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=DECAY, betas=BETAS)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, rate, total_steps=steps + 1, pct_start=WARM_UP
    )
    network.train()
    with Progress(f"train {trained.name}", "step") as show:
        for step, chosen in zip(range(steps), _batches(len(ids), trained.batch), strict=False):
            loss = _loss(network, ids[chosen])
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), CLIP)
            optimizer.step()
            schedule.step()
            show(step + 1, steps)


def _batches(count: int, size: int) -> Iterator[Tensor]:
    """Numbers below `count` in an order that is drawn anew each time through, `size` at a time, without an end."""
    left = torch.empty(0, dtype=torch.long)
    while True:
        while len(left) < size:
            left = torch.cat([left, torch.randperm(count)])
        chosen, left = left.split([size, len(left) - size])
        yield chosen


@contextmanager
def one_thread() -> Iterator[None]:
    """Several threads add up in another order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
