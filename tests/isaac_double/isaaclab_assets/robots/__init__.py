"""Robot configs."""
