//! Sound as voice notes have it: mono Opus in Ogg, with the spoken words in its tags.
//!
//! Whoever speaks in the sandbox puts the words into the file's tags (`WORDS=…`), so that whoever listens can tell
//! exactly what was said, through however many hands the bytes went.
//!
//! - [`say`]: a text as a voice note. [`note`], [`silence`], [`mp3`], [`stereo`], [`of_size`]: sounds for tests.
//! - [`inspect`]: what a file is, as strictly as WhatsApp reads it. [`words`]: what is said in it.
//! - [`from_webm`]: a browser's recording as a voice note, remuxed and not merely renamed.

mod ogg;
mod opus;
mod voices;
mod webm;

use std::time::Duration;

use bytes::Bytes;

pub use voices::{mp3, note, of_size, say, silence, stereo};
pub(crate) use voices::{raw, truncated};
pub use webm::from_webm;

/// A sound file that is a complete Ogg Opus stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sound {
    /// 1 for mono, which is what WhatsApp plays as a voice note; 2 for stereo.
    pub channels: u8,
    /// How long it plays.
    pub duration: Duration,
    /// Opus packets, usually of 20 ms each.
    pub packets: usize,
    /// The words that its tags carry.
    pub words: Option<String>,
}

/// Reads a whole Ogg Opus file (RFC 3533, RFC 7845), checksums and all.
///
/// # Errors
/// What is wrong with it: no Ogg, no Opus in it, a damaged page, or no last page.
pub fn inspect(bytes: &[u8]) -> Result<Sound, String> {
    let stream = ogg::read(bytes);
    if let Some(fault) = stream.fault {
        return Err(fault);
    }
    let mut packets = stream.packets.iter();
    let head = packets.next().and_then(|packet| opus::Head::read(packet)).ok_or("not an Opus stream")?;
    let tags = packets.next().filter(|packet| packet.starts_with(opus::TAGS)).ok_or("no OpusTags")?;
    let samples = stream.granule.saturating_sub(u64::from(head.pre_skip));
    Ok(Sound {
        channels: head.channels,
        duration: Duration::from_micros(samples * 1_000 / 48),
        packets: packets.len(),
        words: opus::words(tags),
    })
}

/// The words in the tags of an Ogg Opus file, whole or not.
pub fn words(bytes: &[u8]) -> Option<String> {
    ogg::read(bytes).packets.get(1).and_then(|packet| opus::words(packet))
}

/// The same Ogg Opus file with these words in its tags, in the place of what was there.
///
/// # Errors
/// What is wrong with it, as [`inspect`] says.
pub(crate) fn with_words(bytes: &[u8], words: &str) -> Result<Bytes, String> {
    inspect(bytes)?;
    let stream = ogg::read(bytes);
    Ok(voices::rewritten(&stream.packets, Some(words), stream.granule))
}

/// Whether WhatsApp can play it as a voice note: complete, mono, Ogg Opus.
pub(crate) fn is_voice_note(bytes: &[u8]) -> bool {
    inspect(bytes).is_ok_and(|sound| sound.channels == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_or_incomplete_file_is_told_apart_from_a_good_one() {
        let good = note().to_vec();
        let sound = inspect(&good).unwrap();
        assert_eq!(sound.channels, 1);
        assert!(
            sound.duration > Duration::from_secs(2) && sound.duration < Duration::from_secs(6),
            "{sound:?}"
        );
        let mut flipped = good.clone();
        *flipped.last_mut().unwrap() ^= 1;
        assert_eq!(inspect(&flipped), Err("a page's checksum is wrong".into()));
        for cut in [good.len() - 1, good.len() / 2, 60, 1] {
            assert!(inspect(&good[..cut]).is_err(), "cut at {cut}");
        }
        assert!(inspect(&[]).is_err());
        assert!(inspect(&mp3()).is_err());
        assert_eq!(words(&good[..good.len() / 2]), sound.words);
    }

    #[test]
    fn silence_is_said_in_tiny_packets() {
        let sound = inspect(&silence()).unwrap();
        assert_eq!((sound.channels, sound.words), (1, None));
        assert!(silence().len() < sound.packets * 8, "{} bytes", silence().len());
    }

    #[test]
    fn only_mono_is_a_voice_note() {
        assert!(is_voice_note(&note()));
        assert_eq!(inspect(&stereo("ciao")).unwrap().channels, 2);
        assert!(!is_voice_note(&stereo("ciao")) && !is_voice_note(&mp3()));
    }
}
