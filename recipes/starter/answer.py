"""Compute the teacher's answers: ``python -m recipes.starter.answer --help``."""

from __future__ import annotations

import argparse
from pathlib import Path

from catalog.embedder.models import find
from recipes.starter.samples import load
from recipes.starter.teacher import CHUNK, answer, made


def main() -> None:
    """Load the pictures and the teacher, and answer what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pictures", type=Path, help="folder of pictures to learn from")
    parser.add_argument("work", type=Path, help="folder for what is computed")
    parser.add_argument("--samples", type=int, default=200_192)
    parser.add_argument("--drawn", type=int, default=500, help="photos of drawn covers among them")
    parser.add_argument("--teacher", default="imagenet", help="a network in the model cache")
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    answers = made(given.work / "answers", given.samples // CHUNK * CHUNK)
    pictures = load(given.pictures, given.drawn)
    answer(answers, pictures, find(given.teacher).read(), given.workers)


if __name__ == "__main__":
    main()
