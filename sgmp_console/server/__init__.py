"""What a deployment of one's own needs on its server, made by one command: see `init`. The demo uses its parts, too."""
