"""What is told of a catalogue: evaluation, audit, previews, figures and contact sheets."""
