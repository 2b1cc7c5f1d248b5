"""Synthetic thermograms of the torso at 24 x 32, from `parameters.json`."""
