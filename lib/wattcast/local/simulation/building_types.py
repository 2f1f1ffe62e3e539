"""The building types of the simulator."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
YEAR_END_CLOSURES = "12-24 12-27 12-28 12-29 12-30 12-31"


@dataclass(frozen=True)
class BuildingType:
    """How people use a type of building, and its power per square metre; presence is a share of the capacity."""

    area_m2: float
    capacity_per_m2: float
    base_w_per_m2: float
    use_w_per_m2: float  # at full presence
    heating_w_per_m2_k: float  # electric, below 15 °C
    cooling_w_per_m2_k: float  # above 19 °C
    opens: float  # local hours
    closes: float
    saturday: float  # presence as a share of a working day's
    sunday: float  # and public holidays and closures
    at_night: float = 0.02
    closures: str = ""

    def presence(
        self, local_hour: Floats, is_saturday: npt.NDArray[np.bool_], is_rest: npt.NDArray[np.bool_]
    ) -> Floats:
        """Share of the capacity that is present, with ramps of about an hour and a half; any shapes that broadcast."""
        rise = 1 / (1 + np.exp(-4 * (local_hour - self.opens)))
        fall = 1 / (1 + np.exp(-4 * (self.closes - local_hour)))
        inside = rise * fall if self.opens < self.closes else np.maximum(rise, fall)
        day = np.where(is_rest, self.sunday, np.where(is_saturday, self.saturday, 1.0))
        return self.at_night + (1 - self.at_night) * inside * day


TYPES = {
    "office": BuildingType(6000, 0.07, 4, 14, 0.30, 0.9, 8, 18, 0.15, 0.05),
    "school": BuildingType(4000, 0.20, 3, 12, 0.35, 0.2, 7.5, 16, 0.05, 0.03, closures=YEAR_END_CLOSURES),
    "university": BuildingType(9000, 0.10, 7, 12, 0.25, 0.6, 8, 20, 0.35, 0.25, closures=YEAR_END_CLOSURES),
    "retail": BuildingType(3000, 0.15, 5, 22, 0.20, 1.0, 9, 20, 1.1, 0.5),
    "hospital": BuildingType(15000, 0.05, 20, 14, 0.25, 1.1, 6.5, 21, 0.8, 0.75, at_night=0.45),
    "residential": BuildingType(2500, 0.04, 2, 6, 0.40, 0.3, 17, 8, 1.15, 1.2, at_night=0.3),
    "warehouse": BuildingType(8000, 0.01, 2, 5, 0.10, 0.1, 6, 18, 0.4, 0.1, at_night=0.05),
}
