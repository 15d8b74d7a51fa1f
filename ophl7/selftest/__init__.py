"""Does what is acknowledged stay, here, on this disk? A broker of its own is killed under load, and what is left is counted."""
