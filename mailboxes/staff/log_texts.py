"""Texts in the admin log for what staff saw or heard, which changes nothing."""

REVEALED, EXPORTED = "Pass code shown.", "Pass code exported."
# For a message, the first time. The message's time and UUID follow; nothing of the caller.
HEARD, READ, DOWNLOADED = "Message heard", "Message read", "Message downloaded"
