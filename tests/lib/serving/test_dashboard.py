"""The dashboard in a real Chromium, over a real server and lake: one browser, one server."""

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from deltalake import DeltaTable
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Route, expect
from tests.lib.serving.conftest import served, settings_of
from tests.lib.serving.lake import append, forecasts_of, write_lake
from tests.lib.serving.screenshots import PHONE, WIDE, chromium, executable, show, this_hour

from wattcast.serving.keys import Keys

PAGES = {
    "": ("Fleet", "building-0"),
    "buildings/building-1": ("building-1", "A step down: medians by hour of the week"),
    "accuracy": ("Accuracy", "wattcast-mlp 2.0.0"),
    "alerts": ("Alerts", "has sent nothing for 6 hours"),
    "devices": ("Devices", "meter-0"),
    "quality?days=28": ("Data quality", "Energy below zero where that is not allowed"),
    "drift": ("Drift", "Temperature"),
    "pipeline": ("Pipeline", "Reporting"),
}
HOSTILE = "<img src=x onerror=\"document.title='taken'\">/../&amp;?#%"
TABLES = ("buildings", "hourly_usage", "forecasts", "forecast_scores", "received_readings", "health", "alerts")
NOTHING_YET = {
    "": "Nothing has arrived yet",
    "accuracy": "No model has forecast in this time.",
    "alerts": "No alert matches: all is quiet.",
    "devices": "No device matches.",
    "quality": "Nothing was rejected in this time.",
    "drift": "The monitor has not measured it yet",
    "pipeline": "No query has reported yet",
}

if executable() is None and os.environ.get("WATTCAST_REQUIRE_CHROMIUM"):
    raise pytest.UsageError("WATTCAST_REQUIRE_CHROMIUM is set, but there is no chromium on the path.")
pytestmark = pytest.mark.skipif(executable() is None, reason="needs Chromium: install chromium")


@dataclass(frozen=True)
class Dashboard:
    """A server of the dashboard, its lake, and the end of what is known in it."""

    address: str
    lake: Path
    end: datetime


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def dashboard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    folder, end = tmp_path_factory.mktemp("dashboard"), this_hour() - timedelta(hours=1)
    write_lake(folder / "lake", buildings=5, days=14, end=end)
    append(folder / "lake", "forecasts", forecasts_of([HOSTILE], end))
    append(folder / "lake", "alerts", [hostile_alert(end)])
    append(folder / "lake", "received_readings", [hostile_reading(end)])
    with served(settings_of(folder)) as client:
        yield Dashboard(address(client), folder / "lake", end)


def address(client: httpx.Client) -> str:
    return str(client.base_url).rstrip("/")


def hostile_alert(end: datetime) -> dict[str, object]:
    return {
        "alert_id": "hostile", "state": "firing", "changed_at": end, "rule": HOSTILE, "severity": "critical",
        "scope": "building", "subject": HOSTILE, "started_at": end, "value": 1.0, "threshold": 0.0, "message": HOSTILE,
        "created_at": end,
    }  # fmt: skip


def hostile_reading(end: datetime) -> dict[str, object]:
    return {
        "building_id": HOSTILE, "device_id": HOSTILE, "accepted": False, "kafka_topic": "readings", "kafka_partition": 7,
        "kafka_offset": 1, "kafka_timestamp": end + timedelta(minutes=1), "rejected_for": [HOSTILE],
        "raw_payload": HOSTILE.encode(), "payload_bytes": len(HOSTILE), "payload_sha256": "0" * 64,
    }  # fmt: skip


@pytest.fixture
def page(browser: Browser, dashboard: Dashboard) -> Iterator[Page]:
    """A page that must neither err nor ask another host."""
    page = browser.new_page(viewport=WIDE, reduced_motion="reduce")
    errors, hosts = watched(page)
    yield page
    page.close()
    assert not errors
    assert hosts <= {dashboard.address}


def watched(page: Page) -> tuple[list[str], set[str]]:
    """What a page says of errors, and whom it asks."""
    errors: list[str] = []
    hosts: set[str] = set()

    def said(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            errors.append(message.text)

    def asked(request: Request) -> None:
        hosts.add("/".join(request.url.split("/")[:3]))

    page.on("console", said)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", asked)
    return errors, hosts


@pytest.mark.parametrize("words", PAGES)
def test_page_loads_with_what_the_lake_holds(page: Page, dashboard: Dashboard, words: str) -> None:
    heading, said = PAGES[words]
    show(page, dashboard.address, words)
    expect(page.get_by_role("heading", level=1)).to_have_text(heading)
    expect(page.locator("main")).to_contain_text(said)
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
    found = Axe().run(page)
    context.close()
    assert len(found.response["passes"]) > 15
    faults = [each for each in found.response["violations"] if each["impact"] in ("serious", "critical")]
    assert not faults, found.generate_report()


def test_new_commit_is_seen_without_a_reload(page: Page, dashboard: Dashboard) -> None:
    show(page, dashboard.address, "buildings/building-3")
    count = int(page.locator("#alert-count").inner_text().split()[0])
    expect(page.locator("main")).to_contain_text("None: it is as good as it gets.")
    newer = forecasts_of(["building-3"], dashboard.end + timedelta(hours=1)).assign(warnings=[["flat_meter"]])
    append(dashboard.lake, "forecasts", newer)
    expect(page.locator("main")).to_contain_text("one and the same value for 24 hours", timeout=30_000)
    append(dashboard.lake, "alerts", [hostile_alert(dashboard.end) | {"alert_id": "new", "message": "Look here."}])
    expect(page.locator("#announcer")).to_have_text("New alert: Look here.", timeout=30_000)
    expect(page.locator("#alert-count")).to_have_text(f"{count + 1} open", timeout=30_000)


def test_forecast_is_shown_as_it_was_issued_at_a_past_time(page: Page, dashboard: Dashboard) -> None:
    show(page, dashboard.address, "buildings/building-0")
    asked = dashboard.end - timedelta(days=2) + timedelta(minutes=30)
    page.get_by_label("As issued at (UTC)").fill(f"{asked:%Y-%m-%dT%H:%M}")
    first_hour = page.locator("dt:text-is('First hour') + dd")
    expect(first_hour).to_contain_text(f"{asked:%H}:00 UTC")
    expect(first_hour).to_contain_text(f"{asked:%a} {asked.day} {asked:%b}")
    assert f"as_of={asked:%Y-%m-%dT%H}%3A30" in page.url
    page.get_by_role("button", name="The newest").click()
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
    expect(page.locator("main")).to_contain_text("No building matches.")


def test_hostile_names_are_shown_as_text(page: Page, dashboard: Dashboard) -> None:
    for words in ("", "alerts", "devices", "quality"):
        show(page, dashboard.address, words)
        expect(page.get_by_text(HOSTILE).first).to_be_visible()
        expect(page.locator("main img")).to_have_count(0)
    show(page, dashboard.address, "")
    page.get_by_role("rowheader").get_by_role("link", name=HOSTILE).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(HOSTILE)
    expect(page).to_have_title(f"{HOSTILE} · Wattcast")
    expect(page.locator("main")).to_contain_text("None: it is as good as it gets.")


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


def test_lost_server_is_said_and_what_was_read_stays(browser: Browser, dashboard: Dashboard) -> None:
    page = browser.new_page(viewport=WIDE)
    show(page, dashboard.address, "devices")
    page.context.set_offline(True)
    page.get_by_role("radio", name="Silent").check()
    expect(page.get_by_role("alert")).to_contain_text(
        "The server cannot be reached. What you see may be old. What you see was read"
    )
    expect(page.get_by_role("rowheader").first).to_be_visible()
    page.context.set_offline(False)
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("alert")).to_have_text("")
    expect(page.get_by_role("rowheader")).to_have_text(["meter-4"])
    page.close()


def test_unknown_building_and_page_are_said_in_a_sentence(browser: Browser, dashboard: Dashboard) -> None:
    page = browser.new_page(viewport=WIDE)
    show(page, dashboard.address, "buildings/nowhere")
    expect(page.get_by_role("alert").first).to_contain_text("nowhere")
    for words in ("what", "constructor"):
        page.goto(f"{dashboard.address}/#/{words}")
        expect(page.get_by_role("heading", level=1)).to_have_text("No such page")
    page.close()


def test_address_with_a_choice_that_there_is_not_shows_the_usual_one(page: Page, dashboard: Dashboard) -> None:
    show(page, dashboard.address, "accuracy?days=abc&measure=what")
    expect(page.get_by_role("radio", name="14")).to_be_checked()
    expect(page.locator("main .banner")).to_have_count(0)
    show(page, dashboard.address, "buildings/building-0?as_of=abc&lead=999")
    expect(page.locator("main .banner")).to_have_count(0)
    show(page, dashboard.address, "buildings")
    expect(page.get_by_role("heading", level=1)).to_have_text("Fleet")


def test_key_is_asked_for_and_kept_in_the_tab_alone(browser: Browser, tmp_path: Path) -> None:
    write_lake(tmp_path / "lake", buildings=2, days=9, end=this_hour() - timedelta(hours=1))
    current = settings_of(tmp_path)
    _, key = Keys.of(current).create("dashboard", ("read",))
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
        expect(page.get_by_role("alert").filter(has_text="does not take this key")).to_be_visible()
        field.fill(key)
        page.get_by_role("button", name="Sign in").click()
        expect(page.locator("main")).to_contain_text("building-1")
        expect(page.locator("#live-text")).to_have_text("Live")
        assert page.evaluate("() => localStorage.length + document.cookie.length") == 0
        page.reload()
        expect(page.locator("main")).to_contain_text("building-1")
        page.get_by_role("button", name="Forget the API key").click()
        expect(page.get_by_role("dialog", name="Sign in")).to_be_visible()
        page.close()


def test_empty_lake_is_told_in_sentences(browser: Browser, tmp_path: Path) -> None:
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


def test_old_data_are_shown_with_their_age(browser: Browser, tmp_path: Path) -> None:
    write_lake(tmp_path / "lake", buildings=2, days=9, end=this_hour() - timedelta(hours=9))
    current = settings_of(tmp_path).with_changes(forecasting={"clock": "wall"})
    with served(current.model_copy(update={"state": tmp_path})) as client:
        page = browser.new_page(viewport=WIDE)
        show(page, address(client), "")
        expect(page.locator(".banner.warn").first).to_contain_text("Nothing has arrived since")
        expect(page.locator("main dl").first).to_contain_text("Stale: nothing newer has arrived")
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


def test_what_the_monitor_measured_long_ago_is_not_shown_as_of_now(browser: Browser, neglected: str) -> None:
    page = browser.new_page(viewport=WIDE)
    show(page, neglected, "")
    expect(page.locator(".banner.warn")).to_contain_text("The monitor has measured nothing since")
    for name in ("Whole hours", "Rejected", "Mean error", "In P10 to P90"):
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
    expect(forecasts.locator(".says.bad")).to_contain_text("1 without one")
    alerts = page.locator(".alert-list li")
    expect(alerts.locator(".badge")).to_have_text(["Critical"] * 2 + ["Warning"] * 3)
    expect(alerts.nth(1)).to_contain_text("30 h old")
    page.close()


def test_record_of_no_building_makes_no_device(browser: Browser, neglected: str) -> None:
    page = browser.new_page(viewport=WIDE)
    show(page, neglected, "devices")
    expect(page.get_by_role("row", name="meter-0")).to_have_count(1)
    expect(page.get_by_role("row", name="stray")).to_have_count(0)
    expect(page.locator("main a[href$=null]")).to_have_count(0)
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


def test_tab_that_is_not_seen_holds_no_stream(browser: Browser, dashboard: Dashboard) -> None:
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


def test_connection_that_gives_no_sign_of_life_is_made_anew(browser: Browser, dashboard: Dashboard) -> None:
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


def test_slow_part_is_not_begun_anew_by_what_arrives(browser: Browser, dashboard: Dashboard) -> None:
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


def test_page_left_open_says_when_all_has_stopped(browser: Browser, dashboard: Dashboard) -> None:
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
    expect(page.locator(".banner.warn").first).to_contain_text("Nothing has arrived since")
    expect(page.locator(".tile", has_text="Newest reading").locator(".says.bad")).to_contain_text("Stale")
    page.close()


def test_one_failed_look_does_not_leave_the_page_unconnected(browser: Browser, dashboard: Dashboard) -> None:
    page = browser.new_page(viewport=WIDE)
    problem = {"status": 503, "content_type": "application/problem+json", "body": '{"detail": "Busy."}'}
    page.route("**/v1/overview", lambda route: route.fulfill(**problem), times=1)
    page.goto(f"{dashboard.address}/#/devices")
    expect(page.locator("#live-text")).to_have_text("Not connected, trying again")
    arrive(dashboard)
    expect(page.locator("#live-text")).to_have_text("Live", timeout=30_000)
    page.close()


def test_fleet_too_large_to_sum_up_has_its_errors_and_a_shorter_range(browser: Browser, dashboard: Dashboard) -> None:
    with served(settings_of(dashboard.lake.parent, max_scored_hours=10_000)) as client:
        page = browser.new_page(viewport=WIDE)
        show(page, address(client), "")
        expect(page.locator("main .banner.bad")).to_have_count(0)
        expect(page.get_by_role("slider", name=re.compile("Mean absolute error"))).to_be_visible()
        expect(page.locator(".tile", has_text="Mean error")).to_contain_text("of last week's")
        show(page, address(client), "accuracy")
        expect(page.locator("main .banner.bad")).to_have_count(0)
        expect(page.locator("main .card").first).to_contain_text("Shown: 3 days. 14 days of so many buildings")
        expect(page.get_by_role("table", name="Models")).to_be_visible()
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


def test_chart_drawn_anew_goes_on_showing_the_value_under_its_cursor(page: Page, dashboard: Dashboard) -> None:
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
        chart = page.get_by_role("slider", name=re.compile("Lag: records that wait"))
        chart.press("End")
        expect(chart).to_have_attribute("aria-valuetext", re.compile("ingest 5,432"))
        page.close()


def test_chart_tells_its_values_to_a_finger(browser: Browser, dashboard: Dashboard) -> None:
    context = browser.new_context(viewport=PHONE, has_touch=True, is_mobile=True)
    page = context.new_page()
    show(page, dashboard.address, "pipeline")
    page.locator(".plot").first.tap()
    expect(page.locator(".tip").first).to_be_visible()
    context.close()


def arrive(dashboard: Dashboard, *, accepted: bool = True) -> None:
    """A reading arrives, some moments after those before."""
    table = DeltaTable(str(dashboard.lake / "received_readings"))
    moment = dashboard.end + timedelta(minutes=1, seconds=table.version())
    reading = hostile_reading(dashboard.end) | {
        "building_id": "building-0", "device_id": "meter-0", "kafka_offset": table.version(), "kafka_timestamp": moment,
        "measured_at": dashboard.end - timedelta(hours=1), "accepted": accepted,
        "rejected_for": [] if accepted else ["not_json"],
    }  # fmt: skip
    append(dashboard.lake, "received_readings", [reading])


def test_browser_asks_for_the_files_anew_so_that_versions_never_mix(dashboard: Dashboard) -> None:
    first = httpx.get(f"{dashboard.address}/static/main.js")
    assert (first.status_code, first.headers["cache-control"]) == (200, "no-cache")
    assert "default-src 'self'" in first.headers["content-security-policy"]
    again = httpx.get(f"{dashboard.address}/static/main.js", headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304


def test_files_hold_no_script_or_style_within_a_page_and_name_no_other_host() -> None:
    static = Path(__file__).parents[3] / "lib/wattcast/serving/static"
    files = [each for each in static.rglob("*") if each.is_file()]
    assert {each.suffix for each in files} == {".html", ".css", ".js", ".svg"}
    for each in files:
        text = each.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", text), each
    index = (static / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<style|<script(?![^>]*\bsrc=)|\sstyle=|\son\w+=", index)
