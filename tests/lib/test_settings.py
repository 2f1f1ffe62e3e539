"""Settings come from files and variables; a mistake in them is an error."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from wattcast.setting_names import RENAMED
from wattcast.settings import Settings


@pytest.fixture
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "settings.yaml").write_text(
        "kafka: {partitions: 3, readings_topic: all}\nforecasting: {lead_hours: 24}\n"
    )
    (tmp_path / "site.yaml").write_text("kafka: {partitions: 6}\n")
    monkeypatch.setenv("WATTCAST_CONF", str(tmp_path))
    monkeypatch.setenv("WATTCAST_PROFILE", "site")
    return tmp_path


def test_the_profile_overrides_the_common_file_key_by_key(conf: Path) -> None:
    kafka = Settings().kafka
    assert (kafka.partitions, kafka.readings_topic) == (6, "all")


def test_a_variable_overrides_both_files_and_leaves_the_other_keys(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATTCAST_KAFKA__PARTITIONS", "12")
    monkeypatch.setenv("WATTCAST_FORECASTING__LEAD_HOURS", "48")
    current = Settings()
    assert (current.kafka.partitions, current.kafka.readings_topic, current.forecasting.lead_hours) == (12, "all", 48)


@pytest.mark.parametrize("line", ["kafka: {partition: 3}", "kafak: {partitions: 3}"])
def test_an_unknown_key_in_a_file_is_refused_by_its_name(conf: Path, line: str) -> None:
    (conf / "site.yaml").write_text(line)
    with pytest.raises(ValidationError, match=r"partition\b|kafak"):
        Settings()


def test_an_unknown_key_in_a_variable_is_refused(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATTCAST_KAFKA__PARTITION", "3")
    with pytest.raises(ValidationError, match="partition"):
        Settings()


@pytest.mark.parametrize("changes", [{"lead_hours": 0}, {"lead_hours": 169}, {"clock": "sun"}, {"lead_hour": 3}])
def test_a_value_out_of_range_is_refused_also_in_a_changed_copy(conf: Path, changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Settings().with_changes(forecasting=changes)


def test_a_changed_copy_leaves_the_original_as_it_was(conf: Path) -> None:
    before = Settings()
    assert before.with_changes(forecasting={"lead_hours": 168}).forecasting.lead_hours == 168
    assert before.forecasting.lead_hours == 24
    with pytest.raises(ValidationError):
        before.forecasting.lead_hours = 3  # type: ignore[misc]


def test_a_secret_is_never_shown(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATTCAST_KAFKA__PASSWORD", "hunter2")
    current = Settings()
    assert current.kafka.password.get_secret_value() == "hunter2"
    assert "hunter2" not in repr(current) + str(current) + current.model_dump_json()
    assert current.with_changes(kafka={"partitions": 1}).kafka.password.get_secret_value() == "hunter2"


def test_a_profile_without_a_file_is_named(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATTCAST_PROFILE", "moon")
    with pytest.raises(FileNotFoundError, match=r"has no moon\.yaml: check WATTCAST_CONF and WATTCAST_PROFILE"):
        Settings()


@pytest.fixture
def renamed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two settings as if they had had other names, one of them in another section."""
    monkeypatch.setitem(RENAMED, "forecasting.hours", "forecasting.lead_hours")
    monkeypatch.setitem(RENAMED, "batch.kafka_parts", "kafka.partitions")


def test_a_former_name_in_a_file_goes_on_with_a_warning_and_the_present_name_comes_first(
    conf: Path, renamed: None, caplog: pytest.LogCaptureFixture
) -> None:
    (conf / "site.yaml").write_text("forecasting: {hours: 12}\nbatch: {kafka_parts: 9, max_files_per_batch: 7}\n")
    current = Settings()
    assert (current.forecasting.lead_hours, current.kafka.partitions, current.batch.max_files_per_batch) == (12, 9, 7)
    assert current.kafka.readings_topic == "all"
    assert caplog.messages[0] == (
        f"The setting forecasting.hours is now forecasting.lead_hours: rename it in {conf / 'site.yaml'}. The next release "
        "refuses the former name."
    )
    (conf / "site.yaml").write_text("forecasting: {hours: 12, lead_hours: 36}\n")
    assert Settings().forecasting.lead_hours == 36


def test_a_former_name_in_a_variable_goes_on_with_a_warning(
    conf: Path, renamed: None, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATTCAST_BATCH__KAFKA_PARTS", "12")
    monkeypatch.setenv("WATTCAST_FORECASTING__HOURS", "48")
    current = Settings()
    assert (current.kafka.partitions, current.forecasting.lead_hours) == (12, 48)
    assert caplog.messages[0] == (
        "The variable WATTCAST_FORECASTING__HOURS is now WATTCAST_FORECASTING__LEAD_HOURS: rename it. The next release "
        "refuses the former name."
    )
    monkeypatch.setenv("WATTCAST_FORECASTING__LEAD_HOURS", "72")
    assert Settings().forecasting.lead_hours == 72
