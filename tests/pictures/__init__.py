"""The pictures of docs/: recorded runs, drawn by the live view itself."""
