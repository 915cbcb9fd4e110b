//! A ledger that makes the program panic: a row that says what no row of ours can say. A fault of the program's own would
//! do the same; but none is known.

use std::path::Path;
use std::process::Command;

/// A part beyond the last has failed. The conversation that takes the row up panics over it, and the panic's words hold
/// why the reply is an apology, which it is not.
const SPOIL: &str = "
import sqlite3, sys
ledger = sqlite3.connect(sys.argv[1])
for message in sys.argv[3:]:
    (row,) = ledger.execute('SELECT seq FROM message WHERE message_id = ? AND purpose = 2', (message,)).fetchone()
    ledger.execute(\"\"\"UPDATE message SET state = 'open', ended_at = NULL, reason = NULL, due = 0,
                      reply = json_set(reply, '$.failed', ?) WHERE seq = ?\"\"\", (sys.argv[2], row))
    ledger.execute(\"\"\"INSERT INTO step (seq, step, part, state, intended_at, deadline, settled_at, code)
                      VALUES (?, 'send', 1, 'failed', 0, 0, 0, '400')\"\"\", (row,))
ledger.commit()
ledger.close()
";

/// Spoils these answered messages in the ledger of a server that does not run. `words` stand in the panic's own.
pub(crate) fn spoil(ledger: &Path, words: &str, messages: &[&str]) {
    let told = Command::new("python3").args(["-c", SPOIL]).arg(ledger).arg(words).args(messages).output();
    let told = told.expect("python3 runs");
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
}
