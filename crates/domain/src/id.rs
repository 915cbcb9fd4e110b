//! Identities. Each is a type of its own, so that a phone can never stand where a message id belongs.

use derive_more::{AsRef, Display, From};

use crate::mask::mask;

/// Meta's id of an inbound or outbound message (`wamid.…`). Opaque: never decoded.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Display, From, AsRef)]
#[from(String, &str)]
#[as_ref(str)]
pub struct MessageId(String);

/// Meta's id of a file, received or uploaded. Opaque; those of webhooks expire after 7 days, uploads after 30.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Display, From, AsRef)]
#[from(String, &str)]
#[as_ref(str)]
pub struct MediaId(String);

/// Meta's id of one of our own numbers (`metadata.phone_number_id`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Display, From, AsRef)]
#[from(String, &str)]
#[as_ref(str)]
pub struct PhoneNumberId(String);

/// A person's number: digits only, country code first, no `+`.
#[derive(Clone, PartialEq, Eq, Hash, From, AsRef)]
#[from(String, &str)]
#[as_ref(str)]
pub struct Phone(String);

/// A business-scoped user id, as Meta gives it (`IT.4410097722110033`).
#[derive(Clone, PartialEq, Eq, Hash, From, AsRef)]
#[from(String, &str)]
#[as_ref(str)]
pub struct Bsuid(String);

impl std::fmt::Debug for Phone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&mask(&self.0))
    }
}

impl std::fmt::Debug for Bsuid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&mask(&self.0))
    }
}

/// The ledger's own id of a person, whatever aliases they write under.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Display, From)]
pub struct PersonId(pub i64);

/// The place of a row in the order of acceptance. Grows by commit, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Display, From)]
pub struct Seq(pub i64);

/// Where an answer goes: the phone when it is known, else the BSUID.
///
/// Meta takes the two in different fields; a BSUID in `to` is accepted and delivered nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// Sent in `to`, with a leading `+`.
    Phone(Phone),
    /// Sent in `recipient`.
    Bsuid(Bsuid),
}

impl Address {
    /// The phone if known, else the BSUID.
    #[must_use]
    pub fn choose(phone: Option<Phone>, bsuid: Option<Bsuid>) -> Option<Self> {
        phone.map(Self::Phone).or_else(|| bsuid.map(Self::Bsuid))
    }

    /// The masked form for logs and `/stats` (`user_id`).
    #[must_use]
    pub fn masked(&self) -> String {
        match self {
            Self::Phone(phone) => mask(phone.as_ref()),
            Self::Bsuid(bsuid) => mask(bsuid.as_ref()),
        }
    }
}

/// Our mark on one part of one answer, echoed by Meta in its status webhooks (`biz_opaque_callback_data`).
///
/// `<ledger>.<seq>.<part>`: the ledger's own random id keeps a status for an older, deleted ledger from
/// settling a send of this one. It holds no number and no name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tag {
    /// Random id of the ledger file, 16 lower-case hex digits.
    pub ledger: String,
    /// The row that is answered.
    pub seq: Seq,
    /// The part of the answer, from 0.
    pub part: u32,
}

impl Tag {
    /// Reads a tag; `None` for whatever we did not write ourselves.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split('.');
        let (ledger, seq, part) = (fields.next()?, fields.next()?, fields.next()?);
        if fields.next().is_some() || ledger.len() != 16 || !ledger.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        Some(Self { ledger: ledger.to_owned(), seq: Seq(seq.parse().ok()?), part: part.parse().ok()? })
    }
}

impl std::fmt::Display for Tag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.ledger, self.seq, self.part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_survives_the_way_to_meta_and_back() {
        let tag = Tag { ledger: "00ff00ff00ff00ff".into(), seq: Seq(42), part: 3 };
        assert_eq!(Tag::parse(&tag.to_string()), Some(tag));
    }

    #[test]
    fn a_foreign_tag_is_not_ours() {
        for text in [
            "",
            "turn=8841;part=2",
            "00ff.1.2",
            "00ff00ff00ff00ff.1",
            "00ff00ff00ff00ff.1.2.3",
            "zzzzzzzzzzzzzzzz.1.2",
        ] {
            assert_eq!(Tag::parse(text), None, "{text}");
        }
    }

    #[test]
    fn debug_output_never_shows_a_whole_number() {
        assert_eq!(format!("{:?}", Address::Phone("393247722154".into())), "Phone(393******154)");
    }
}
