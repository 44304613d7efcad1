"""Stands in for the part of Isaac Lab 2.3 that tasks are run through: points on a plane instead of PhysX.

Names, signatures and the order of what a step does are Isaac Lab's, and so is what traps its users: one app
and one simulation a process, the app first; resets inside a step; a log that stays when nothing is reset;
buffers that the next step overwrites.
"""
