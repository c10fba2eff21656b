"""`params.yaml` as frozen dataclasses, checked whole before any work.

Unknown keys, missing keys and values out of range raise `SettingsError` with one line that names
the file, the key, the value and what is allowed.
"""

from pipeline.settings.parse import METRIC_NAMES, load_settings, parse_settings
from pipeline.settings.schema import Asset, Base, Gate, Route, Schedule, Settings, Task, Variant

__all__ = [
    "METRIC_NAMES",
    "Asset",
    "Base",
    "Gate",
    "Route",
    "Schedule",
    "Settings",
    "Task",
    "Variant",
    "load_settings",
    "parse_settings",
]
