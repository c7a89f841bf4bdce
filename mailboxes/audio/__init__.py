"""Audio: decoding of recordings, and the form in which they are kept. Imports no model."""
