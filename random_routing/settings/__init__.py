"""`params.yaml` as frozen dataclasses, checked whole before any work.

Unknown keys, missing keys and values out of range raise `SettingsError` with one line that names
the file, the key, the value and what is allowed.
"""

from random_routing.settings.assets import FAULT, FIELDS, ORIGIN
from random_routing.settings.parse import load_settings, parse_settings
from random_routing.settings.schema import (
    BY_R,
    Asset,
    Base,
    Cluster,
    Comparison,
    Gate,
    Route,
    Schedule,
    Settings,
    Task,
    Tuning,
    Variant,
    exploration_weight,
)

__all__ = [
    "BY_R",
    "FAULT",
    "FIELDS",
    "ORIGIN",
    "Asset",
    "Base",
    "Cluster",
    "Comparison",
    "Gate",
    "Route",
    "Schedule",
    "Settings",
    "Task",
    "Tuning",
    "Variant",
    "exploration_weight",
    "load_settings",
    "parse_settings",
]
