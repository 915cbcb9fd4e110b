-- Version 1: everything. Applied to an empty file; later versions are added beside it, never by changing it.

CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

-- One row per person; alias leads to it. A person merged into another keeps only the message in progress.
-- forgotten: no alias leads here any more, and what is left is being erased.
CREATE TABLE person (
  id            INTEGER PRIMARY KEY AUTOINCREMENT,
  phone         TEXT,
  bsuid         TEXT,
  name          TEXT,
  newest_at     INTEGER NOT NULL,
  disclosed     INTEGER NOT NULL DEFAULT 0,
  overflow_told INTEGER NOT NULL DEFAULT 0,
  forgotten     INTEGER NOT NULL DEFAULT 0,
  merged_into   INTEGER REFERENCES person (id)
) STRICT;
CREATE INDEX person_merged ON person (merged_into) WHERE merged_into IS NOT NULL;
CREATE INDEX person_newest ON person (newest_at);
CREATE INDEX person_forgotten ON person (id) WHERE forgotten = 1;
CREATE TABLE alias (alias TEXT PRIMARY KEY, person INTEGER NOT NULL REFERENCES person (id)) STRICT, WITHOUT ROWID;
CREATE INDEX alias_person ON alias (person);

-- Every id that was taken, refused or noted, as a keyed hash: Meta's ids hold the person's number.
CREATE TABLE seen (id BLOB PRIMARY KEY CHECK (length(id) = 16), at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX seen_at ON seen (at);

-- purpose: 0 disclosure, 1 overflow notice, 2 answer. due: when an open row may be taken up.
-- ended_at: set exactly while a row is not open. begun: a conversation has taken it up before. running: a conversation holds it now.
-- first_part: the number of the reply's first part; above 0 once an apology has used up the numbers before it.
CREATE TABLE message (
  seq         INTEGER PRIMARY KEY AUTOINCREMENT,
  message_id  TEXT NOT NULL,
  person      INTEGER NOT NULL REFERENCES person (id),
  number      TEXT NOT NULL,
  purpose     INTEGER NOT NULL,
  kind        TEXT NOT NULL,
  content     TEXT NOT NULL,
  state       TEXT NOT NULL CHECK (state IN ('open', 'done', 'dead', 'refused')),
  reason      TEXT,
  sent_at     INTEGER NOT NULL,
  accepted_at INTEGER NOT NULL,
  started_at  INTEGER,
  ended_at    INTEGER,
  due         INTEGER NOT NULL,
  begun       INTEGER NOT NULL DEFAULT 0,
  running     INTEGER NOT NULL DEFAULT 0,
  holds       INTEGER NOT NULL DEFAULT 0,
  panics      INTEGER NOT NULL DEFAULT 0,
  deaths      INTEGER NOT NULL DEFAULT 0,
  replays     INTEGER NOT NULL DEFAULT 0,
  first_part  INTEGER NOT NULL DEFAULT 0,
  reply       TEXT
) STRICT;
CREATE INDEX message_open ON message (person, seq) WHERE state = 'open';
CREATE INDEX message_due ON message (due) WHERE state = 'open';
CREATE INDEX message_unanswered ON message (state, seq) WHERE state IN ('dead', 'refused');
CREATE INDEX message_ended ON message (state, ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX message_by_id ON message (message_id);
-- Apart from message_open, so that a person's past is never walked through to find what is open.
CREATE INDEX message_closed ON message (person) WHERE ended_at IS NOT NULL;

-- One row per paid or visible step; rank: how far a send has come by its statuses.
CREATE TABLE step (
  seq               INTEGER NOT NULL REFERENCES message (seq),
  step              TEXT NOT NULL CHECK (step IN ('complete', 'send')),
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
  PRIMARY KEY (seq, step, part)
) STRICT, WITHOUT ROWID;

-- seq: the message that the line belongs to. It may be gone already: the two are kept for different times.
CREATE TABLE history (
  id      INTEGER PRIMARY KEY AUTOINCREMENT,
  person  INTEGER NOT NULL REFERENCES person (id),
  seq     INTEGER NOT NULL,
  persona INTEGER NOT NULL,
  words   TEXT NOT NULL,
  at      INTEGER NOT NULL
) STRICT;
CREATE INDEX history_person ON history (person, id);
CREATE INDEX history_seq ON history (seq);
CREATE INDEX history_at ON history (at);

INSERT INTO meta (key, value) VALUES ('ledger_id', lower(hex(randomblob(8)))), ('id_key', lower(hex(randomblob(32))));
