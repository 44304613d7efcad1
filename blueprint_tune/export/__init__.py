"""Policies that leave the program."""
