//! Files of real encoders, files written by hand, and each of them spoilt.

use proptest::prelude::*;

use super::page::Page;
use super::*;

pub(super) const VOICE: &[u8] = include_bytes!("../../../../tests/fixtures/voice.ogg");
pub(super) const SILENCE: &[u8] = include_bytes!("../../../../tests/fixtures/silence.ogg");
pub(super) const STEREO: &[u8] = include_bytes!("../../../../tests/fixtures/stereo.ogg");

const CONTINUED: u8 = 1;
pub(super) const FIRST: u8 = 2;
pub(super) const LAST: u8 = 4;

/// A page of whole packets.
pub(super) fn page(flags: u8, granule: u64, sequence: u32, packets: &[&[u8]]) -> Vec<u8> {
    let lengths = packets.iter().flat_map(|packet| {
        let full = std::iter::repeat_n(255, packet.len() / 255);
        full.chain([(packet.len() % 255) as u8])
    });
    raw_page(flags, granule, sequence, &lengths.collect::<Vec<_>>(), &packets.concat())
}

fn raw_page(flags: u8, granule: u64, sequence: u32, lengths: &[u8], body: &[u8]) -> Vec<u8> {
    let mut page = b"OggS\0".to_vec();
    page.push(flags);
    page.extend(granule.to_le_bytes());
    page.extend(7_u32.to_le_bytes());
    page.extend(sequence.to_le_bytes());
    page.extend([0; 4]);
    page.push(u8::try_from(lengths.len()).unwrap());
    page.extend(lengths);
    page.extend(body);
    Page::seal(&mut page);
    page
}

pub(super) fn head(channels: u8) -> Vec<u8> {
    let mut head = b"OpusHead\x01".to_vec();
    head.push(channels);
    head.extend(312_u16.to_le_bytes());
    head.extend(48_000_u32.to_le_bytes());
    head.extend([0, 0, 0]);
    head
}

/// A mono file of these packets.
pub(super) fn file(packets: &[Vec<u8>]) -> Vec<u8> {
    file_of(&head(1), packets)
}

/// A file of these packets, one page each.
pub(super) fn file_of(head: &[u8], packets: &[Vec<u8>]) -> Vec<u8> {
    let mut file = [page(FIRST, 0, 0, &[head]), page(0, 0, 1, &[b"OpusTags"])].concat();
    for (at, packet) in packets.iter().enumerate() {
        let last = if at + 1 == packets.len() { LAST } else { 0 };
        file.extend(page(last, 312 + 960 * (at as u64 + 1), at as u32 + 2, &[packet]));
    }
    file
}

#[test]
fn a_note_of_a_real_encoder() {
    let read = voice(VOICE).unwrap();
    assert_eq!(read, Voice { duration: Duration::from_millis(543), packets: 28 });
    assert_eq!(voice(SILENCE).unwrap().duration, Duration::from_secs(1));
    assert_eq!(voice(STEREO), Err(NotVoice::NotMono));
}

#[test]
fn a_note_is_as_long_as_its_last_granule_says() {
    let read = voice(&file(&[vec![1; 40], vec![2; 600]])).unwrap();
    assert_eq!(read, Voice { duration: Duration::from_millis(40), packets: 2 });
    // A page on which no packet ends has no granule, and a last page may be empty.
    let split = [
        page(FIRST, 0, 0, &[&head(1)]),
        page(0, 0, 1, &[b"OpusTags"]),
        raw_page(0, u64::MAX, 2, &[255], &[3; 255]),
        raw_page(CONTINUED, 1272, 3, &[9], &[3; 9]),
        page(LAST, u64::MAX, 4, &[]),
    ];
    assert_eq!(voice(&split.concat()), Ok(Voice { duration: Duration::from_millis(20), packets: 1 }));
}

#[test]
fn tags_may_fill_several_pages() {
    let split = [
        page(FIRST, 0, 0, &[&head(1)]),
        raw_page(0, u64::MAX, 1, &[255], &[b"OpusTags".as_slice(), &[0; 247]].concat()),
        raw_page(CONTINUED, 0, 2, &[1], &[0]),
        page(LAST, 1272, 3, &[&[1]]),
    ];
    assert!(voice(&split.concat()).is_ok());
}

#[test]
fn any_cut_is_refused() {
    for whole in [VOICE, SILENCE] {
        for end in 0..whole.len() {
            let expected = if end == 0 { NotVoice::Empty } else { NotVoice::Truncated };
            assert_eq!(voice(&whole[..end]), Err(expected), "{end}");
        }
    }
}

#[test]
fn any_changed_byte_is_refused() {
    for at in 0..VOICE.len() {
        let mut changed = VOICE.to_vec();
        changed[at] ^= 1;
        assert!(voice(&changed).is_err(), "{at}");
    }
}

#[test]
fn another_kind_of_file() {
    let mp3 = b"ID3\x04\0\0\0\0\0\0";
    for other in [&mp3[..], b"\xff\xfb\x90\x00", b"{\"detail\":{}}", b"RIFF", b"OpusHead", b"\x1aE\xdf\xa3"] {
        assert_eq!(voice(other), Err(NotVoice::NotOgg));
    }
    assert_eq!(voice(b""), Err(NotVoice::Empty));
}

#[test]
fn ogg_of_something_else() {
    let head_of = |packet: &[u8], flags| page(flags, 0, 0, &[packet]);
    let newer = [&b"OpusHead\x10\x01"[..], &[0; 9]].concat();
    for first in [
        head_of(b"\x01vorbis\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0", FIRST),
        head_of(b"OpusHead\x01\x01", FIRST),
        head_of(&newer, FIRST),
        head_of(&head(1), 0),
        head_of(&head(1), FIRST | LAST),
        page(FIRST, 0, 0, &[]),
    ] {
        assert_eq!(voice(&first), Err(NotVoice::NotOpus));
    }
    let no_tags = [page(FIRST, 0, 0, &[&head(1)]), page(LAST, 1272, 1, &[&[1; 40]])].concat();
    assert_eq!(voice(&no_tags), Err(NotVoice::NotOpus));
    assert_eq!(voice(&[VOICE, VOICE].concat()), Err(NotVoice::NotOpus), "two answers glued together");
    let more = [file(&[vec![1]]), page(LAST, 2232, 3, &[&[1]])].concat();
    assert_eq!(voice(&more), Err(NotVoice::NotOpus), "a page behind the last one");
    let start = [page(FIRST, 0, 0, &[&head(1)]), page(0, 0, 1, &[b"OpusTags"])].concat();
    let mut foreign = page(LAST, 1272, 2, &[&[1]]);
    foreign[14] = 8;
    Page::seal(&mut foreign);
    for second in [foreign, page(FIRST | LAST, 1272, 2, &[&[1]])] {
        assert_eq!(voice(&[&start[..], &second].concat()), Err(NotVoice::NotOpus), "a second stream");
    }
}

#[test]
fn a_file_without_sound() {
    let tags = page(0, 0, 1, &[b"OpusTags"]);
    let none = [page(FIRST, 0, 0, &[&head(1)]), tags.clone(), page(LAST, 0, 2, &[])].concat();
    assert_eq!(voice(&none), Err(NotVoice::Empty));
    let skipped = [page(FIRST, 0, 0, &[&head(1)]), tags, page(LAST, 312, 2, &[&[1]])].concat();
    assert_eq!(voice(&skipped), Err(NotVoice::Empty));
}

#[test]
fn a_hole_is_seen() {
    let pages =
        |third: Vec<u8>| [page(FIRST, 0, 0, &[&head(1)]), page(0, 0, 1, &[b"OpusTags"]), third].concat();
    assert!(voice(&pages(page(LAST, 1272, 2, &[&[1]]))).is_ok());
    for third in [
        page(LAST, 1272, 3, &[&[1]]),
        page(LAST | CONTINUED, 1272, 2, &[&[1]]),
        raw_page(LAST, 1272, 2, &[255], &[1; 255]),
        page(0, 1272, 2, &[&[1]]),
        b"junk".to_vec(),
    ] {
        assert_eq!(voice(&pages(third)), Err(NotVoice::Truncated));
    }
    let unfinished = [pages(raw_page(0, 1272, 2, &[255], &[1; 255])), page(LAST, 1272, 3, &[&[1]])];
    assert_eq!(voice(&unfinished.concat()), Err(NotVoice::Truncated));
}

proptest! {
    #[test]
    fn no_input_panics(bytes in prop::collection::vec(any::<u8>(), 0..300), spoilt in prop::collection::vec((0..VOICE.len(), any::<u8>()), 0..8)) {
        let mut voice_note = VOICE.to_vec();
        for (at, byte) in spoilt {
            voice_note[at] = byte;
        }
        for input in [bytes.clone(), [b"OggS", &bytes[..]].concat(), voice_note] {
            let _ = (voice(&input), is_silent(&input));
        }
    }

    /// Whatever stands in pages whose checksums are right.
    #[test]
    fn no_page_panics(
        pages in prop::collection::vec((any::<u8>(), any::<u64>(), prop::collection::vec(prop_oneof![Just(255_u8), any::<u8>()], 0..4)), 0..6),
        channels in any::<u8>(),
    ) {
        let mut input = [page(FIRST, 0, 0, &[&head(channels)]), page(0, 0, 1, &[b"OpusTags"])].concat();
        for (at, (flags, granule, lengths)) in pages.iter().enumerate() {
            let length = lengths.iter().map(|length| usize::from(*length)).sum();
            input.extend(raw_page(*flags, *granule, at as u32 + 2, lengths, &vec![1; length]));
        }
        let _ = (voice(&input), is_silent(&input));
    }

    #[test]
    fn any_cut_of_a_good_file_is_refused(
        packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..600), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let whole = file(&packets);
        let count = packets.len() as u32;
        prop_assert_eq!(voice(&whole), Ok(Voice { duration: Duration::from_millis(20 * u64::from(count)), packets: count }));
        prop_assert!(voice(&whole[..cut.index(whole.len())]).is_err());
    }
}
