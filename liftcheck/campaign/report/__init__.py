"""What came of a campaign, for people and as JSON."""
