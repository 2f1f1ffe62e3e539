"""One browser per module, and one server with its lake for all tests of the dashboard."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from playwright.sync_api import Browser, Page
from tests.lib.serving.conftest import served, settings_of
from tests.lib.serving.lake import append, forecasts_of, write_lake
from tests.lib.serving.screenshots import WIDE, chromium, this_hour
from tests.lib.serving.static.dashboard import HOSTILE, Dashboard, address, hostile_alert, hostile_reading, watched


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    folder, end = tmp_path_factory.mktemp("dashboard"), this_hour() - timedelta(hours=1)
    write_lake(folder / "lake", buildings=5, days=14, end=end)
    append(folder / "lake", "forecasts", forecasts_of([HOSTILE], end))
    append(folder / "lake", "alerts", [hostile_alert(end)])
    append(folder / "lake", "received_readings", [hostile_reading(end)])
    with served(settings_of(folder)) as client:
        yield Dashboard(address(client), folder / "lake", end)


@pytest.fixture
def page(browser: Browser, dashboard: Dashboard) -> Iterator[Page]:
    """A page that must not log an error or send a request to another host."""
    page = browser.new_page(viewport=WIDE, reduced_motion="reduce")
    errors, hosts = watched(page)
    yield page
    page.close()
    assert not errors
    assert hosts <= {dashboard.address}
