"""Zarr stores: their schemas, the cube, reading, writing, validation and export."""
