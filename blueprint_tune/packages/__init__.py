"""Task packages of BlueprintPipeline, read without running a line of them."""
