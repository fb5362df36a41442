"""skk: talk to OpenAI-compatible models. The names to import are in `skk.openai`."""

__version__ = "0.1.0"
