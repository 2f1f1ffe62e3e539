"""The dashboard with a key of some buildings: every page loads, with these buildings only."""

from datetime import timedelta
from pathlib import Path

from playwright.sync_api import Browser, expect
from tests.lib.serving.conftest import served, settings_of
from tests.lib.serving.lake import write_lake
from tests.lib.serving.screenshots import WIDE, show, this_hour
from tests.lib.serving.static.dashboard import address, needs_chromium, watched

from wattcast.serving.security.access import BuildingAccess
from wattcast.serving.security.keys import ApiKeys

pytestmark = needs_chromium

SHOWS = {
    "": "building-1",
    "buildings/building-1": "building-1",
    "accuracy": "wattcast-mlp 2.0.0",
    "alerts": "No alert matches the selection.",
    "devices": "meter-1",
    "quality?days=28": "No records were rejected in this time.",
    "drift": "Not measured yet",
    "pipeline": "No query has reported its progress yet",
}


def test_every_page_shows_own_buildings_without_an_error(browser: Browser, tmp_path: Path) -> None:
    write_lake(tmp_path / "lake", buildings=3, days=9, end=this_hour() - timedelta(hours=1))
    current = settings_of(tmp_path)
    _, key = ApiKeys.from_settings(current).create("tenant", ("read",), BuildingAccess(("building-1",)))
    with served(current, auth=True) as client:
        page = browser.new_page(viewport=WIDE, reduced_motion="reduce")
        page.add_init_script(f"sessionStorage.setItem('wattcast-api-key', '{key}')")
        errors, _ = watched(page)
        for words, text in SHOWS.items():
            show(page, address(client), words)
            expect(page.locator("main")).to_contain_text(text)
            content = page.locator("body").inner_text()
            assert not [
                name for number in (0, 2) for name in (f"building-{number}", f"meter-{number}") if name in content
            ]
        page.close()
    assert errors == []
