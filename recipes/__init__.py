"""How what `data` ships was made. Nothing imports these, and they are not installed."""
