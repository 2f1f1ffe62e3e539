import base64
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

from wattcast_models.artifact.folder import shipped_artifact
from wattcast_models.artifact.predictor import Predictor
from wattcast_models.data.readings import Building
from wattcast_models.data.rolling import Rolling
from wattcast_models.data.synthetic import synthetic_buildings
from wattcast_models.evaluation.backtest import building_error_sums, model_method, with_reference
from wattcast_models.evaluation.baselines import baseline
from wattcast_models.evaluation.comparison import (
    comparison_as_json,
    group_label,
    long_table,
    medians_by,
    method_comparisons,
    nan_as_none,
    quantile_methods,
)
from wattcast_models.evaluation.report import example_week, report_html, typical_building
from wattcast_models.evaluation.results import Results

ROLLING = Rolling()
CHARTS = [
    "Accuracy by method",
    "Accuracy by lead",
    "Accuracy by hour of the day",
    "Accuracy by weekday",
    "Accuracy by season",
]
CHARTS += ["Accuracy by building", "Calibration", "Coverage by lead", "A week of "]


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor.read(shipped_artifact())


@pytest.fixture(scope="module")
def buildings() -> list[Building]:
    silent = Building("<silent>", 420_000, np.full((24 * 60, 4), np.nan, np.float32), {})
    return [*synthetic_buildings(5, days=80, seed=3), silent]


@pytest.fixture(scope="module")
def main(predictor: Predictor) -> str:
    return model_method(predictor, ROLLING).name


@pytest.fixture(scope="module")
def results(predictor: Predictor, buildings: list[Building]) -> Results:
    methods = with_reference([model_method(predictor, ROLLING), baseline("yesterday", ROLLING)], ROLLING)
    return Results.from_parts(building_error_sums(building, methods, ROLLING) for building in buildings)


@pytest.fixture(scope="module")
def html(results: Results, main: str, buildings: list[Building], predictor: Predictor) -> str:
    """The whole page with an example week, rendered once."""
    return rendered(results, main, buildings, predictor)


def rendered(results: Results, main: str, buildings: list[Building], predictor: Predictor) -> str:
    building = next(building for building in buildings if building.building_id == typical_building(results, main))
    return report_html(results, main, ROLLING, week=example_week(building, predictor, ROLLING))


class Page(HTMLParser):
    """The pictures and tags of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.pictures: list[dict[str, str]] = []
        self.tags: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag == "img":
            self.pictures.append({name: value or "" for name, value in attributes})


def test_page_holds_every_chart_and_loads_nothing_else(results: Results, main: str, html: str) -> None:
    found = Page(html)
    titles = re.findall(r"<h2>(.*?)</h2>", html)
    assert len(found.pictures) == len(CHARTS)
    assert [title for title in titles if title.startswith(tuple(CHARTS))] == [
        *CHARTS[:-1],
        f"A week of {typical_building(results, main)}",
    ]
    assert all(len(picture["alt"]) > 30 for picture in found.pictures)
    for picture in found.pictures:
        kind, content = picture["src"].split(",")
        assert kind == "data:image/svg+xml;base64"
        assert ElementTree.fromstring(base64.b64decode(content)).tag.endswith("svg")
    assert not {"script", "link", "iframe"} & found.tags
    assert "http" not in re.sub(r"base64,[A-Za-z0-9+/=]+", "", html)
    assert 'name="viewport"' in html


def test_page_has_the_figures_and_the_skipped_buildings(results: Results, main: str, html: str) -> None:
    nrmse = results.measures.query("by == 'all' and method == @main")["nrmse_pct"].median()
    assert f"<td>{nrmse:.1f}<br>" in html
    assert "&lt;silent&gt; has no measured hour in the test span" in html


def test_page_is_the_same_for_the_same_results(
    results: Results, main: str, buildings: list[Building], predictor: Predictor, html: str
) -> None:
    assert rendered(results, main, buildings, predictor) == html


def test_example_week_is_the_newest_and_as_the_model_forecast_it(
    buildings: list[Building], predictor: Predictor
) -> None:
    week = example_week(buildings[0], predictor, ROLLING)
    assert week is not None
    assert week.quantiles_kwh.shape == (168, 3)
    first = int(week.hours[0].astype(int)) - buildings[0].start
    np.testing.assert_array_equal(week.actual_kwh, buildings[0].values[first : first + 168, 0].astype(float))
    assert buildings[0].hours - (first + 168) < 24


def test_main_method_comes_first_and_the_others_by_their_median(results: Results, main: str) -> None:
    found = method_comparisons(results, main)
    assert found[0].method == main
    assert found[1].medians["nrmse_pct"].value <= found[2].medians["nrmse_pct"].value
    assert found[0].ratio.mean.value == 1
    own, other = (
        results.measures.query("by == 'all' and method == @name")["nrmse_pct"] for name in (main, found[2].method)
    )
    assert found[2].ratio.mean.value == pytest.approx(np.exp(np.mean(np.log(own.to_numpy() / other.to_numpy()))))


def test_only_the_model_says_how_sure_it_is(results: Results, main: str) -> None:
    assert quantile_methods(results) == [main]


def test_groups_have_the_names_a_reader_counts_by(results: Results) -> None:
    assert medians_by(results, "lead").index.tolist() == [str(lead) for lead in range(1, 25)]
    assert [group_label("weekday", 6), group_label("season", 0), group_label("hour", 0)] == ["Sun", "Dec-Feb", "0"]
    table = long_table(results)
    assert not table.duplicated(["building_id", "method", "by", "group"]).any()
    assert table.loc[table["by"] == "all", "hours"].min() > 0


def test_json_has_null_for_what_is_not_known(results: Results, main: str) -> None:
    found = nan_as_none(comparison_as_json(results, main))
    assert isinstance(found, dict)
    coverage = {line["method"]: line["medians"]["coverage_pct"]["value"] for line in found["methods"]}
    assert coverage["yesterday"] is None
    assert 50 < coverage[main] < 100
    assert found["skipped"] == {"<silent>": "has no measured hour in the test span"}
