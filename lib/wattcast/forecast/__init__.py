"""Which forecasts are pending, what was available at their issue time, and the methods that produce them."""
