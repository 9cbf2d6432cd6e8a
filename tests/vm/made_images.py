# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reads the images that make_images.py left."""

import json

import suite
from machine import Outcome
from media import Image


class MadeImage:
    """One folder of make_images.py: bytes by name, and what the driver said."""

    def __init__(self, folder):
        self.folder = folder
        facts = json.loads((folder / "case.json").read_text())
        self.name, self.kind, self.block_size = facts["name"], facts["kind"], facts["block_size"]
        self.start = facts["start"]
        self.outcome = Outcome(self.name)
        self.outcome.values = facts["values"]
        self.words = ["--start-sector", self.start] if self.start else []

    def read(self, key):
        """`cache`, `origin`, `merged` or `after`."""
        return (self.folder / f"{key}.img").read_bytes()

    def cache_image(self):
        return Image(self.read("cache"), self.start)

    def describe(self):
        """What the image is, in a line."""
        before, image = suite.status_fields(self.outcome.get("before.status")), self.cache_image()
        entries = ", ".join(f"{count} {state}" for state, count in sorted(image.counts().items()) if count and state != "committed")
        events = ", ".join(f"{key} {before[key]}" for key in ("discard", "write_around", "writeback", "write_hit_committed") if before[key])
        return f"{entries} of {image.superblock()['n_blocks']} entries{'; driver: ' if events else ''}{events}"

    @property
    def is_full(self):
        """The driver starts to write back as soon as it finds no free entry, one block at a time."""
        return self.cache_image().counts()["free"] == 0


def load_all(folder):
    images = [MadeImage(path.parent) for path in sorted(folder.glob("*/case.json"))]
    if not images:
        raise RuntimeError(f"no images in {folder}: make_images.py comes first")
    return images


def load(folder, name):
    return MadeImage(folder / name)
