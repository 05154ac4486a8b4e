"""What accepted objects tell of first clicks: settings that need no training, behind a gate."""
