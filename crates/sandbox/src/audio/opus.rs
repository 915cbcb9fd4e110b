//! What Opus in Ogg (RFC 7845) puts into its first two packets, and how long a packet plays (RFC 6716).

use super::ogg::Writer;

/// How the second packet begins.
pub(super) const TAGS: &[u8] = b"OpusTags";

/// The tag that carries the spoken words.
const WORDS: &str = "WORDS=";

/// Samples on one page: a second, the longest that RFC 7845 advises.
const PAGE_SAMPLES: u64 = 48_000;

/// The first packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) channels: u8,
    /// Samples at the start that are not played.
    pub(super) pre_skip: u16,
}

impl Head {
    pub(super) fn read(packet: &[u8]) -> Option<Self> {
        let fields = packet.strip_prefix(b"OpusHead")?;
        let (channels, pre_skip) = (*fields.get(1)?, [*fields.get(2)?, *fields.get(3)?]);
        Some(Self { channels, pre_skip: u16::from_le_bytes(pre_skip) })
    }
}

/// The words that a second packet carries.
pub(super) fn words(tags: &[u8]) -> Option<String> {
    let (_vendor, rest) = text(tags.strip_prefix(TAGS)?)?;
    let (count, mut rest) = number(rest)?;
    for _ in 0..count {
        let (comment, after) = text(rest)?;
        if let Some((name, words)) = comment.split_at_checked(WORDS.len())
            && name.eq_ignore_ascii_case(WORDS)
        {
            return Some(words.into());
        }
        rest = after;
    }
    None
}

fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((usize::try_from(u32::from_le_bytes(*number)).ok()?, rest))
}

fn text(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = number(bytes)?;
    let (text, rest) = rest.split_at_checked(length)?;
    Some((std::str::from_utf8(text).ok()?, rest))
}

/// A second packet with these words, or with no comment at all.
fn tags(words: Option<&str>) -> Vec<u8> {
    let mut packet = TAGS.to_vec();
    append(&mut packet, "parlante sandbox");
    packet.extend_from_slice(&u32::from(words.is_some()).to_le_bytes());
    if let Some(words) = words {
        append(&mut packet, &format!("{WORDS}{words}"));
    }
    packet
}

fn append(packet: &mut Vec<u8>, text: &str) {
    // No text here is anywhere near 4 GB.
    packet.extend_from_slice(&(text.len() as u32).to_le_bytes());
    packet.extend_from_slice(text.as_bytes());
}

/// A whole file of these packets. `end` is the position at which it ends if not where the last packet does.
pub(super) fn file<'a>(
    head: &[u8],
    words: Option<&str>,
    packets: impl IntoIterator<Item = &'a [u8]>,
    end: Option<u64>,
) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.packet(head, 0);
    writer.end_page();
    writer.packet(&tags(words), 0);
    let mut packets = packets.into_iter().peekable();
    // The first sound begins a page, as does every packet that would make a page longer than a second.
    let (mut granule, mut page_end) = (0, 0);
    while let Some(packet) = packets.next() {
        granule += u64::from(samples(packet));
        if granule > page_end {
            writer.end_page();
            page_end = granule - u64::from(samples(packet)) + PAGE_SAMPLES;
        }
        let ends_here = end.filter(|_| packets.peek().is_none());
        writer.packet(packet, ends_here.unwrap_or(granule));
    }
    writer.finish()
}

/// How many samples, at 48 kHz, a packet plays; 0 for an empty one.
pub(super) fn samples(packet: &[u8]) -> u32 {
    let Some(toc) = packet.first() else { return 0 };
    let setting = usize::from(toc >> 3);
    let frame = match setting {
        0..12 => [480, 960, 1920, 2880][setting & 3],
        12..16 => [480, 960][setting & 1],
        _ => [120, 240, 480, 960][setting & 3],
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => packet.get(1).map_or(0, |count| u32::from(count & 63)),
    };
    frame * frames
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_ride_in_the_tags_whatever_they_are() {
        for said in ["", "perché no? 🍝", &"x".repeat(70_000)] {
            assert_eq!(words(&tags(Some(said))).as_deref(), Some(said));
        }
        assert_eq!(words(&tags(None)), None);
        assert_eq!(words(b"OpusTags\xff\xff\xff\xff"), None);
    }

    #[test]
    fn a_packet_lasts_as_long_as_its_first_byte_says() {
        // 20 ms of SILK, 20 ms of CELT, two frames of 60 ms, three of 2.5 ms.
        assert_eq!(samples(&[1 << 3, 0]), 960);
        assert_eq!(samples(&[31 << 3, 0]), 960);
        assert_eq!(samples(&[3 << 3 | 1, 0]), 5760);
        assert_eq!(samples(&[16 << 3 | 3, 3]), 360);
        assert_eq!(samples(&[]), 0);
    }
}
