"""Enqueue tasks when messages change."""
