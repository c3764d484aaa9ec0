"""What the project ships beside its code: the priors measured for known backbones and presets."""

from catalog.data.priors import prior_for

__all__ = ["prior_for"]
