"""`wattcast backtest`: score models on the last weeks of recorded readings and compare them with baselines."""

from wattcast.cli.bad_input import exit_on_bad_input
from wattcast.cli.models import backtest_options as options
from wattcast.cli.models.backtest_output import summary_table
from wattcast.cli.models.backtest_run import BacktestRequest, run_backtest
from wattcast.terminal.console import show
from wattcast_models.artifact.folder import shipped_artifact
from wattcast_models.data.rolling import UNKNOWN, Rolling


def main(
    data: options.Data,
    buildings_file: options.BuildingsFile = None,
    json_file: options.JsonFile = None,
    csv_file: options.CsvFile = None,
    html_file: options.HtmlFile = None,
    note: options.Note = False,
    model: options.Models = None,
    methods: options.Methods = "",
    train_data: options.TrainData = None,
    exclude_buildings_of: options.ExcludeBuildingsOf = None,
    buildings: options.Buildings = "",
    test_share: options.TestShare = 0.2,
    origin_hours: options.OriginHours = "0",
    lead_hours: options.LeadHours = 24,
    future_weather: options.FutureWeather = UNKNOWN,
    without: options.Without = None,
    spark: options.OnSpark = False,
) -> None:
    """Forecast the last weeks of recorded readings and compare with the same hour last week and other methods."""
    with exit_on_bad_input("backtest"):
        request = BacktestRequest(
            data,
            Rolling(test_share, _origin_hours(origin_hours), lead_hours, future_weather, tuple(without or ())),
            model_folders=tuple(model or [shipped_artifact()]),
            methods=_names(methods),
            buildings_file=buildings_file,
            building_ids=frozenset(_names(buildings)),
            train_data=train_data or data,
            exclude_buildings_of=exclude_buildings_of,
            json_file=json_file,
            csv_file=csv_file,
            html_file=html_file,
            note=note,
            spark=spark,
        )
        results, main_method = run_backtest(request)
    show(summary_table(results, main_method))


def _names(text: str) -> tuple[str, ...]:
    return tuple(filter(None, text.split(",")))


def _origin_hours(text: str) -> tuple[int, ...]:
    try:
        return tuple(sorted({int(hour) for hour in text.split(",")}))
    except ValueError as error:
        raise ValueError(f"--origin-hours takes hours of the day separated by commas, not {text}.") from error
