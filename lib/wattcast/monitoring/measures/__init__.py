"""How each measure is computed: meters, forecast errors, drift, the state of devices, and data contracts."""
