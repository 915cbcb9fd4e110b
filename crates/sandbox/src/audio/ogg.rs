//! Ogg pages (RFC 3533): packets out of a file, and packets into a file. One logical stream, as voice notes have.

/// The fixed part of a page's header, before its table of segments.
const HEADER_BYTES: usize = 27;

/// Segments that a page's table can hold.
const SEGMENTS_MAX: usize = 255;

const CONTINUED: u8 = 1;
const FIRST: u8 = 2;
const LAST: u8 = 4;

/// The granule position of a page on which no packet ends.
const NO_GRANULE: u64 = u64::MAX;

/// The packets of a file.
#[derive(Debug, Default)]
pub(super) struct Stream {
    pub(super) packets: Vec<Vec<u8>>,
    /// The position at the end of the last page, in samples.
    pub(super) granule: u64,
    /// Why reading stopped before a good end.
    pub(super) fault: Option<String>,
}

/// Reads pages until the end or until something is wrong; what came before is kept.
pub(super) fn read(bytes: &[u8]) -> Stream {
    let mut stream = Stream::default();
    stream.fault = stream.take_pages(bytes).err().map(String::from);
    stream
}

impl Stream {
    fn take_pages(&mut self, mut bytes: &[u8]) -> Result<(), &'static str> {
        let mut packet = Vec::new();
        let (mut expected, mut ended) = (0, false);
        while !bytes.is_empty() {
            let page = Page::read(bytes)?;
            if ended || page.sequence != expected || (page.flags & FIRST != 0) != (expected == 0) {
                return Err("a page is out of order");
            }
            let mut body = page.body;
            for length in page.table {
                let (segment, rest) = body.split_at(usize::from(*length));
                packet.extend_from_slice(segment);
                body = rest;
                if *length < 255 {
                    self.packets.push(std::mem::take(&mut packet));
                }
            }
            if page.granule != NO_GRANULE {
                self.granule = page.granule;
            }
            expected += 1;
            ended = page.flags & LAST != 0;
            bytes = page.rest;
        }
        if ended { Ok(()) } else { Err("the last page is missing") }
    }
}

struct Page<'a> {
    flags: u8,
    granule: u64,
    sequence: u32,
    table: &'a [u8],
    body: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Page<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, &'static str> {
        if !bytes.starts_with(b"OggS") {
            return Err("not an Ogg page");
        }
        let cut = "the file ends in the middle of a page";
        let (header, after) = bytes.split_at_checked(HEADER_BYTES).ok_or(cut)?;
        let (table, after) = after.split_at_checked(usize::from(header[26])).ok_or(cut)?;
        let length = table.iter().map(|length| usize::from(*length)).sum();
        let (body, rest) = after.split_at_checked(length).ok_or(cut)?;
        let checked = [&header[..22], &[0; 4], &header[26..], table, body];
        if checksum(&checked).to_le_bytes() != header[22..26] {
            return Err("a page's checksum is wrong");
        }
        let granule = header[6..14].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte));
        let sequence = header[18..22].iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte));
        Ok(Self { flags: header[5], granule, sequence, table, body, rest })
    }
}

/// Writes one logical stream.
#[derive(Debug)]
pub(super) struct Writer {
    out: Vec<u8>,
    sequence: u32,
    table: Vec<u8>,
    body: Vec<u8>,
    granule: u64,
    /// Whether the page at hand begins in the middle of a packet.
    continued: bool,
}

impl Writer {
    pub(super) fn new() -> Self {
        let (table, body) = (Vec::new(), Vec::new());
        Self { out: Vec::new(), sequence: 0, table, body, granule: NO_GRANULE, continued: false }
    }

    /// Adds a packet that ends at sample `granule`; it may begin on one page and end on another.
    pub(super) fn packet(&mut self, packet: &[u8], granule: u64) {
        let mut rest = packet;
        loop {
            if self.table.len() == SEGMENTS_MAX {
                self.end_page();
                self.continued = rest.len() < packet.len();
            }
            let (segment, after) = rest.split_at(rest.len().min(255));
            self.table.push(segment.len() as u8);
            self.body.extend_from_slice(segment);
            rest = after;
            if segment.len() < 255 {
                break;
            }
        }
        self.granule = granule;
    }

    /// Ends the page at hand, so that the next packet begins another.
    pub(super) fn end_page(&mut self) {
        self.page(0);
    }

    /// The whole file; the page at hand is its last.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.page(LAST);
        self.out
    }

    fn page(&mut self, flags: u8) {
        let first = if self.sequence == 0 { FIRST } else { 0 };
        let continued = if self.continued { CONTINUED } else { 0 };
        let mut header = Vec::with_capacity(HEADER_BYTES);
        header.extend_from_slice(b"OggS\0");
        header.push(flags | first | continued);
        header.extend_from_slice(&self.granule.to_le_bytes());
        // The serial number tells streams of one file apart, and there is one.
        header.extend_from_slice(&1_u32.to_le_bytes());
        header.extend_from_slice(&self.sequence.to_le_bytes());
        header.extend_from_slice(&[0; 4]);
        header.push(self.table.len() as u8);
        let sum = checksum(&[&header, &self.table, &self.body]);
        header[22..26].copy_from_slice(&sum.to_le_bytes());
        for part in [&header, &self.table, &self.body] {
            self.out.extend_from_slice(part);
        }
        self.sequence += 1;
        self.table.clear();
        self.body.clear();
        self.granule = NO_GRANULE;
        self.continued = false;
    }
}

/// Ogg's CRC: polynomial 0x04c11db7, neither reflected nor inverted.
fn checksum(parts: &[&[u8]]) -> u32 {
    let step = |sum: u32, byte: &u8| sum << 8 ^ TABLE[usize::from((sum >> 24) as u8 ^ byte)];
    parts.iter().flat_map(|part| part.iter()).fold(0, step)
}

const TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut sum = (index as u32) << 24;
        let mut bit = 0;
        while bit < 8 {
            sum = if sum >> 31 == 1 { sum << 1 ^ 0x04c1_1db7 } else { sum << 1 };
            bit += 1;
        }
        table[index] = sum;
        index += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_of_every_length_come_back_as_they_were() {
        let packets: Vec<Vec<u8>> =
            [0, 1, 254, 255, 256, 510, 70_000, 3].map(|length| vec![7; length]).into();
        let mut writer = Writer::new();
        for (index, packet) in packets.iter().enumerate() {
            writer.packet(packet, index as u64 * 960);
            if index == 0 {
                writer.end_page();
            }
        }
        let stream = read(&writer.finish());
        assert_eq!(stream.fault, None);
        assert_eq!(stream.packets, packets);
        assert_eq!(stream.granule, 7 * 960);
    }

    #[test]
    fn a_page_is_the_same_bytes_that_another_program_writes() {
        // Written by opusenc, with the serial number 1.
        let file = super::super::note();
        let mut writer = Writer::new();
        writer.packet(&read(&file).packets[0], 0);
        writer.end_page();
        assert_eq!(writer.out, file[..writer.out.len()]);
    }
}
