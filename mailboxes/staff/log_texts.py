"""Texts in the admin log for what staff saw or heard, which changes nothing."""

REVEALED, EXPORTED = "Pass code shown.", "Pass code exported."
# Written once for a user and a message. Its time and UUID follow, and nothing about the caller.
HEARD, READ, DOWNLOADED = "Message heard", "Message read", "Message downloaded"
