"""Tasks after a message is stored: transcriptions, mails and events for webhooks."""
