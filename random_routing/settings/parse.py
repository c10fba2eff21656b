"""The whole of `params.yaml`, read and checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from random_routing.errors import SettingsError
from random_routing.settings import checks
from random_routing.settings.assets import parse_asset
from random_routing.settings.cluster import parse_cluster
from random_routing.settings.decoders import parse_baselines, parse_grid
from random_routing.settings.metrics import Metrics, parse_comparison, parse_metrics
from random_routing.settings.schema import Settings
from random_routing.settings.tasks import asset_name, parse_task
from random_routing.settings.tuning import parse_tuning
from random_routing.settings.variants import check_gates, parse_variant
from random_routing.settings.yamlfile import read_yaml

ROWS, HELD = 1_000_000, "they are held in memory"
KNOWN_AS = {
    "gpu": "cuda", "nvidia": "cuda", "bf16": "bfloat16", "fp32": "float32", "f32": "float32", "float": "float32",
}  # fmt: skip


def load_settings(path: str | Path = "params.yaml", metrics: Metrics = None) -> Settings:
    """Read and check the parameters file; metrics: `METRICS`, for a stage that uses them. Raises `SettingsError`."""
    return parse_settings(read_yaml(path), metrics)


def parse_settings(raw: Any, metrics: Metrics = None) -> Settings:
    """Settings from the parsed YAML of a parameters file. Raises `SettingsError`.

    metrics: `METRICS`, which this package cannot import; without them the names of metrics are taken as they are.
    """
    if not isinstance(raw, dict):
        empty = "is empty; it " if raw is None else ""
        raise SettingsError(f"params.yaml: {empty}must hold a mapping (key: value lines)")
    sections = (
        "seed", "dtype", "device", "executor", "workers", "ray", "batch_size", "max_rows", "grid", "lambda_means",
        "coupling", "variants", "include_eos", "baselines", "tasks", "embedder", "metrics", "comparison", "bootstrap",
        "tune", "report", "tensorboard", "assets",
    )  # fmt: skip
    checks.keys("", raw, sections)
    grid = checks.mapping("grid", raw["grid"])
    checks.keys("grid", grid, ("q", "lambda"))
    bootstrap = checks.mapping("bootstrap", raw["bootstrap"])
    checks.keys("bootstrap", bootstrap, ("resamples", "confidence"))
    report = checks.mapping("report", raw["report"])
    checks.keys("report", report, ("examples",))
    assets = {n: parse_asset(n, v) for n, v in checks.mapping("assets", raw["assets"]).items()}
    tasks = {n: parse_task(n, v, assets) for n, v in checks.mapping("tasks", raw["tasks"]).items()}
    checks.apart("assets", assets)
    chosen = parse_metrics(raw["metrics"], metrics)
    variants = {n: parse_variant(n, v) for n, v in checks.mapping("variants", raw["variants"]).items()}
    checks.apart("variants", variants)
    settings = Settings(
        seed=checks.integer("seed", raw["seed"], 0),
        dtype=checks.choice("dtype", raw["dtype"], ("float32", "bfloat16"), KNOWN_AS),
        device=checks.choice("device", raw["device"], ("cpu", "cuda"), KNOWN_AS),
        executor=checks.choice("executor", raw["executor"], ("local", "ray")),
        workers=checks.integer("workers", raw["workers"], 1, 256),
        ray=parse_cluster(raw["ray"]),
        batch_size=checks.integer("batch_size", raw["batch_size"], 1, ROWS, HELD),
        max_rows=checks.integer("max_rows", raw["max_rows"], 2, ROWS, HELD),
        q=parse_grid("grid.q", grid["q"]),
        lambdas=parse_grid("grid.lambda", grid["lambda"]),
        lambda_means=checks.choice("lambda_means", raw["lambda_means"], ("explore", "exploit")),
        coupling=checks.choice("coupling", raw["coupling"], ("common", "independent")),
        variants=variants,
        include_eos=checks.boolean("include_eos", raw["include_eos"]),
        baselines=parse_baselines(checks.mapping("baselines", raw["baselines"], empty_ok=True)),
        tasks=tasks,
        embedder=asset_name("embedder", raw["embedder"], assets, "embedder"),
        metrics=chosen,
        comparison=parse_comparison(raw["comparison"], metrics, chosen, list(tasks)),
        resamples=checks.integer("bootstrap.resamples", bootstrap["resamples"], 100, 1_000_000),
        confidence=checks.number("bootstrap.confidence", bootstrap["confidence"], 0.5, 0.999),
        page_examples=checks.integer(
            "report.examples", report["examples"], 1, 100_000, "the page holds their texts"
        ),
        tune=parse_tuning(raw["tune"], tasks, variants),
        tensorboard=checks.boolean("tensorboard", raw["tensorboard"]),
        assets=assets,
    )
    for name, variant in settings.variants.items():
        check_gates(name, variant, settings)
    return settings
