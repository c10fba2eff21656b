"""`params.yaml` as frozen dataclasses, checked whole by pydantic before any work.

Unknown keys, missing keys and values out of range raise `SettingsError` with one line that names
the file, the key, the value and what is allowed.
"""

from random_routing.settings.assets import FAULT, FIELDS, ORIGIN, Asset
from random_routing.settings.contrasts import Contrast
from random_routing.settings.decoders import BY_R, Base, Gate, Route, Variant, exploration_weight
from random_routing.settings.learning import Explorer, Learning
from random_routing.settings.parse import load_settings, parse_settings
from random_routing.settings.schedules import Annealing, Schedule
from random_routing.settings.schema import Cluster, Comparison, Settings, Tuning
from random_routing.settings.tasks import Task
from random_routing.settings.trained import Trained

__all__ = [
    "BY_R",
    "FAULT",
    "FIELDS",
    "ORIGIN",
    "Annealing",
    "Asset",
    "Base",
    "Cluster",
    "Comparison",
    "Contrast",
    "Explorer",
    "Gate",
    "Learning",
    "Route",
    "Schedule",
    "Settings",
    "Task",
    "Trained",
    "Tuning",
    "Variant",
    "exploration_weight",
    "load_settings",
    "parse_settings",
]
