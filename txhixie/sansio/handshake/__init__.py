"""How a conversation opens. One file a family of dialects, both halves in it."""
