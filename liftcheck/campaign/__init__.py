"""Campaigns: what a batch is (`plan`), who works on it (`execute`), what becomes of findings, and what is reported."""
