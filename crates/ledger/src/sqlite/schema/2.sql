-- Version 2: rows that wait for a channel, answers that go out once more, and the voice.

-- waits_for: the channel that has to open before an open row is taken up; due is the latest time then.
-- reopened: it was done, and told so, when a late status opened it again.
-- heard: what was said in a voice note or an audio file.
ALTER TABLE message ADD COLUMN waits_for TEXT;
ALTER TABLE message ADD COLUMN reopened INTEGER NOT NULL DEFAULT 0;
ALTER TABLE message ADD COLUMN heard TEXT;
CREATE INDEX message_waits ON message (waits_for, seq) WHERE state = 'open' AND waits_for IS NOT NULL;

-- wish: the form in which the person wants to be answered; wished: 1, 2, 3, … in the order in which people wished.
ALTER TABLE person ADD COLUMN wish TEXT CHECK (wish IN ('voice', 'text'));
ALTER TABLE person ADD COLUMN wished INTEGER NOT NULL DEFAULT 0;
CREATE INDEX person_wished ON person (wished) WHERE wished > 0;

-- The spoken answer of a row, from when it was made until it is no longer needed.
CREATE TABLE audio (seq INTEGER PRIMARY KEY REFERENCES message (seq), bytes BLOB NOT NULL) STRICT;

-- As before, with the steps of the voice. media_id: Meta's id of what was uploaded.
CREATE TABLE step_2 (
  seq               INTEGER NOT NULL REFERENCES message (seq),
  step              TEXT NOT NULL CHECK (step IN ('transcribe', 'complete', 'speak', 'upload', 'send')),
  part              INTEGER NOT NULL,
  state             TEXT NOT NULL CHECK (state IN ('intended', 'done', 'failed', 'postponed', 'unknown')),
  intended_at       INTEGER NOT NULL,
  deadline          INTEGER NOT NULL,
  settled_at        INTEGER,
  attempts          INTEGER NOT NULL DEFAULT 0,
  unknowns          INTEGER NOT NULL DEFAULT 0,
  code              TEXT,
  message_id        TEXT,
  rank              INTEGER NOT NULL DEFAULT 0,
  prompt_tokens     INTEGER,
  completion_tokens INTEGER,
  media_id          TEXT,
  PRIMARY KEY (seq, step, part)
) STRICT, WITHOUT ROWID;
INSERT INTO step_2 (seq, step, part, state, intended_at, deadline, settled_at, attempts, unknowns, code, message_id,
                    rank, prompt_tokens, completion_tokens)
SELECT seq, step, part, state, intended_at, deadline, settled_at, attempts, unknowns, code, message_id, rank,
       prompt_tokens, completion_tokens FROM step;
DROP TABLE step;
ALTER TABLE step_2 RENAME TO step;
