"""The command `catalog`: each command parses, calls the Python call of its name, and renders."""
