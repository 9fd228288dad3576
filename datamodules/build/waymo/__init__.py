"""Converter of the object assets of the Waymo Open Dataset v2 to shards."""

from datamodules.build.waymo.verb import shards_waymo

__all__ = ["shards_waymo"]
