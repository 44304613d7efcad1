"""NVIDIA Isaac Lab 2.3: PhysX on a GPU, all environments in one world.

Isaac Lab itself is called by three files alone: ``launch`` starts its app, ``scene_cfg`` describes the scene
to it, ``world`` runs it.
"""
