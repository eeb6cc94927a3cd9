"""Models are loaded before somebody waits for them: warmed now, kept warm, and after a change."""
