"""What keeps a catalogue over the years: backup, verification, doctor and export."""
