"""The controls of the dashboard in Chromium: keyboard, touch, search, sign-in and charts."""

import re
from datetime import timedelta
from pathlib import Path

from playwright.sync_api import Browser, Page, expect
from tests.lib.serving.conftest import served, settings_of
from tests.lib.serving.lake import write_lake
from tests.lib.serving.screenshots import PHONE, WIDE, show, this_hour
from tests.lib.serving.static.dashboard import Dashboard, address, needs_chromium

from wattcast.serving.security.keys import ApiKeys

pytestmark = needs_chromium


def test_forecast_is_shown_as_it_was_issued_at_a_past_time(page: Page, dashboard: Dashboard) -> None:
    show(page, dashboard.address, "buildings/building-0")
    issued_by = dashboard.end - timedelta(days=2) + timedelta(minutes=30)
    page.get_by_label("As issued at (UTC)").fill(f"{issued_by:%Y-%m-%dT%H:%M}")
    first_hour = page.locator("dt:text-is('First hour') + dd")
    expect(first_hour).to_contain_text(f"{issued_by:%H}:00 UTC")
    expect(first_hour).to_contain_text(f"{issued_by:%a} {issued_by.day} {issued_by:%b}")
    assert f"as_of={issued_by:%Y-%m-%dT%H}%3A30" in page.url
    page.get_by_role("button", name="Current forecast").click()
    expect(first_hour).to_contain_text(
        f"{dashboard.end:%a} {dashboard.end.day} {dashboard.end:%b}, {dashboard.end:%H}:00"
    )


def test_search_narrows_the_list_of_buildings(page: Page, dashboard: Dashboard) -> None:
    show(page, dashboard.address, "")
    rows = page.get_by_role("table", name="Buildings", exact=True).get_by_role("rowheader")
    expect(rows).to_have_count(6)
    page.get_by_label("Search by id").fill("ING-2")
    expect(rows).to_have_text(["building-2"])
    page.get_by_label("Search by id").fill("nowhere")
    expect(page.locator("main")).to_contain_text("No building matches the search.")


def test_everything_can_be_reached_by_keyboard(page: Page, dashboard: Dashboard) -> None:
    show(page, dashboard.address, "")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    chart = page.get_by_role("slider", name=re.compile("Mean absolute error, repeating last week"))
    for _ in range(20):
        page.keyboard.press("Tab")
        if chart.evaluate("(chart) => chart === document.activeElement"):
            break
    expect(chart).to_be_focused()
    page.keyboard.press("Home")
    first = chart.get_attribute("aria-valuetext")
    assert re.search(r"UTC: .*All buildings 0\.\d\d", first or "")
    page.keyboard.press("ArrowRight")
    expect(chart).not_to_have_attribute("aria-valuetext", first or "")
    expect(page.locator(".tip").first).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".tip").first).to_be_hidden()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(
        page.get_by_role("region", name=re.compile("Mean absolute error.*table")).get_by_role("row").nth(1)
    ).to_be_visible()
    page.get_by_role("navigation", name="Pages").get_by_role("link", name="Drift").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1, name="Drift")).to_be_focused()


def test_menu_of_a_phone_works_by_keyboard(browser: Browser, dashboard: Dashboard) -> None:
    page = browser.new_page(viewport=PHONE)
    show(page, dashboard.address, "")
    menu, link = page.get_by_role("button", name="Menu"), page.get_by_role("link", name="Pipeline")
    expect(link).to_be_hidden()
    menu.press("Enter")
    expect(menu).to_have_attribute("aria-expanded", "true")
    link.press("Escape")
    expect(menu).to_be_focused()
    menu.press("Enter")
    link.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Pipeline")
    expect(link).to_be_hidden()
    page.close()


def test_sign_in_keeps_the_key_in_the_tab_only(browser: Browser, tmp_path: Path) -> None:
    write_lake(tmp_path / "lake", buildings=2, days=9, end=this_hour() - timedelta(hours=1))
    current = settings_of(tmp_path)
    _, key = ApiKeys.from_settings(current).create("dashboard", ("read",))
    with served(current, auth=True) as client:
        page = browser.new_page(viewport=WIDE)
        page.goto(address(client))
        field = page.get_by_label("API key")
        for _ in range(3):
            field.press("Escape")
            expect(field).to_be_visible()
        field.fill("clé…")
        field.press("Enter")
        expect(page.get_by_role("alert").filter(has_text="Latin letters")).to_be_visible()
        field.fill("wrong")
        field.press("Enter")
        expect(page.get_by_role("alert").filter(has_text="refused this key")).to_be_visible()
        field.fill(key)
        page.get_by_role("button", name="Sign in").click()
        expect(page.locator("main")).to_contain_text("building-1")
        expect(page.locator("#live-text")).to_have_text("Live")
        assert page.evaluate("() => localStorage.length + document.cookie.length") == 0
        page.reload()
        expect(page.locator("main")).to_contain_text("building-1")
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("dialog", name="Sign in")).to_be_visible()
        page.close()


def test_tap_on_a_chart_shows_its_values(browser: Browser, dashboard: Dashboard) -> None:
    context = browser.new_context(viewport=PHONE, has_touch=True, is_mobile=True)
    page = context.new_page()
    show(page, dashboard.address, "pipeline")
    page.locator(".plot").first.tap()
    expect(page.locator(".tip").first).to_be_visible()
    context.close()
