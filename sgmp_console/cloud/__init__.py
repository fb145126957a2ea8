"""AWS and its local counterparts behind the same small interfaces."""
