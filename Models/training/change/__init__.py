"""Change of one person over time: the reference of the device's comparison with the person's own earlier sessions."""
