//! Ids as they are remembered: a wamid holds the person's number in readable form, so what outlasts the message is
//! a keyed hash of it. The key is made with the file and never leaves it.

use parlante_domain::MessageId;
use ring::hmac;
use rusqlite::Connection;

use super::sql::Sql;

/// At 16 bytes, two of a thousand million ids meet with a chance of 1 to 10²⁰.
const HASH_BYTES: usize = 16;

#[derive(Clone)]
pub(super) struct IdKey(hmac::Key);

impl IdKey {
    pub(super) fn load(db: &Connection) -> Sql<Self> {
        let key: Vec<u8> =
            db.query_row("SELECT unhex(value) FROM meta WHERE key = 'id_key'", [], |row| row.get(0))?;
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &key)))
    }

    pub(super) fn hash(&self, id: &MessageId) -> [u8; HASH_BYTES] {
        let tag = hmac::sign(&self.0, AsRef::<str>::as_ref(id).as_bytes());
        let mut hash = [0; HASH_BYTES];
        hash.copy_from_slice(&tag.as_ref()[..HASH_BYTES]);
        hash
    }
}
