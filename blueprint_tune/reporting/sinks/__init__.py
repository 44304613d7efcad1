"""Where metrics go beside the experiment's own files: Weights & Biases, MLflow."""
