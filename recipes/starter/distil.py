"""Train the student on the teacher's answers: ``python -m recipes.starter.distil --help``.

Every process trains on one thread, and their gradients are averaged: on a busy machine that is
several times as fast as one process on several threads. Killed at any time, the run goes on from
its last checkpoint.
"""

from __future__ import annotations

import argparse
import copy
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, distributed, multiprocessing, nn

from recipes.starter.loss import Hints, read, survey, total
from recipes.starter.network import MobileNetV2, load_weights, pixels_in, save_weights
from recipes.starter.samples import Pixels
from recipes.starter.teacher import Answers, opened


@dataclass(frozen=True)
class Plan:
    """What a run is asked for.

    Attributes:
        work: folder of answers, checkpoints and snapshots.
        alpha: width multiplier of the student.
        minutes: of training in all, those before an interruption included.
        rate: the highest learning rate.
        batch: samples of each process in a step.
        processes: that train side by side.
        sides: of the pictures in pixels, each for an equal part of the run.
        bfloat16: compute in 16 bits, which is faster where the processor can.
        start: weights to begin with instead of chance, or None.
    """

    work: Path
    alpha: float
    minutes: float
    rate: float
    batch: int
    processes: int
    sides: tuple[int, ...]
    bfloat16: bool
    start: Path | None

    def rate_at(self, progress: float) -> float:
        """Warm-up over a fiftieth of the run, then half a cosine."""
        return self.rate * min(1, progress * 50 + 0.01) * (1 + math.cos(math.pi * progress)) / 2

    def side_at(self, progress: float) -> int:
        """Small pictures first, where they are quick to see."""
        return self.sides[min(int(progress * len(self.sides)), len(self.sides) - 1)]


_CHECKPOINT_SECONDS = 120
_SHIFT = 8  # pixels, at most
_MEMORY = 0.998
_DECAY = 0.02


class Run:
    """One process's part of a training run."""

    def __init__(self, plan: Plan, rank: int) -> None:
        self.plan, self.rank = plan, rank
        self.answers: Answers = opened(plan.work / "answers")
        self.spread = survey(self.answers)
        torch.manual_seed(0)
        self.student = MobileNetV2(plan.alpha).to(memory_format=torch.channels_last)
        if plan.start:
            load_weights(self.student, plan.start)
        self.hints = Hints(self.student, self.spread)
        self.average = copy.deepcopy(self.student).requires_grad_(requires_grad=False)
        self.parameters = [*self.student.parameters(), *self.hints.parameters()]
        self.optimiser = torch.optim.AdamW(_groups(self.student, self.hints), lr=plan.rate)
        self.steps, self.seconds = 0, 0.0
        self._resume()
        torch.manual_seed(1000 * rank + self.steps)
        self.random = np.random.default_rng([rank, self.steps])

    def go(self) -> None:
        """Train until the time is over, keeping what is learnt every few minutes."""
        kept = time.monotonic()
        began = kept - self.seconds
        losses: list[float] = []
        progress = self._agreed(self.seconds)
        while progress < 1:
            losses.append(self._step(progress))
            self.seconds = time.monotonic() - began
            if self.rank == 0 and time.monotonic() - kept > _CHECKPOINT_SECONDS:
                self._keep(losses)
                kept, losses = time.monotonic(), []
            progress = self._agreed(self.seconds)
        if self.rank == 0 and losses:
            self._keep(losses)

    def _agreed(self, seconds: float) -> float:
        """Share of the run that is over, the same in every process."""
        shared = torch.tensor(seconds)
        distributed.broadcast(shared, 0)
        return float(shared) / 60 / self.plan.minutes

    def _step(self, progress: float) -> float:
        pictures, wanted = self._batch(self.plan.side_at(progress))
        with torch.autocast("cpu", torch.bfloat16, enabled=self.plan.bfloat16):
            middle, last, descriptors = self.student.stages(pictures)
        found = (middle.float(), last.float(), descriptors.float())
        loss, apart = total(found, wanted, self.hints, self.spread, progress)
        for group in self.optimiser.param_groups:
            group["lr"] = self.plan.rate_at(progress)
        self.optimiser.zero_grad()
        loss.backward()
        self._share_gradients()
        self.optimiser.step()
        self.steps += 1
        self._remember()
        return float(apart)

    def _batch(self, side: int) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
        """Some samples, moved, mirrored and lit anew, with the teacher's answers."""
        random = self.random
        chosen = random.choice(self.answers.ready, self.plan.batch)
        pixels, (middle, last, descriptors) = read(self.answers, chosen)
        pictures = pixels_in(torch.from_numpy(_moved(pixels, side, random)))
        pictures *= 0.9 + 0.2 * torch.rand(len(pictures), 1, 1, 1)
        if random.random() < 0.5:
            pictures, middle, last = pictures.flip(3), middle.flip(2), last.flip(2)
        pictures = pictures.contiguous(memory_format=torch.channels_last)
        return pictures, (middle, last, descriptors)

    def _share_gradients(self) -> None:
        gradients = [one.grad for one in self.parameters if one.grad is not None]
        flat = torch.cat([one.flatten() for one in gradients])
        distributed.all_reduce(flat)
        flat /= self.plan.processes
        sizes = [one.numel() for one in gradients]
        for gradient, part in zip(gradients, flat.split(sizes), strict=True):
            gradient.copy_(part.view_as(gradient))
        nn.utils.clip_grad_norm_(self.parameters, 5.0)

    def _remember(self) -> None:
        """Move the average weights a little towards the present ones."""
        if self.rank:
            return
        share = 1 - min(_MEMORY, (1 + self.steps) / (10 + self.steps))
        with torch.no_grad():
            pairs = zip(
                self.average.state_dict().values(), self.student.state_dict().values(), strict=True
            )
            for kept, new in pairs:
                if kept.is_floating_point():
                    kept.lerp_(new, share)

    @property
    def _checkpoint(self) -> Path:
        return self.plan.work / "checkpoint.pt"

    def _keep(self, losses: list[float]) -> None:
        state: dict[str, Any] = {name: getattr(self, name).state_dict() for name in _KEPT}
        fresh = self._checkpoint.with_suffix(".new")
        torch.save({**state, "steps": self.steps, "seconds": self.seconds}, fresh)
        fresh.replace(self._checkpoint)
        snapshots = self.plan.work / "snapshots"
        snapshots.mkdir(exist_ok=True)
        save_weights(self.average, snapshots / f"{round(self.seconds):06d}.npz", self.plan.alpha)
        seen = self.steps * self.plan.batch * self.plan.processes
        mean = sum(losses) / len(losses)
        print(f"{self.seconds / 60:.1f} min, {seen} samples, loss {mean:.4f}", flush=True)

    def _resume(self) -> None:
        if not self._checkpoint.exists():
            return
        state = torch.load(self._checkpoint, weights_only=True)
        for name in _KEPT:
            getattr(self, name).load_state_dict(state[name])
        self.steps, self.seconds = state["steps"], state["seconds"]


def _moved(pixels: Pixels, side: int, random: np.random.Generator) -> Pixels:
    """A window of each picture (N, S, S, 3), the same for all, at the student's size."""
    whole = pixels.shape[1]
    size = whole - int(random.integers(_SHIFT + 1))
    top, left = random.integers(whole - size + 1, size=2)
    way = cv2.INTER_AREA if side < size else cv2.INTER_LINEAR
    windows = pixels[:, top : top + size, left : left + size]
    return np.stack([cv2.resize(one, (side, side), interpolation=way) for one in windows])


_KEPT = ("student", "hints", "average", "optimiser")


def _groups(*modules: nn.Module) -> list[dict[str, Any]]:
    """Parameters that decay, the kernels, and those that do not."""
    every = [one for module in modules for one in module.parameters()]
    kernels = [one for one in every if one.ndim == 4 and one.shape[1] > 1]
    others = [one for one in every if one.ndim != 4 or one.shape[1] == 1]
    return [
        {"params": kernels, "weight_decay": _DECAY},
        {"params": others, "weight_decay": 0.0},
    ]


def _train(rank: int, plan: Plan) -> None:
    torch.set_num_threads(1)
    meeting = (plan.work / "meeting").resolve().as_uri()
    distributed.init_process_group("gloo", meeting, rank=rank, world_size=plan.processes)
    Run(plan, rank).go()
    distributed.destroy_process_group()


def main() -> None:
    """Train by the command line's plan."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path, help="the folder that `answer` filled")
    parser.add_argument("--alpha", type=float, default=0.5)
    parser.add_argument("--minutes", type=float, required=True, help="of training in all")
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--sides", type=int, nargs="+", default=[64, 96, 96, 128])
    parser.add_argument("--bfloat16", action="store_true")
    parser.add_argument("--start", type=Path, help="weights to begin with (.npz)")
    given = vars(parser.parse_args())
    plan = Plan(**{**given, "sides": tuple(given["sides"])})
    (plan.work / "meeting").unlink(missing_ok=True)
    multiprocessing.spawn(_train, (plan,), plan.processes)


if __name__ == "__main__":
    main()
