"""Settings, read from conf/settings.yaml, conf/<profile>.yaml and WATTCAST_* variables, each overriding the ones before.

They are frozen and typed; an unknown key is an error.
"""

import os
from functools import cache
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, SecretStr, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from wattcast.errors import REFUSED
from wattcast.setting_names import SettingsFile, Variables
from wattcast.setting_sections import (
    AlertsSettings,
    BatchSettings,
    BuildingsSettings,
    ClosingSettings,
    ForecastingSettings,
    KafkaSettings,
    LogSettings,
    MetricsSettings,
    ModelSettings,
    MonitoringSettings,
    QuotaSettings,
    RetentionSettings,
    Section,
    ServingSettings,
)

S3_SCHEMES = ("s3", "s3a", "s3n")  # of the URI of a lake in an object store


class SettingsMissing(FileNotFoundError):
    """A file or folder of the installation is missing."""

    exit_status = REFUSED


def project_folder(name: str) -> Path:
    """Folder `name` (conf, data-contracts, jobs, k8s) of the installed package or, in an editable install, of the checkout."""
    package = Path(__file__).resolve().parent
    for candidate in (package / name, package.parents[1] / name):
        if candidate.is_dir():
            return candidate
    raise SettingsMissing(f"The folder {name} is in neither the package nor the checkout: reinstall wattcast.")


def cache_folder(name: str) -> Path:
    """Folder for files that can be downloaded or computed again: $WATTCAST_CACHE/<name>, else wattcast/<name> in
    $XDG_CACHE_HOME, else in ~/.cache."""
    if configured := os.environ.get("WATTCAST_CACHE"):
        return Path(configured).resolve() / name
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wattcast" / name


def spark_conf(file: str) -> dict[str, str]:
    """The Spark properties in a file of conf/."""
    lines = (project_folder("conf") / file).read_text(encoding="utf-8").splitlines()
    pairs = (line.split(maxsplit=1) for line in lines if line.strip() and not line.startswith("#"))
    return {key: value.strip() for key, value in pairs}


class Settings(BaseSettings):
    """All settings. `WATTCAST_FORECASTING__LEAD_HOURS=48` sets `forecasting.lead_hours`."""

    model_config = SettingsConfigDict(
        env_prefix="WATTCAST_",
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        nested_model_default_partial_update=True,
    )

    state: Path = Path(".wattcast")
    lake: str = Field(default="", description="URI of the Delta tables; default: <state>/lake")
    checkpoints: str = Field(default="", description="URI of the streaming checkpoints; default: <state>/checkpoints")
    locks: Literal["auto", "machine"] = Field(
        default="auto",
        description="locks against a second writer; auto: Leases in a Kubernetes pod, else files, for one machine only; "
        "machine: files everywhere, for a lake that no other machine writes",
    )
    kafka: KafkaSettings = KafkaSettings()
    batch: BatchSettings = BatchSettings()
    buildings: BuildingsSettings = BuildingsSettings()
    quotas: QuotaSettings = QuotaSettings()
    retention: RetentionSettings = RetentionSettings()
    closing: ClosingSettings = ClosingSettings()
    forecasting: ForecastingSettings = ForecastingSettings()
    model: ModelSettings = ModelSettings()
    log: LogSettings = LogSettings()
    serving: ServingSettings = ServingSettings()
    monitoring: MonitoringSettings = MonitoringSettings()
    alerts: AlertsSettings = AlertsSettings()
    metrics: MetricsSettings = MetricsSettings()

    @field_validator("state")
    @classmethod
    def _folder(cls, state: Path) -> Path:
        nearest = next(path for path in (state, *state.parents, Path()) if path.exists())
        if not nearest.is_dir():
            raise PydanticCustomError("no_folder", "{file} is a file, not a folder", {"file": str(nearest)})
        return state

    @property
    def lake_uri(self) -> str:
        return self.lake or str(self.state.resolve() / "lake")

    @property
    def checkpoints_uri(self) -> str:
        return self.checkpoints or str(self.state.resolve() / "checkpoints")

    @property
    def tracking_uri(self) -> str:
        return self.model.tracking_uri or f"sqlite:///{self.state.resolve() / 'mlflow' / 'mlflow.db'}"

    @property
    def champions(self) -> dict[str, Any]:
        """The settings that decide which model forecasts, as keyword arguments of
        `wattcast_models.registry.champions.ChampionSource.configured`."""
        return {
            "artifact": self.model.artifact,
            "state": self.state,
            "tracking_uri": self.tracking_uri,
            "registered_name": self.model.registered_name,
            "device": self.forecasting.device,
            "closing": self.closing_rules,
        }

    @property
    def closing_rules(self) -> dict[str, int]:
        """The values of `closing` that affect the context of a forecast, as `wattcast_models.data.closing` takes them."""
        return {"grace_minutes": self.closing.grace_minutes, "max_wait_minutes": self.closing.max_wait_minutes}

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        conf = Path(os.environ.get("WATTCAST_CONF") or project_folder("conf"))
        profile = os.environ.get("WATTCAST_PROFILE", "local")
        files = [conf / f"{profile}.yaml", conf / "settings.yaml"]
        if missing := [file.name for file in files if not file.is_file()]:
            raise SettingsMissing(f"{conf} has no {missing[0]}: check WATTCAST_CONF and WATTCAST_PROFILE.")
        return init_settings, Variables(settings_cls), *(SettingsFile(settings_cls, file) for file in files)

    def with_changes(self, **sections: dict[str, object]) -> Self:
        """A copy in which the named keys of the named sections have other values, validated like any other."""
        current = self.model_dump()
        return self.model_validate(current | {name: current[name] | changes for name, changes in sections.items()})


def secret_variables() -> set[str]:
    """The variables with secret values, such as WATTCAST_KAFKA__PASSWORD."""
    return {
        f"WATTCAST_{section}__{name}".upper()
        for section, settings_field in Settings.model_fields.items()
        if isinstance(settings_field.annotation, type) and issubclass(settings_field.annotation, Section)
        for name, field in settings_field.annotation.model_fields.items()
        if field.annotation is SecretStr
    }


@cache
def settings() -> Settings:
    """The settings of this process, read once."""
    return Settings()
