"""One stage of the pipeline at a time, on an experiment that has been trained."""
