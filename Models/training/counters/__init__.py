"""Windows of the device's own counters, under normal use, faults and attacks."""
