"""A test double of Isaac Lab 2.3.2: its names and semantics, MuJoCo's physics.

For tests of the backend ``isaaclab`` where there is no Isaac Sim; ``tests/isaac_double`` on ``PYTHONPATH``.
It offers what the backend uses and nothing else; ``test_double_is_honest.py`` holds every name and signature
against the sources in the real wheel. What it cannot know is whether PhysX moves things alike.

Kept from the original, because users fall over it:

- the app comes first, on the main thread (``app``); modules that need Omniverse cannot be imported before;
- ``data`` is as old as the last ``update(dt)``, and exists only after ``SimulationContext.reset()``;
- after joints are written, velocities and Jacobians of links are old until poses of links are read, which
  redoes the kinematics;
- targets act after ``write_data_to_sim()``; poses are written in the world, where environments stand apart;
- links and joints of an articulation are in breadth-first order; Jacobians are of centres of mass;
- contact forces are normal forces of the last physics step, and only of what was spawned with
  ``activate_contact_sensors``;
- one ``SimulationContext``, whose stage outlives it.

Not kept: other combine modes of friction than ``max`` (refused), restitution, contact offsets, sleep,
solver settings.
"""

__version__ = "0.54.2"  # the extension's own, as in 2.3.2
