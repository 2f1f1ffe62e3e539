"""Settings: conf/settings.yaml, then conf/<profile>.yaml, then WATTCAST_* variables; frozen, typed, unknown keys refused."""

import os
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, YamlConfigSettingsSource

Positive = Annotated[int, Field(gt=0)]


class SettingsMissing(FileNotFoundError):
    """A file or folder that comes with Wattcast is not there."""


def project_folder(name: str) -> Path:
    """Folder `name` (conf, data-contracts, jobs, k8s) of the installed package or, in an editable install, of the checkout."""
    package = Path(__file__).resolve().parent
    for candidate in (package / name, package.parents[1] / name):
        if candidate.is_dir():
            return candidate
    raise SettingsMissing(f"The folder {name} came neither with the package nor with the checkout: reinstall wattcast.")


def cache_folder(name: str) -> Path:
    """Where something is kept that can be had again: $WATTCAST_CACHE/<name>, else wattcast/<name> in $XDG_CACHE_HOME, else in
    ~/.cache."""
    if own := os.environ.get("WATTCAST_CACHE"):
        return Path(own).resolve() / name
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wattcast" / name


def spark_conf(file: str) -> dict[str, str]:
    """Spark's own settings in a file of conf/."""
    lines = (project_folder("conf") / file).read_text(encoding="utf-8").splitlines()
    pairs = (line.split(maxsplit=1) for line in lines if line.strip() and not line.startswith("#"))
    return {key: value.strip() for key, value in pairs}


S3_SCHEMES = ("s3", "s3a", "s3n")


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class KafkaSettings(_Section):
    """Where the broker is and how to sign in. Without `bootstrap_servers` the embedded broker of this state folder is used."""

    bootstrap_servers: str = ""
    readings_topic: str = "readings"
    weather_forecasts_topic: str = "weather-forecasts"
    forecasts_topic: str = "forecasts"
    alerts_topic: str = "alerts"
    partitions: Positive = 3
    replication_factor: Positive = 1
    timestamp_type: Literal["LogAppendTime", "CreateTime"] = "LogAppendTime"
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    username: str = ""
    password: SecretStr = SecretStr("")
    ssl_cafile: str = ""
    request_timeout_seconds: Positive = 30


class BatchSettings(_Section):
    """What bounds one micro-batch, and so the memory of a catch-up."""

    trigger_seconds: Annotated[float, Field(ge=0)] = 5
    scoring_seconds: Annotated[float, Field(ge=0)] = Field(
        default=30, description="between batches of `score`, for which no forecast waits"
    )
    max_offsets_per_batch: Positive = 200_000
    max_files_per_batch: Positive = 20
    max_megabytes_per_batch: Positive = 16


class ClosingSettings(_Section):
    """When an hour of a building counts as over: see `wattcast.hourly`."""

    grace_minutes: Annotated[int, Field(ge=0)] = 5
    max_wait_minutes: Positive = 180
    idle_partition_minutes: Positive = 24 * 60


class ForecastingSettings(_Section):
    lead_hours: Annotated[int, Field(ge=1, le=168)] = 24
    context_hours: Annotated[int, Field(ge=24, le=24 * 7 * 12)] = 24 * 56
    catch_up_hours: Positive = 24
    heard_within_days: Positive = 30
    clock: Literal["wall", "arrival"] = Field(
        default="wall",
        description="what tells the time to silent buildings: this machine, or, when readings are replayed, their arrival",
    )
    heartbeat_seconds: Positive = 60
    buildings_per_batch: Positive = 64
    device: Literal["cpu", "cuda"] = Field(
        default="cpu", description="of torch, in the executors; where they have no such device, forecasts step down"
    )


class ModelSettings(_Section):
    """Which model forecasts. `artifact` is a folder with model.pt and model_config.json; empty: the one that was set by
    `wattcast models use`, else the champions of the registry, else the one that comes with the package."""

    artifact: str = ""
    tracking_uri: str = Field(default="", description="MLflow server or database; empty: <state>/mlflow/mlflow.db")
    registered_name: str = Field(
        default="wattcast", pattern=r"^[\w-]+$", description="of the model in MLflow's registry"
    )


class LogSettings(_Section):
    format: Literal["text", "json"] = Field(default="text", description="of what jobs say; json: one object a line")


class ServingSettings(_Section):
    """The REST API and the dashboard: see `wattcast.serving`."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    auth: Literal["auto", "on", "off"] = Field(
        default="auto", description="of API keys and rate limits; auto: off where only this machine can ask, else on"
    )
    allow_open: bool = Field(default=False, description="let auth be off where other machines can ask")
    keys_file: str = Field(default="", description="of API keys, such as a mounted Secret; empty: <state>/keys.json")
    refresh_seconds: Annotated[float, Field(gt=0)] = 1
    stale_after_minutes: Positive = 120
    page_rows: Positive = 100
    max_page_rows: Positive = 1000
    max_ids: Positive = 1000
    max_history_days: Positive = 366
    max_scored_hours: Positive = 10_000_000
    max_body_megabytes: Positive = 8
    max_connections: Positive = 1000
    max_connections_per_address: Positive = 200
    trusted_proxies: str = Field(
        default="", description="addresses of proxies whose X-Forwarded-For says who asks, separated by commas"
    )
    max_event_streams: Positive = 200
    slow_client_seconds: Positive = 20
    requests_per_second: Positive = 50
    burst: Positive = 200


class MonitoringSettings(_Section):
    """How often the monitor looks, and what it may start."""

    interval_seconds: Positive = 300
    slow_minutes: Positive = Field(default=60, description="between two looks at weeks: drift, accuracy, calibration")
    contracts_hours: Annotated[int, Field(ge=0)] = Field(
        default=24, description="between two checks of contracts; 0: none"
    )
    retrain_on_drift: bool = False
    retrain_hours: Positive = Field(default=24, description="at least, between two trainings that drift has started")


class AlertsSettings(_Section):
    """Where alerts go besides the table, the topic and the log."""

    webhook: SecretStr = Field(default=SecretStr(""), description="URL that takes JSON by POST")
    webhook_seconds: Annotated[float, Field(gt=0, le=60)] = 5


class MetricsSettings(_Section):
    """Figures of a job for Prometheus. Of several jobs on one machine each after the first takes the next free port."""

    port: Annotated[int, Field(ge=0, le=65535)] = Field(default=0, description="0: none are served")
    host: str = "127.0.0.1"
    check_in_seconds: Annotated[int, Field(ge=0)] = Field(
        default=300, description="between two rows of a query's progress in `health`; 0: none"
    )


class Settings(BaseSettings):
    """Everything that can be set. `WATTCAST_FORECASTING__LEAD_HOURS=48` sets `forecasting.lead_hours`."""

    model_config = SettingsConfigDict(
        env_prefix="WATTCAST_",
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        nested_model_default_partial_update=True,
    )

    state: Path = Path(".wattcast")
    lake: str = Field(default="", description="URI of the Delta tables; empty: <state>/lake")
    checkpoints: str = Field(default="", description="URI of the streaming checkpoints; empty: <state>/checkpoints")
    locks: Literal["auto", "machine"] = Field(
        default="auto",
        description="what keeps a second writer away; auto: Leases in a pod on Kubernetes, else files, which hold on one machine "
        "only; machine: files everywhere, for a lake that no other machine writes",
    )
    kafka: KafkaSettings = KafkaSettings()
    batch: BatchSettings = BatchSettings()
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
    def _is_no_file(cls, state: Path) -> Path:
        nearest = next(each for each in (state, *state.parents, Path()) if each.exists())
        if not nearest.is_dir():
            raise PydanticCustomError("no_folder", "{file} is a file, no folder", {"file": str(nearest)})
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
        files = [conf / "settings.yaml", conf / f"{profile}.yaml"]
        if missing := [file.name for file in files if not file.is_file()]:
            raise SettingsMissing(f"{conf} has no {missing[0]}: check WATTCAST_CONF and WATTCAST_PROFILE.")
        return init_settings, env_settings, YamlConfigSettingsSource(settings_cls, files, deep_merge=True)

    def with_changes(self, **sections: dict[str, object]) -> Self:
        """A copy in which the named keys of the named sections have other values, validated like any other."""
        current = self.model_dump()
        return self.model_validate(current | {name: current[name] | changes for name, changes in sections.items()})


def secret_variables() -> set[str]:
    """The variables of settings that nobody must read, such as WATTCAST_KAFKA__PASSWORD."""
    return {
        f"WATTCAST_{section}__{name}".upper()
        for section, found in Settings.model_fields.items()
        if isinstance(found.annotation, type) and issubclass(found.annotation, _Section)
        for name, field in found.annotation.model_fields.items()
        if field.annotation is SecretStr
    }


@cache
def settings() -> Settings:
    """The settings of this process, read once."""
    return Settings()
