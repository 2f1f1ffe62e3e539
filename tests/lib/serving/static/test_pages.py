"""Every page of the dashboard in Chromium: content, phones, accessibility and empty data."""

import re
from pathlib import Path

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect
from tests.lib.serving.conftest import served, settings_of
from tests.lib.serving.lake import append
from tests.lib.serving.screenshots import PHONE, WIDE, show
from tests.lib.serving.static.dashboard import HOSTILE, Dashboard, address, needs_chromium, watched

pytestmark = needs_chromium


PAGES = {
    "": ("Fleet", "building-0"),
    "buildings/building-1": ("building-1", "Weekly pattern of this building"),
    "accuracy": ("Accuracy", "wattcast-mlp 2.0.0"),
    "alerts": ("Alerts", "has sent nothing for 6 hours"),
    "devices": ("Devices", "meter-0"),
    "quality?days=28": ("Data quality", "Energy is negative where that is not allowed"),
    "drift": ("Drift", "Temperature"),
    "pipeline": ("Pipeline", "Reporting"),
}


TABLES = ("buildings", "hourly_usage", "forecasts", "forecast_scores", "received_readings", "health", "alerts")


NOTHING_YET = {
    "": "No readings have arrived yet",
    "accuracy": "No model has issued forecasts in this time.",
    "alerts": "No alert matches the selection.",
    "devices": "No device matches the selection.",
    "quality": "No records were rejected in this time.",
    "drift": "Not measured yet: start the monitor job.",
    "pipeline": "No query has reported its progress yet",
}


@pytest.mark.parametrize("words", PAGES)
def test_page_loads_with_what_the_lake_holds(page: Page, dashboard: Dashboard, words: str) -> None:
    heading, text = PAGES[words]
    show(page, dashboard.address, words)
    expect(page.get_by_role("heading", level=1)).to_have_text(heading)
    expect(page.locator("main")).to_contain_text(text)
    expect(page.locator("main .banner")).to_have_count(0)
    expect(page.locator("#live-text")).to_have_text("Live")
    expect(page).to_have_title(f"{heading} · Wattcast")


@pytest.mark.parametrize("words", [*PAGES, f"buildings/{HOSTILE.replace('%', '%25').replace('/', '%2F')}"])
def test_page_fits_a_phone(browser: Browser, dashboard: Dashboard, words: str) -> None:
    page = browser.new_page(viewport=PHONE)
    show(page, dashboard.address, words.replace("?#", "%3F%23"))
    assert page.evaluate("() => document.documentElement.scrollWidth") == PHONE["width"]
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("words", PAGES)
def test_axe_finds_no_serious_fault(browser: Browser, dashboard: Dashboard, words: str, scheme: str) -> None:
    context = browser.new_context(viewport=WIDE, color_scheme=scheme, reduced_motion="reduce", bypass_csp=True)
    page = context.new_page()
    show(page, dashboard.address, words)
    for summary in page.locator("main summary").all()[:3]:
        summary.click()
    report = Axe().run(page)
    context.close()
    assert len(report.response["passes"]) > 15
    faults = [item for item in report.response["violations"] if item["impact"] in ("serious", "critical")]
    assert not faults, report.generate_report()


def test_hostile_names_are_shown_as_text(page: Page, dashboard: Dashboard) -> None:
    for words in ("", "alerts", "devices", "quality"):
        show(page, dashboard.address, words)
        expect(page.get_by_text(HOSTILE).first).to_be_visible()
        expect(page.locator("main img")).to_have_count(0)
    show(page, dashboard.address, "")
    page.get_by_role("rowheader").get_by_role("link", name=HOSTILE).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(HOSTILE)
    expect(page).to_have_title(f"{HOSTILE} · Wattcast")
    expect(page.locator("main")).to_contain_text("This forecast has no warnings.")


def test_unknown_building_and_page_get_a_sentence(browser: Browser, dashboard: Dashboard) -> None:
    page = browser.new_page(viewport=WIDE)
    show(page, dashboard.address, "buildings/nowhere")
    expect(page.get_by_role("alert").first).to_contain_text("nowhere")
    for words in ("what", "constructor"):
        page.goto(f"{dashboard.address}/#/{words}")
        expect(page.get_by_role("heading", level=1)).to_have_text("Page not found")
    page.close()


def test_address_with_an_invalid_selection_shows_the_default(page: Page, dashboard: Dashboard) -> None:
    show(page, dashboard.address, "accuracy?days=abc&measure=what")
    expect(page.get_by_role("radio", name="14")).to_be_checked()
    expect(page.locator("main .banner")).to_have_count(0)
    show(page, dashboard.address, "buildings/building-0?as_of=abc&lead=999")
    expect(page.locator("main .banner")).to_have_count(0)
    show(page, dashboard.address, "buildings")
    expect(page.get_by_role("heading", level=1)).to_have_text("Fleet")


def test_empty_lake_is_explained_in_sentences(browser: Browser, tmp_path: Path) -> None:
    for table in TABLES:
        append(tmp_path / "lake", table, [])
    with served(settings_of(tmp_path)) as client:
        page = browser.new_page(viewport=WIDE)
        errors, _ = watched(page)
        for words, sentence in NOTHING_YET.items():
            show(page, address(client), words)
            expect(page.locator("main")).to_contain_text(sentence)
        page.close()
        assert not errors


def test_too_many_buildings_to_sum_up_show_a_shorter_range(browser: Browser, dashboard: Dashboard) -> None:
    with served(settings_of(dashboard.lake.parent, max_scored_hours=10_000)) as client:
        page = browser.new_page(viewport=WIDE)
        show(page, address(client), "")
        expect(page.locator("main .banner.bad")).to_have_count(0)
        expect(page.get_by_role("slider", name=re.compile("Mean absolute error"))).to_be_visible()
        expect(page.locator(".tile", has_text="Mean error")).to_contain_text("of last week's")
        show(page, address(client), "accuracy")
        expect(page.locator("main .banner.bad")).to_have_count(0)
        expect(page.locator("main .card").first).to_contain_text(
            "Only 3 days are shown: the server cannot sum up 14 days"
        )
        expect(page.get_by_role("table", name="Models")).to_be_visible()
        page.close()


def test_browser_revalidates_the_files_so_that_versions_never_mix(dashboard: Dashboard) -> None:
    first = httpx.get(f"{dashboard.address}/static/main.js")
    assert (first.status_code, first.headers["cache-control"]) == (200, "no-cache")
    assert "default-src 'self'" in first.headers["content-security-policy"]
    again = httpx.get(f"{dashboard.address}/static/main.js", headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304


def test_files_have_no_inline_script_or_style_and_no_other_host() -> None:
    static = Path(__file__).parents[4] / "lib/wattcast/serving/static"
    files = [file for file in static.rglob("*") if file.is_file()]
    assert {file.suffix for file in files} == {".html", ".css", ".js", ".svg"}
    for file in files:
        text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", text), file
    index = (static / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<style|<script(?![^>]*\bsrc=)|\sstyle=|\son\w+=", index)
