"""What stands around the pages: start, sign-in, connections, and the frame with sidebar, top bar and status bar."""
