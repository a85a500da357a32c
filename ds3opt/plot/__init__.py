"""Pictures: one canvas for all of them, and what is drawn on it."""
