"""Questions about a picture: those of one caller, and those of many at once."""
