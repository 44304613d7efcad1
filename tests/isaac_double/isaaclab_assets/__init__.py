"""Robots of the test double; see ``isaaclab``."""
