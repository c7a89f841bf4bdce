"""What happens to messages after they are stored: jobs that reach people and programs."""
