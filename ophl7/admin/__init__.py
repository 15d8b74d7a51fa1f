"""The HTTP face: health, metrics, the API and the console."""
