"""The response of a unit: tracing a network, its layers, windows and crops."""
