"""Screenshots of the dashboard for the docs: python -m tests.lib.serving.screenshots docs/images"""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright
from tests.lib.serving.conftest import served, settings_of
from tests.lib.serving.lake import write_lake

PAGES = {
    "overview": "",
    "building": "buildings/building-00",
    "accuracy": "accuracy?days=28",
    "alerts": "alerts?state=all",
    "devices": "devices",
    "quality": "quality?days=28",
    "drift": "drift",
    "pipeline": "pipeline",
}
TALLEST = 1500
WIDE, PHONE = {"width": 1280, "height": 860}, {"width": 390, "height": 844}


def this_hour() -> datetime:
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


def executable() -> str | None:
    """The path of Chromium on this machine, or None."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=["--no-sandbox"])
        yield browser
        browser.close()


def show(page: Page, address: str, words: str) -> None:
    """Open a page of the dashboard and wait until all of its panels are drawn."""
    page.goto(f"{address}/#/{words}")
    page.locator("main [aria-busy=false]").first.wait_for(state="attached")
    for unfinished in ("main [aria-busy=true]", "main .plot > svg:empty"):
        expect(page.locator(unfinished)).to_have_count(0, timeout=60_000)


def main(folder: Path) -> None:
    """Save every page for a wide screen and for a phone, and the page of a building in dark mode."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as state, chromium() as browser:
        write_lake(Path(state) / "lake", buildings=12, days=28, seed=3, end=this_hour() - timedelta(hours=1))
        with served(settings_of(Path(state))) as client:
            address = str(client.base_url).rstrip("/")
            for name, words in PAGES.items():
                for kind, size in (("wide", WIDE), ("phone", PHONE)):
                    picture(browser, address, words, size, "light", folder / f"dashboard-{name}-{kind}.png")
            picture(browser, address, PAGES["building"], WIDE, "dark", folder / "dashboard-building-dark.png")


def picture(browser: Browser, address: str, words: str, size: dict[str, int], scheme: str, file: Path) -> None:
    page = browser.new_page(viewport=size, color_scheme=scheme, reduced_motion="reduce")
    show(page, address, words)
    screenshot = Image.open(BytesIO(page.screenshot(full_page=size is WIDE)))
    page.close()
    small(screenshot.convert("RGB").crop((0, 0, screenshot.width, min(screenshot.height, TALLEST)))).save(
        file, optimize=True
    )


def small(image: Image.Image) -> Image.Image:
    """The image with its 256 most frequent colours; other colours become the nearest one."""
    colours = sorted(image.getcolors(image.width * image.height), reverse=True)[:256]
    palette = Image.new("P", (1, 1))
    palette.putpalette([channel for _, colour in colours for channel in colour])
    return image.quantize(palette=palette, dither=Image.Dither.NONE)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
