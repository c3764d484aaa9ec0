"""Accuracy and speed, measured side by side with what else one could do. Not shipped."""
