"""What a page needs to be made again: revision, versions, machine, licences."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from random_routing.runs.cost import machine
from random_routing.settings import Settings

PACKAGES = (
    "torch", "transformers", "datasets", "dvc", "sacrebleu", "nltk", "faiss-cpu", "scikit-learn", "scipy",
    "statsmodels", "matplotlib", "altair", "numpy", "pyarrow",
)  # fmt: skip


def revision() -> tuple[str, str]:
    """Git's revision of the checkout, empty where there is none, and a remark on it."""
    sources = ("pipeline", "random_routing", "params.yaml")
    changed = ("status", "--porcelain", "--untracked-files=no", "--", *sources)
    try:
        run = [
            subprocess.run(["git", *ask], capture_output=True, text=True, check=True).stdout.strip()
            for ask in (("rev-parse", "HEAD"), changed)
        ]
    except (OSError, subprocess.SubprocessError):
        return "", "made outside a Git checkout"
    remark = "with changes to the code or to params.yaml that are not in that revision"
    return run[0], remark if run[1] else ""


def about(settings: Settings) -> dict[str, Any]:
    commit, remark = revision()
    return {
        "revision": commit,
        "remark": remark,
        "machine": f"{machine()}, {platform.system()}, Python {platform.python_version()}",
        "versions": [(name, version(name)) for name in PACKAGES],
        "assets": [
            {
                "name": name, "kind": asset.kind, "source": ", ".join(asset.sources),
                "licence": asset.licence or "not stated", "sha256": " ".join(asset.sha256),
            }
            for name, asset in settings.all_assets.items()
        ],
        "params": Path("params.yaml").read_text(encoding="utf-8"),
    }  # fmt: skip
