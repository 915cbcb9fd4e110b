//! WebM, as a browser's recorder writes it, turned into Ogg: the same Opus packets in another container.
//!
//! WebM is EBML: elements of an id, a length and a content (RFC 8794, RFC 9559). The few that matter here are found
//! in one pass. Containers are entered rather than measured, because a recorder does not know their length yet.

use bytes::Bytes;

use super::opus;

const MAGIC: &[u8] = &[0x1a, 0x45, 0xdf, 0xa3];
const SEGMENT: u32 = 0x1853_8067;
const TRACKS: u32 = 0x1654_ae6b;
const TRACK: u32 = 0xae;
const TRACK_NUMBER: u32 = 0xd7;
const CODEC: u32 = 0x86;
const CODEC_PRIVATE: u32 = 0x63a2;
const CLUSTER: u32 = 0x1f43_b675;
const BLOCK_GROUP: u32 = 0xa0;
const BLOCK: u32 = 0xa1;
const SIMPLE_BLOCK: u32 = 0xa3;

/// The bits of a block's flags that say that several packets are laced into it.
const LACING: u8 = 0b110;

/// A WebM recording with one Opus track as Ogg Opus, with the same packets and without words in its tags.
///
/// # Errors
/// Why that cannot be: no WebM, no Opus track, or an end in the middle.
pub fn from_webm(bytes: &[u8]) -> Result<Bytes, String> {
    if !bytes.starts_with(MAGIC) {
        return Err("not a WebM file".into());
    }
    let mut recording = Recording::default();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (id, length, content) = element(rest).ok_or("the file ends in the middle of an element")?;
        if matches!(id, SEGMENT | TRACKS | TRACK | CLUSTER | BLOCK_GROUP) {
            if id == TRACK {
                recording.tracks.push(Track::default());
            }
            rest = content;
            continue;
        }
        let whole = length.and_then(|length| content.split_at_checked(length));
        let (content, after) = whole.ok_or("the file ends in the middle of an element")?;
        recording.take(id, content)?;
        rest = after;
    }
    recording.ogg()
}

#[derive(Debug, Default)]
struct Track<'a> {
    number: u64,
    codec: &'a [u8],
    private: &'a [u8],
}

#[derive(Debug, Default)]
struct Recording<'a> {
    tracks: Vec<Track<'a>>,
    /// The number of a track, and a packet of it.
    packets: Vec<(u64, &'a [u8])>,
}

impl<'a> Recording<'a> {
    fn take(&mut self, id: u32, content: &'a [u8]) -> Result<(), &'static str> {
        match (id, self.tracks.last_mut()) {
            (TRACK_NUMBER, Some(track)) => track.number = unsigned(content),
            (CODEC, Some(track)) => track.codec = content,
            (CODEC_PRIVATE, Some(track)) => track.private = content,
            (BLOCK | SIMPLE_BLOCK, _) => {
                let (track, block) = varying(content).ok_or("a block without a track")?;
                // Two bytes of time, one of flags.
                let (header, packet) = block.split_at_checked(3).ok_or("a block without a header")?;
                if header[2] & LACING != 0 {
                    return Err("laced blocks, which no browser writes for Opus");
                }
                self.packets.push((track, packet));
            }
            _ => {}
        }
        Ok(())
    }

    fn ogg(&self) -> Result<Bytes, String> {
        let track = self.tracks.iter().find(|track| track.codec == b"A_OPUS").ok_or("no Opus track")?;
        if opus::Head::read(track.private).is_none() {
            return Err("the Opus track has no OpusHead".into());
        }
        let ours = self.packets.iter().filter(|(number, _)| *number == track.number);
        Ok(opus::file(track.private, None, ours.map(|(_, packet)| *packet), None).into())
    }
}

/// An element's id, its length if that is known, and everything after its header.
fn element(bytes: &[u8]) -> Option<(u32, Option<usize>, &[u8])> {
    let width = bytes.first()?.leading_zeros() as usize + 1;
    let (id, rest) = bytes.split_at_checked(width).filter(|_| width <= 4)?;
    let unknown = rest.first()?.leading_zeros();
    let (length, content) = varying(rest)?;
    // All ones: the writer did not know.
    let is_known = length != (1 << (7 * (unknown + 1))) - 1;
    let length = if is_known { Some(usize::try_from(length).ok()?) } else { None };
    Some((u32::try_from(unsigned(id)).ok()?, length, content))
}

/// A number of one to eight bytes; how many, the leading zeros of the first one say.
fn varying(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let first = *bytes.first()?;
    let width = first.leading_zeros() + 1;
    let (number, rest) = bytes.split_at_checked(width as usize).filter(|_| width <= 8)?;
    Some((unsigned(number) & ((1 << (7 * width)) - 1), rest))
}

fn unsigned(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{inspect, ogg};
    use super::*;

    /// Two seconds of Chromium's own recorder: the lengths of its segment and clusters are unknown, and its packets
    /// last 60 ms.
    const RECORDING: &[u8] = include_bytes!("../../voices/recording.webm");

    #[test]
    fn a_recording_becomes_ogg_with_the_same_packets() {
        let file = from_webm(RECORDING).unwrap();
        let sound = inspect(&file).unwrap();
        assert_eq!((sound.channels, sound.words.as_ref()), (1, None));
        assert!(sound.duration.abs_diff(Duration::from_secs(2)) < Duration::from_millis(60), "{sound:?}");
        for packet in ogg::read(&file).packets.iter().skip(2) {
            assert!(RECORDING.windows(packet.len()).any(|window| window == packet), "a packet was changed");
        }
    }

    #[test]
    fn what_is_no_recording_is_refused_with_the_reason() {
        assert_eq!(from_webm(b"OggS"), Err("not a WebM file".into()));
        assert_eq!(from_webm(MAGIC), Err("the file ends in the middle of an element".into()));
        assert!(from_webm(&RECORDING[..RECORDING.len() - 1]).is_err());
        let mut vorbis = RECORDING.to_vec();
        let place = vorbis.windows(6).position(|window| window == b"A_OPUS").unwrap();
        vorbis[place..place + 6].copy_from_slice(b"A_VORB");
        assert_eq!(from_webm(&vorbis), Err("no Opus track".into()));
    }
}
