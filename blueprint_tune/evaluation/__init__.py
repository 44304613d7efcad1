"""What a policy is worth, measured."""
