"""What the project ships beside its code: priors and projections of known networks."""

from catalog.data.priors import prior_for
from catalog.data.projections import projection_for, projection_named

__all__ = ["prior_for", "projection_for", "projection_named"]
