"""Peer programs, each run by the Python of its own virtual environment; see ``benchlib.peers.service``."""
