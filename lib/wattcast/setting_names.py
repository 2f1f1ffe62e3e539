"""Settings that had another name in an earlier release: the former name goes on for one release, with a warning."""

import logging
from typing import Any

from pydantic_settings import BaseSettings, EnvSettingsSource, YamlConfigSettingsSource

log = logging.getLogger("wattcast.settings")

RENAMED: dict[str, str] = {}  # former to present name, both as section.name; an entry is removed after one release
WARNING = "%s is now %s: rename it%s. The next release refuses the former name."


class Variables(EnvSettingsSource):
    """The WATTCAST_* variables under the present names of their settings. The present name comes first if both are set."""

    def __init__(self, settings_class: type[BaseSettings]) -> None:
        super().__init__(settings_class)
        variables = dict(self.env_vars)
        for former, present in ((_variable(former), _variable(present)) for former, present in RENAMED.items()):
            if former.lower() in variables:
                log.warning(WARNING, f"The variable {former}", present, "")
                variables.setdefault(present.lower(), variables.pop(former.lower()))
        self.env_vars = variables


class SettingsFile(YamlConfigSettingsSource):
    """A file of settings under their present names. The present name comes first if both are in the file."""

    def __call__(self) -> dict[str, Any]:
        sections = {key: dict(value) if isinstance(value, dict) else value for key, value in super().__call__().items()}
        for former, present in RENAMED.items():
            section, name = former.split(".")
            if name in (sections.get(section) or {}):
                log.warning(WARNING, f"The setting {former}", present, f" in {self.yaml_file_path}")
                present_section, present_name = present.split(".")
                sections.setdefault(present_section, {}).setdefault(present_name, sections[section].pop(name))
        return sections


def _variable(setting: str) -> str:
    return f"WATTCAST_{setting.replace('.', '__')}".upper()
