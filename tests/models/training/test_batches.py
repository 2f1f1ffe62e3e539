"""The batches of a training run."""

from tests.models.fixtures import steady

from wattcast_models.training.batches import measured_inputs


def test_inputs_that_no_building_has_are_left_out() -> None:
    assert measured_inputs([steady(500, 1)]) == ["energy_usage_kwh", "temperature_c", "calendar"]
    assert measured_inputs([steady(9000, 3)]) == ["energy_usage_kwh", "occupancy", "calendar", "day_of_year"]
