"""What stands behind the test double's names: a USD stage and MuJoCo. No part of Isaac Lab."""
