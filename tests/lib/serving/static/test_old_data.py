"""The dashboard never shows old data as current."""

import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from deltalake import DeltaTable
from playwright.sync_api import Browser, Route, expect
from tests.lib.serving.conftest import served, settings_of
from tests.lib.serving.lake import append, write_lake
from tests.lib.serving.screenshots import WIDE, show, this_hour
from tests.lib.serving.static.dashboard import Dashboard, address, hostile_alert, hostile_reading, needs_chromium

pytestmark = needs_chromium


def test_old_data_are_shown_with_their_age(browser: Browser, tmp_path: Path) -> None:
    write_lake(tmp_path / "lake", buildings=2, days=9, end=this_hour() - timedelta(hours=9))
    current = settings_of(tmp_path).with_changes(forecasting={"clock": "wall"})
    with served(current.model_copy(update={"state": tmp_path})) as client:
        page = browser.new_page(viewport=WIDE)
        show(page, address(client), "")
        expect(page.locator(".banner.warn").first).to_contain_text("No readings have arrived since")
        expect(page.locator("main dl").first).to_contain_text("Stale: no newer reading has arrived")
        expect(page.locator("main dl").first).to_contain_text("2 stale")
        show(page, address(client), "devices")
        expect(page.get_by_role("row", name="meter-0")).to_contain_text(re.compile(r"[89] h.* ago"))
        page.close()


@pytest.fixture(scope="module")
def neglected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A dashboard over a lake whose monitor stopped eight days ago, with a building that has no forecast, alerts of which the
    worst is the oldest, and a record of no building."""
    folder, end = tmp_path_factory.mktemp("neglected"), this_hour() - timedelta(hours=1)
    lake = folder / "lake"
    write_lake(lake, buildings=2, days=12, end=end)
    health = DeltaTable(str(lake / "health")).to_pandas()
    shutil.rmtree(lake / "health")
    append(lake, "health", health[health.as_of <= end - timedelta(days=8)])
    append(lake, "buildings", [{"building_id": "new", "reading_interval_minutes": 60, "allows_negative_energy": False}])
    append(lake, "alerts", [
        hostile_alert(end - timedelta(hours=age)) | {"alert_id": f"a{age}", "severity": severity, "message": f"{age} h old"}
        for age, severity in ((30, "critical"), *((age, "warning") for age in range(3, 9)))
    ])  # fmt: skip
    append(lake, "received_readings", [hostile_reading(end) | {"building_id": None, "device_id": "stray"}])
    with served(settings_of(folder)) as client:
        yield address(client)


def test_old_measurements_are_not_shown_as_current(browser: Browser, neglected: str) -> None:
    page = browser.new_page(viewport=WIDE)
    show(page, neglected, "")
    expect(page.locator(".banner.warn")).to_contain_text("The monitor has measured nothing since")
    for name in ("Complete hours", "Rejected", "Mean error", "Within P10 to P90"):
        tile = page.locator(".tile", has_text=name)
        expect(tile.locator(".says.warn")).to_have_text("Measured 8 days ago")
    show(page, neglected, "pipeline")
    expect(page.get_by_role("row", name="ingest")).to_contain_text("Not reporting")
    expect(page.get_by_role("row", name="ingest")).to_contain_text("8 days ago")
    page.close()


def test_building_without_a_forecast_and_the_worst_alert_come_first(browser: Browser, neglected: str) -> None:
    page = browser.new_page(viewport=WIDE)
    show(page, neglected, "")
    forecasts = page.locator(".tile", has_text="Fresh forecasts")
    expect(forecasts).to_contain_text("of 3")
    expect(forecasts.locator(".says.bad")).to_contain_text("1 missing")
    alerts = page.locator(".alert-list li")
    expect(alerts.locator(".badge")).to_have_text(["Critical"] * 2 + ["Warning"] * 3)
    expect(alerts.nth(1)).to_contain_text("30 h old")
    page.close()


def test_record_without_a_building_adds_no_device(browser: Browser, neglected: str) -> None:
    page = browser.new_page(viewport=WIDE)
    show(page, neglected, "devices")
    expect(page.get_by_role("row", name="meter-0")).to_have_count(1)
    expect(page.get_by_role("row", name="stray")).to_have_count(0)
    expect(page.locator("main a[href$=null]")).to_have_count(0)
    page.close()


def test_open_page_warns_when_no_readings_arrive(browser: Browser, dashboard: Dashboard) -> None:
    page = browser.new_page(viewport=WIDE)
    page.clock.install()
    show(page, dashboard.address, "")
    expect(page.locator(".banner")).to_have_count(0)

    def three_hours_later(route: Route) -> None:
        body = route.fetch().json()
        now = datetime.fromisoformat(body["now"]) + timedelta(hours=3)
        route.fulfill(json=body | {"now": now.isoformat()})

    page.route("**/v1/overview", three_hours_later)
    page.clock.fast_forward(61_000)
    expect(page.locator(".banner.warn").first).to_contain_text("No readings have arrived since")
    expect(page.locator(".tile", has_text="Newest reading").locator(".says.bad")).to_contain_text("Stale")
    page.close()


def test_replay_of_old_readings_shows_whether_its_jobs_report_now(browser: Browser, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    write_lake(tmp_path / "lake", buildings=2, days=9, end=this_hour() - timedelta(days=60))
    lag = {"measure": "stream_lag_records", "scope": "query", "subject": "ingest", "samples": 1}
    append(tmp_path / "lake", "health", [
        lag | {"as_of": at, "measured_at": at, "value": value}
        for at, value in ((now - timedelta(minutes=5), 4.0), (now - timedelta(seconds=5), 5_432.0))
    ])  # fmt: skip
    with served(settings_of(tmp_path)) as client:
        page = browser.new_page(viewport=WIDE)
        show(page, address(client), "pipeline")
        row = page.get_by_role("row", name="ingest")
        expect(row).to_contain_text("5,432")
        expect(row.locator(".badge")).to_have_text("Reporting")
        chart = page.get_by_role("slider", name=re.compile("Lag: unread records"))
        chart.press("End")
        expect(chart).to_have_attribute("aria-valuetext", re.compile("ingest 5,432"))
        page.close()
