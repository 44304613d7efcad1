"""``blueprint-tune validate``: what is wrong with a task package or a scene, before anything runs."""
