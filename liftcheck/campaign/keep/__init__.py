"""What a campaign keeps in its folder, so that anything may stop it: docs/campaigns.md."""
