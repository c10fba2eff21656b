"""What is 0 on average by the law, and says how lucky a decoder's texts were: control variates of its quality."""

from __future__ import annotations

import numpy as np

from random_routing.law.cells import Decoder, step_rates
from random_routing.law.origin import Origin
from random_routing.metrics.metric import CellTexts
from random_routing.resampling.intervals import by_example
from random_routing.settings import Base


def controls(cell: CellTexts, decoder: Decoder, steps: int) -> np.ndarray:
    """(E, 2), sums over an example's texts; zeros where the law does not give the mean.

    0: random steps minus the steps' rates, of gates that open by themselves. 1: of the model's steps under plain
    sampling, the token's surprise minus the entropy it was drawn with, nats. Both are martingales, so that their mean
    is 0 whenever a text ends.
    """
    stats = np.zeros((len(cell.texts), 2))
    plain = decoder.mix == "after" and not decoder.beams
    if plain and all(gate.kind == "token" for gate in decoder.gates.values()):
        rates = step_rates(decoder, decoder.q, decoder.lam, steps)
        random = 1 - (1 - rates[Origin.Q]) * (1 - rates[Origin.LAMBDA])
        expected = np.concatenate([[0.0], random.cumsum()])
        stats[:, 0] = [np.count_nonzero(r != Origin.MODEL) - expected[len(r)] for r in cell.routes]
    if plain and decoder.base == Base():
        of_texts = zip(cell.routes, cell.model_logprobs, cell.entropies, strict=True)
        for row, (routes, logprobs, entropies) in enumerate(of_texts):
            own = routes == Origin.MODEL
            stats[row, 1] = -(logprobs[own].astype(np.float64) + entropies[own]).sum()
    return by_example(stats, cell.example, cell.examples)
