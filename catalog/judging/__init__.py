"""How witnesses are weighed and how sure an answer is: pure functions over arrays."""
