"""The sections of the settings, with their defaults and limits. They are frozen and typed; an unknown key is an error."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

Positive = Annotated[int, Field(gt=0)]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class KafkaSettings(Section):
    """The broker and the credentials for it. Without `bootstrap_servers`, the embedded broker of this state folder is used."""

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
    outage_minutes: Annotated[float, Field(ge=0)] = Field(
        default=60, description="how long a running job waits for a broker that does not answer; 0: it ends at once"
    )


class BatchSettings(Section):
    """Limits of one micro-batch, which bound the memory that catching up needs."""

    trigger_seconds: Annotated[float, Field(ge=0)] = 5
    scoring_seconds: Annotated[float, Field(ge=0)] = Field(
        default=30, description="seconds between batches of `score`; no forecast depends on them"
    )
    max_offsets_per_batch: Positive = 200_000
    max_files_per_batch: Positive = 20
    max_megabytes_per_batch: Positive = 16


class BuildingsSettings(Section):
    """Which buildings may send readings."""

    only_known: bool = Field(
        default=False, description="reject readings of buildings without a row in the table buildings"
    )


class QuotaSettings(Section):
    """Limits of what ingest accepts, by arrival; 0: no limit. Records beyond them are rejected with `quota_exceeded`."""

    records_per_minute: Annotated[int, Field(ge=0)] = Field(default=0, description="records of one device")
    kilobytes_per_minute: Annotated[int, Field(ge=0)] = Field(default=0, description="KiB of records of one device")
    unknown_buildings_per_day: Annotated[int, Field(ge=0)] = Field(
        default=0, description="buildings that are not in the table buildings"
    )

    @property
    def is_set(self) -> bool:
        return any((self.records_per_minute, self.kilobytes_per_minute, self.unknown_buildings_per_day))


class RetentionSettings(Section):
    """How long `wattcast maintain` keeps what is not needed to compute the tables."""

    rejected_payload_days: Annotated[int, Field(ge=0)] = Field(
        default=90, description="days for which the payload of a rejected record is kept; 0: for ever"
    )


class ClosingSettings(Section):
    """When an hour of a building closes: see `wattcast.hourly.revisions`."""

    grace_minutes: Annotated[int, Field(ge=0)] = 5
    max_wait_minutes: Positive = 180
    idle_partition_minutes: Positive = 24 * 60
    max_readings_per_device_hour: Positive = Field(
        default=10_000,
        description="readings of one device in one hour that are used; an hour that reaches it is flagged `capped`",
    )


class ForecastingSettings(Section):
    lead_hours: Annotated[int, Field(ge=1, le=168)] = 24
    context_hours: Annotated[int, Field(ge=24, le=24 * 7 * 12)] = 24 * 56
    catch_up_hours: Positive = 24
    heard_within_days: Positive = 30
    clock: Literal["wall", "arrival"] = Field(
        default="wall",
        description="the clock for buildings that send nothing: this machine's, or, for replayed readings, their arrival",
    )
    heartbeat_seconds: Positive = 60
    buildings_per_batch: Positive = 64
    device: Literal["cpu", "cuda"] = Field(
        default="cpu", description="torch device of the executors; where it is missing, forecasts use the fallbacks"
    )


class ModelSettings(Section):
    """Which model forecasts. `artifact` is a folder with model.pt and model_config.json. If it is empty, that is the model set
    with `wattcast models use`, else the champions of the registry, else the model that is part of the package."""

    artifact: str = ""
    tracking_uri: str = Field(default="", description="MLflow server or database; default: <state>/mlflow/mlflow.db")
    registered_name: str = Field(
        default="wattcast", pattern=r"^[\w-]+$", description="name of the model in the MLflow registry"
    )


class LogSettings(Section):
    format: Literal["text", "json"] = Field(
        default="text", description="format of log lines; json: one object per line"
    )


class ServingSettings(Section):
    """The REST API and the dashboard: see `wattcast.serving`."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    auth: Literal["auto", "on", "off"] = Field(
        default="auto", description="API keys and rate limits; auto: off where only this machine can connect, else on"
    )
    allow_open: bool = Field(default=False, description="allow auth to be off where other machines can connect")
    keys_file: str = Field(
        default="", description="file of API keys, such as a mounted Secret; default: <state>/keys.json"
    )
    tls_certificate: str = Field(default="", description="PEM file of the certificate, with its chain; default: no TLS")
    tls_key: str = Field(default="", description="PEM file of the certificate's private key")
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
        default="", description="comma-separated addresses of proxies whose X-Forwarded-For names the client"
    )
    max_event_streams: Positive = 200
    slow_client_seconds: Positive = 20
    requests_per_second: Positive = 50
    burst: Positive = 200


class MonitoringSettings(Section):
    """How often the monitor measures, and how often `wattcast retrain` may train."""

    interval_seconds: Positive = 300
    slow_minutes: Positive = Field(default=60, description="minutes between measurements over weeks (drift, accuracy)")
    contracts_hours: Annotated[int, Field(ge=0)] = Field(
        default=24, description="hours between checks of the tables against their contracts; 0: no checks"
    )
    retrain_on_drift: bool = Field(
        default=False, description="has no effect: the monitor starts no training; `wattcast retrain` does"
    )
    retrain_hours: Positive = Field(
        default=24, description="minimum hours between the starts of two trainings by `wattcast retrain`"
    )


class AlertsSettings(Section):
    """Where alerts are sent besides the table, the topic and the log."""

    webhook: SecretStr = Field(default=SecretStr(""), description="URL that receives JSON by POST")
    webhook_seconds: Annotated[float, Field(gt=0, le=60)] = 5


class MetricsSettings(Section):
    """Metrics of a job for Prometheus. Of several jobs on one machine, each after the first uses the next free port."""

    port: Annotated[int, Field(ge=0, le=65535)] = Field(
        default=0, description="port of the metrics; 0: no metrics are served"
    )
    host: str = "127.0.0.1"
    check_in_seconds: Annotated[int, Field(ge=0)] = Field(
        default=300, description="seconds between rows of a query's progress in `health`; 0: no rows"
    )
