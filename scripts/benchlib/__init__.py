"""Measurements behind the figures that the README states; ``scripts/bench`` runs them."""
