# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reads the images that make_images.py left."""

import json

import suite  # noqa: F401  its import finds media
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
