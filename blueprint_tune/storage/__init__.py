"""Where finished results go."""
