"""Views of the staff console, one module per subject."""
