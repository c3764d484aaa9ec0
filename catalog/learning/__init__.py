"""What follows from the catalogue file, and is kept in step with it."""
