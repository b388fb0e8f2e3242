"""What the rounds came to: as JSON, as tables, as plots. Nothing here measures anything of a server."""
