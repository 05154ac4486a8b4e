"""Devices, threads and streams that a model runs on."""
