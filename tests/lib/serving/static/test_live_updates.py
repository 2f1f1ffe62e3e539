"""The dashboard in Chromium follows new data, and reports a lost connection."""

import re
from datetime import timedelta

from playwright.sync_api import Browser, Page, Route, expect
from tests.lib.serving.lake import append, forecasts_of
from tests.lib.serving.screenshots import WIDE, show
from tests.lib.serving.static.dashboard import Dashboard, arrive, hostile_alert, needs_chromium

pytestmark = needs_chromium


def test_new_commit_appears_without_a_reload(page: Page, dashboard: Dashboard) -> None:
    show(page, dashboard.address, "buildings/building-3")
    count = int(page.locator("#alert-count").inner_text().split()[0])
    expect(page.locator("main")).to_contain_text("This forecast has no warnings.")
    newer = forecasts_of(["building-3"], dashboard.end + timedelta(hours=1)).assign(warnings=[["flat_meter"]])
    append(dashboard.lake, "forecasts", newer)
    expect(page.locator("main")).to_contain_text("the same value for 24 hours", timeout=30_000)
    append(dashboard.lake, "alerts", [hostile_alert(dashboard.end) | {"alert_id": "new", "message": "Look here."}])
    expect(page.locator("#announcer")).to_have_text("New alert: Look here.", timeout=30_000)
    expect(page.locator("#alert-count")).to_have_text(f"{count + 1} open", timeout=30_000)


def test_lost_server_is_reported_and_the_data_stay(browser: Browser, dashboard: Dashboard) -> None:
    page = browser.new_page(viewport=WIDE)
    show(page, dashboard.address, "devices")
    page.context.set_offline(True)
    page.get_by_role("radio", name="Silent").check()
    expect(page.get_by_role("alert")).to_contain_text("The server cannot be reached. The data shown were loaded at")
    expect(page.get_by_role("rowheader").first).to_be_visible()
    page.context.set_offline(False)
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("alert")).to_have_text("")
    expect(page.get_by_role("rowheader")).to_have_text(["meter-4"])
    page.close()


def test_seven_tabs_of_one_browser_are_live_on_one_stream(browser: Browser, dashboard: Dashboard) -> None:
    context = browser.new_context(viewport=WIDE)
    tabs = [context.new_page() for _ in range(7)]
    for number, tab in enumerate(tabs):
        show(tab, dashboard.address, f"buildings/building-{number % 5}")
        expect(tab.locator("#live-text")).to_have_text("Live")
    for message in ("The first.", "The second."):
        new = hostile_alert(dashboard.end) | {"alert_id": message, "message": message}
        append(dashboard.lake, "alerts", [new])
        for tab in tabs:
            expect(tab.locator("#announcer")).to_have_text(f"New alert: {message}", timeout=30_000)
        tabs.pop(0).close()  # which held the stream: another takes over
        expect(tabs[-1].locator("#live-text")).to_have_text("Live")
    context.close()


def test_hidden_tab_holds_no_stream(browser: Browser, dashboard: Dashboard) -> None:
    page = browser.new_page(viewport=WIDE)
    show(page, dashboard.address, "alerts")
    expect(page.locator("#live-text")).to_have_text("Live")
    turn = """(hidden) => {
        Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
    }"""
    with page.expect_event("requestfailed", lambda request: "/v1/events" in request.url):
        page.evaluate(turn, True)
    with page.expect_request("**/v1/overview"), page.expect_request("**/v1/events?*"):
        page.evaluate(turn, False)
    page.close()


def test_silent_connection_is_opened_again(browser: Browser, dashboard: Dashboard) -> None:
    page = browser.new_page(viewport=WIDE)
    page.clock.install()
    show(page, dashboard.address, "alerts")
    expect(page.locator("#live-text")).to_have_text("Live")
    with page.expect_event("requestfailed", lambda request: "/v1/events" in request.url):
        page.clock.fast_forward(41_000)
    expect(page.locator("#live-text")).to_have_text("Not connected, trying again")
    with page.expect_request("**/v1/events?*"):
        page.clock.fast_forward(2_000)
    expect(page.locator("#live-text")).to_have_text("Live")
    page.close()


def test_slow_panel_is_not_restarted_by_new_data(browser: Browser, dashboard: Dashboard) -> None:
    page = browser.new_page(viewport=WIDE)
    held: list[Route] = []
    page.route("**/v1/accuracy?*by=model*", lambda route: held.append(route))
    page.goto(f"{dashboard.address}/#/accuracy")
    expect(page.locator("#live-text")).to_have_text("Live")
    with page.expect_response("**/v1/overview"):
        arrive(dashboard)
    expect(page.locator("main [aria-busy=true]")).to_have_count(1)
    assert len(held) == 1
    held[0].continue_()
    expect(page.get_by_role("table", name="Models")).to_be_visible()
    assert len(held) == 1
    page.close()


def test_page_is_live_again_after_one_failed_request(browser: Browser, dashboard: Dashboard) -> None:
    page = browser.new_page(viewport=WIDE)
    problem = {"status": 503, "content_type": "application/problem+json", "body": '{"detail": "Busy."}'}
    page.route("**/v1/overview", lambda route: route.fulfill(**problem), times=1)
    page.goto(f"{dashboard.address}/#/devices")
    expect(page.locator("#live-text")).to_have_text("Not connected, trying again")
    expect(page.locator("#live-text")).to_have_text("Live", timeout=30_000)
    page.close()


def test_focus_stays_on_the_same_row_when_another_arrives(page: Page, dashboard: Dashboard) -> None:
    show(page, dashboard.address, "quality?days=28")
    rows = page.locator("main table details")
    count = rows.count()
    rows.nth(4).locator("summary").focus()
    key = rows.nth(4).get_attribute("data-key")
    arrive(dashboard, accepted=False)
    expect(rows).to_have_count(count + 1, timeout=30_000)
    assert page.evaluate("() => document.activeElement.parentElement.dataset.key") == key


def test_redrawn_chart_keeps_the_value_under_its_cursor(page: Page, dashboard: Dashboard) -> None:
    show(page, dashboard.address, "buildings/building-2")
    chart = page.get_by_role("slider", name=re.compile("Energy by hour"))
    stops = chart.get_attribute("aria-valuemax")
    chart.press("Home")
    chart.press("ArrowRight")
    value = chart.get_attribute("aria-valuetext")
    append(dashboard.lake, "forecasts", forecasts_of(["building-2"], dashboard.end + timedelta(hours=2)))
    expect(chart).not_to_have_attribute("aria-valuemax", stops or "", timeout=30_000)
    expect(chart).to_be_focused()
    expect(chart).to_have_attribute("aria-valuetext", value or "")
    expect(chart.locator(".tip")).to_be_visible()
