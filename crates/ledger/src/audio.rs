//! The bytes of a spoken answer.

use derive_more::{Display, Error};

/// The longest spoken answer, in bytes: WhatsApp plays no larger one as a voice note.
pub const AUDIO_BYTES_MAX: usize = 512 * 1024;

/// A spoken answer as it goes to WhatsApp, of at most [`AUDIO_BYTES_MAX`] bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Audio(Vec<u8>);

impl Audio {
    /// Takes these bytes, whatever they are.
    ///
    /// # Errors
    /// [`AudioTooLong`] above [`AUDIO_BYTES_MAX`].
    pub fn new(bytes: Vec<u8>) -> Result<Self, AudioTooLong> {
        if bytes.len() > AUDIO_BYTES_MAX {
            return Err(AudioTooLong { bytes: bytes.len() });
        }
        Ok(Self(bytes))
    }

    /// As they were taken.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Audio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Audio({} bytes)", self.0.len())
    }
}

/// The answer takes longer to say than WhatsApp lets a voice note be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, Error)]
#[display("a spoken answer of {bytes} bytes is longer than {AUDIO_BYTES_MAX}")]
pub struct AudioTooLong {
    /// How long it is.
    pub bytes: usize,
}
