"""Who may sign in: the list of accounts, and the dialogs of its acts."""
