"""What comes before the main view: preparation and sign-in."""
