"""What changes a catalogue: each in one short transaction, embedding outside it."""
