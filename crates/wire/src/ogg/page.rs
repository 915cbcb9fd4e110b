//! One page of an Ogg file (RFC 3533, 6): a head of 27 bytes, a table of lengths, and that many bytes.

use super::NotVoice;

const HEAD_BYTES: usize = 27;
const MAGIC: &[u8] = b"OggS";

/// A page whose checksum is right.
pub(super) struct Page<'a> {
    /// Its first piece goes on with a packet of the page before.
    pub(super) is_continued: bool,
    pub(super) is_first: bool,
    pub(super) is_last: bool,
    /// The number of the last sample that ends here, if any does.
    pub(super) granule: Option<u64>,
    pub(super) serial: u32,
    pub(super) sequence: u32,
    /// A packet is a row of 255s and one smaller number.
    lengths: &'a [u8],
    pub(super) body: &'a [u8],
}

/// A packet, or a part of one.
pub(super) struct Piece<'a> {
    pub(super) bytes: &'a [u8],
    /// The packet ends with it.
    pub(super) ends: bool,
}

impl<'a> Page<'a> {
    /// The page at the beginning of `bytes`, and what follows it.
    pub(super) fn read(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), NotVoice> {
        let magic = &bytes[..bytes.len().min(MAGIC.len())];
        if !MAGIC.starts_with(magic) {
            return Err(NotVoice::NotOgg);
        }
        let (head, rest) = bytes.split_first_chunk::<HEAD_BYTES>().ok_or(NotVoice::Truncated)?;
        let (lengths, rest) = rest.split_at_checked(usize::from(head[26])).ok_or(NotVoice::Truncated)?;
        let length = lengths.iter().map(|length| usize::from(*length)).sum();
        let (body, rest) = rest.split_at_checked(length).ok_or(NotVoice::Truncated)?;
        if number(&head[22..26]) != u64::from(checksum(head, lengths, body)) {
            return Err(NotVoice::Truncated);
        }
        let flag = |bit| head[5] & bit != 0;
        let page = Self {
            is_continued: flag(1),
            is_first: flag(2),
            is_last: flag(4),
            granule: Some(number(&head[6..14])).filter(|granule| *granule != u64::MAX),
            serial: number(&head[14..18]) as u32,
            sequence: number(&head[18..22]) as u32,
            lengths,
            body,
        };
        Ok((page, rest))
    }

    pub(super) fn pieces(&self) -> impl Iterator<Item = Piece<'a>> + use<'a> {
        let mut body = self.body;
        self.lengths.chunk_by(|length, _| *length == 255).map(move |lengths| {
            let length = lengths.iter().map(|length| usize::from(*length)).sum();
            let bytes;
            (bytes, body) = body.split_at(length);
            Piece { bytes, ends: lengths.last() != Some(&255) }
        })
    }
}

/// Little-endian.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Over the whole page, with zeros where the checksum stands.
fn checksum(head: &[u8; HEAD_BYTES], lengths: &[u8], body: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| (crc << 8) ^ TABLE[usize::from((crc >> 24) as u8 ^ byte)];
    let head = head[..22].iter().chain(&[0; 4]).chain(&head[26..]);
    let crc = head.chain(lengths).fold(0, step);
    body.iter().fold(crc, step)
}

/// CRC-32 of polynomial 0x04c11db7, neither reflected nor inverted: not that of zip files.
const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = (byte as u32) << 24;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc >> 31 == 1 { crc << 1 ^ 0x04c1_1db7 } else { crc << 1 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

#[cfg(test)]
impl Page<'_> {
    /// The bytes of `page` with a right checksum, for tests that write pages.
    pub(super) fn seal(page: &mut [u8]) {
        let (head, rest) = page.split_first_chunk::<HEAD_BYTES>().unwrap();
        let (lengths, body) = rest.split_at(usize::from(head[26]));
        let crc = checksum(head, lengths, body);
        page[22..26].copy_from_slice(&crc.to_le_bytes());
    }
}
