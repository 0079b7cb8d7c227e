"""From suspects to findings: the vote, what a page needs, the folder on disk, and running it again."""
