"""Calls over many pictures: import, sync; each notes how far it is, for whoever asks."""
