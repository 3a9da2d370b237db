"""A made-up city to try the time bank with; nobody in it exists."""
