"""Signals about messages, with the argument `message`, or a list, `messages`.

They are sent in the transaction that changes the message. If a receiver raises an exception, the
change is rolled back.
"""

from django.dispatch import Signal

message_received = Signal()
message_transcribed = Signal()  # also if that failed, or nobody speaks
messages_deleted = Signal()  # `messages`
transcription_requested = Signal()
