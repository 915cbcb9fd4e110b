//! Ogg Opus files (RFC 3533, RFC 7845), as far as one must look into them: is this a voice note, whole and mono?
//! And, in a part of its own, has anybody spoken in it?

mod page;
mod silence;

pub use silence::is_silent;

use std::time::Duration;

use derive_more::{Display, Error};

use page::Page;

/// A file that WhatsApp plays as a voice note.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Voice {
    /// How long it sounds.
    pub duration: Duration,
    /// Packets of sound; one has mostly 20 ms, at most 120 ms.
    pub packets: u32,
}

/// Why a file is no voice note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display, Error)]
#[display(rename_all = "snake_case")]
pub enum NotVoice {
    /// There is no sound in it.
    Empty,
    /// Another kind of file.
    NotOgg,
    /// An Ogg file of something else, or of more than one stream.
    NotOpus,
    /// It has two channels or more, which WhatsApp distorts or refuses.
    NotMono,
    /// It is cut or damaged: a page is not whole, one is missing, or the last one is.
    Truncated,
}

/// Looks through a whole file in memory.
///
/// # Errors
/// The first reason found why it is no voice note. A file of which the end is missing never passes.
pub fn voice(bytes: &[u8]) -> Result<Voice, NotVoice> {
    let mut packets = 0;
    let stream = read(bytes, |_| {
        packets += 1;
        Ok::<_, NotVoice>(())
    })?;
    if stream.channels != 1 {
        return Err(NotVoice::NotMono);
    }
    if !stream.has_end {
        return Err(NotVoice::Truncated);
    }
    let samples = stream.granule.saturating_sub(u64::from(stream.pre_skip));
    if packets == 0 || samples == 0 {
        return Err(NotVoice::Empty);
    }
    Ok(Voice { duration: Duration::from_millis(samples / SAMPLES_PER_MS), packets })
}

/// Opus reckons at 48 kHz, whatever rate it was given.
const SAMPLES_PER_MS: u64 = 48;

/// What a file says of its sound.
struct Stream {
    channels: u8,
    /// Samples at the beginning that are not played.
    pre_skip: u16,
    /// To be played so much louder, in 256ths of a decibel.
    gain: i16,
    /// One packet is that of one decoder: of one channel, or two.
    is_single: bool,
    /// The number of the last sample, those that are not played included.
    granule: u64,
    has_end: bool,
}

/// Goes through the packets of `sound`, until one makes it fail. Memory: one packet.
fn read<E: From<NotVoice>>(bytes: &[u8], sound: impl FnMut(&[u8]) -> Result<(), E>) -> Result<Stream, E> {
    if bytes.is_empty() {
        return Err(NotVoice::Empty.into());
    }
    let (first, mut rest) = Page::read(bytes)?;
    let mut reader =
        Reader { stream: head(&first)?, last: first, packet: Vec::new(), has_tags: false, sound };
    while !rest.is_empty() {
        // What is no page any more, behind one that was, is damage.
        let page;
        (page, rest) = Page::read(rest).map_err(|_| NotVoice::Truncated)?;
        reader.take(page)?;
    }
    Ok(reader.stream)
}

struct Reader<'a, F> {
    stream: Stream,
    /// The page before.
    last: Page<'a>,
    /// What there is of a packet whose end is on a later page.
    packet: Vec<u8>,
    has_tags: bool,
    sound: F,
}

impl<'a, E: From<NotVoice>, F: FnMut(&[u8]) -> Result<(), E>> Reader<'a, F> {
    fn take(&mut self, page: Page<'a>) -> Result<(), E> {
        if self.stream.has_end || page.is_first || page.serial != self.last.serial {
            return Err(NotVoice::NotOpus.into());
        }
        let follows = page.sequence == self.last.sequence.wrapping_add(1);
        if !follows || page.is_continued == self.packet.is_empty() {
            return Err(NotVoice::Truncated.into());
        }
        for piece in page.pieces() {
            self.packet.extend_from_slice(piece.bytes);
            if piece.ends {
                self.end_packet()?;
            }
        }
        self.stream.granule = page.granule.unwrap_or(self.stream.granule);
        self.stream.has_end = page.is_last && self.packet.is_empty();
        self.last = page;
        Ok(())
    }

    /// The first packet after the head holds tags; the others are sound.
    fn end_packet(&mut self) -> Result<(), E> {
        if self.has_tags {
            (self.sound)(&self.packet)?;
        } else if !self.packet.starts_with(b"OpusTags") {
            return Err(NotVoice::NotOpus.into());
        }
        self.has_tags = true;
        self.packet.clear();
        Ok(())
    }
}

/// The first page: exactly one packet, which says what follows.
fn head(page: &Page<'_>) -> Result<Stream, NotVoice> {
    // Version, channels, pre-skip, rate, gain and mapping. The high half of the version would change with anything
    // that an older reader cannot read.
    match page.body.strip_prefix(b"OpusHead") {
        Some([0..16, channels, s0, s1, _, _, _, _, g0, g1, family, mapping @ ..])
            if page.is_first && !page.is_last =>
        {
            Ok(Stream {
                channels: *channels,
                pre_skip: u16::from_le_bytes([*s0, *s1]),
                gain: i16::from_le_bytes([*g0, *g1]),
                // Family 0 is that by itself; 1 says how many decoders a packet is for. Others are no plain sound.
                is_single: *family == 0 || *family == 1 && mapping.first() == Some(&1),
                granule: 0,
                has_end: false,
            })
        }
        _ => Err(NotVoice::NotOpus),
    }
}

#[cfg(test)]
mod tests;
