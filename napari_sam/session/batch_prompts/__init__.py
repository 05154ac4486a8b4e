"""One object for each of many prompts."""
