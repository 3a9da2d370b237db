"""What every service and every caller of the time bank shares."""
