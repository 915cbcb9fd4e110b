-- Version 3: whoever is replayed waits from then on, and remembered ids are counted as they come.

-- replayed_at: when an operator last had it answered again.
ALTER TABLE message ADD COLUMN replayed_at INTEGER;

-- Counting them at each look would take longer with each day of the memory.
CREATE TABLE tally (ids INTEGER NOT NULL) STRICT;
INSERT INTO tally (ids) SELECT count(*) FROM seen;
CREATE TRIGGER seen_added AFTER INSERT ON seen BEGIN UPDATE tally SET ids = ids + 1; END;
CREATE TRIGGER seen_removed AFTER DELETE ON seen BEGIN UPDATE tally SET ids = ids - 1; END;
