"""Native MuJoCo: every environment is one simulation of a ``mujoco.batch.Batch`` on CPU threads."""
