"""The command `wattcast`: each command passes its options on to the packages below."""
