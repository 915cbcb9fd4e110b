-- Version 3: whoever is replayed waits from then on.

-- replayed_at: when an operator last had it answered again.
ALTER TABLE message ADD COLUMN replayed_at INTEGER;
