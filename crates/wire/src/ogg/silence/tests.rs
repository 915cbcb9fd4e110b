//! Recordings whose level is known, and packets and heads put together otherwise than any encoder does it.

use proptest::prelude::*;

use super::super::tests::{FIRST, LAST, SILENCE, STEREO, VOICE, file, file_of, head, page};
use super::*;

macro_rules! recording {
    ($name:literal) => {
        include_bytes!(concat!("../../../../../tests/fixtures/level/", $name, ".ogg"))
    };
}

const NOISE_60: &[u8] = recording!("noise-60");
const NOISE_40: &[u8] = recording!("noise-40");
const BEEP: &[u8] = recording!("beep");

fn packets(file: &[u8]) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    let take = |packet: &[u8]| {
        packets.push(packet.to_vec());
        Ok::<_, NotVoice>(())
    };
    read(file, take).unwrap();
    packets
}

#[test]
fn silence_at_every_rate() {
    let zeros: [&[u8]; 8] = [
        recording!("zeros-12"),
        recording!("zeros-12-dtx"),
        recording!("zeros-16"),
        recording!("zeros-16-dtx"),
        recording!("zeros-32"),
        recording!("zeros-32-dtx"),
        SILENCE,
        STEREO,
    ];
    for (at, zeros) in zeros.iter().enumerate() {
        assert!(is_silent(zeros), "{at}");
    }
    assert!(!is_silent_by_packets(zeros[0]), "the decoder is needed");
    assert!(is_silent(NOISE_60), "a quiet room");
}

#[test]
fn what_can_be_heard() {
    assert!(!is_silent(VOICE));
    assert!(!is_silent(NOISE_40));
    assert!(matches!(listen(&[NOISE_40, b"junk"].concat()), Err(Stop::Loud)), "nobody listens on");
    assert!(!is_silent(BEEP), "120 ms in the middle of 5 s of silence");
    let beginning: Vec<_> = packets(BEEP).into_iter().take(100).collect();
    assert!(is_silent(&file(&beginning)), "without the beep");
}

#[test]
fn a_window_of_100_ms_decides() {
    let level = || Level { step: STEP, ..Level::default() };
    let window = STEP * STEPS;
    // The square of 103 lies just below −50 dBFS, that of 104 just above it.
    assert!(!level().rises(&vec![103; window * 3]));
    assert!(level().rises(&vec![-104; window]));
    assert!(!level().rises(&vec![-104; window - 1]), "not yet a window");
    // 20 ms that alone are 7 dB louder, in two pieces, anywhere in a window.
    for (peak, is_loud) in [(231, false), (233, true)] {
        let mut level = level();
        assert!(!level.rises(&vec![0; window + STEP]));
        assert!(!level.rises(&vec![peak; STEP]));
        assert!(!level.rises(&vec![0; STEP * 8]));
        assert_eq!(level.rises(&vec![peak; STEP]), is_loud, "{peak}");
        let mut apart = Level { step: STEP, ..Level::default() };
        assert!(!apart.rises(&vec![peak; STEP]));
        assert!(!apart.rises(&vec![0; STEP * 9]));
        assert!(!apart.rises(&vec![peak; STEP]), "{peak}: two windows");
    }
    assert!(level().rises(&vec![i16::MIN; window]), "as loud as can be");
    // Both channels count.
    let mut stereo = Level { step: STEP * 2, ..Level::default() };
    assert!(!stereo.rises(&[140, 0].repeat(window)));
    assert!(stereo.rises(&[0, 149].repeat(window)));
}

/// A head with an output gain in decibels.
fn head_with_gain(gain: i16) -> Vec<u8> {
    let mut head = head(1);
    head[16..18].copy_from_slice(&(gain * 256).to_le_bytes());
    head
}

#[test]
fn the_gain_of_the_head_counts() {
    let (quiet, loud) = (packets(NOISE_60), packets(NOISE_40));
    for (gain, packets, expected) in
        [(0, &quiet, true), (30, &quiet, false), (0, &loud, false), (-30, &loud, true)]
    {
        assert_eq!(is_silent(&file_of(&head_with_gain(gain), packets)), expected, "{gain}");
    }
}

/// A head of a mapping family that has a table.
fn head_of(channels: u8, family: u8, mapping: &[u8]) -> Vec<u8> {
    let mut head = head(channels);
    head[18] = family;
    head.extend(mapping);
    head
}

#[test]
fn of_what_is_not_plain_sound_only_the_packets_are_looked_at() {
    let (quiet, tiny) = (packets(NOISE_60), packets(SILENCE));
    let of_one_decoder = [head(1), head(2), head_of(1, 1, &[1, 0, 0]), head_of(2, 1, &[1, 1, 0, 1])];
    for head in of_one_decoder {
        assert!(is_silent(&file_of(&head, &quiet)), "{head:?}");
        assert!(!is_silent(&file_of(&head, &packets(NOISE_40))), "{head:?}");
    }
    let others =
        [head(0), head(3), head_of(2, 1, &[2, 0, 0, 1]), head_of(1, 1, &[]), head_of(1, 255, &[1, 0, 0])];
    for head in others {
        assert!(!is_silent(&file_of(&head, &quiet)), "{head:?}");
        assert!(is_silent(&file_of(&head, &tiny)), "{head:?}");
    }
}

#[test]
fn the_longest_packet_is_decoded() {
    // Six frames of 20 ms, in which nothing was sent.
    let packet = vec![0xfb, 6];
    assert!(listen(&file(&[packet])).is_ok_and(|has_sound| has_sound));
}

#[test]
fn what_the_decoder_refuses_is_judged_by_its_packets() {
    // A packet of no frames at all.
    let refused = |bytes: usize| [&[0xfb, 0][..], &vec![0; bytes]].concat();
    assert!(listen(&file(&[refused(0)])).is_err());
    assert!(is_silent(&file(&[vec![0xf8], refused(0)])));
    assert!(!is_silent(&file(&[vec![0xf8], refused(40)])));
    assert!(!is_silent(&file(&[refused(40), vec![0xf8]])), "one word is enough");
}

#[test]
fn nothing_is_called_silent_that_cannot_be_looked_into() {
    let none = [page(FIRST, 0, 0, &[&head(1)]), page(LAST, 0, 1, &[b"OpusTags"])].concat();
    for bytes in [&b""[..], b"OggS", b"ID3", &SILENCE[..SILENCE.len() - 1], &none] {
        assert!(!is_silent(bytes));
    }
    // A recorder that sets no mark on its last page has recorded the same silence.
    let unmarked =
        [page(FIRST, 0, 0, &[&head(1)]), page(0, 0, 1, &[b"OpusTags"]), page(0, 960, 2, &[&[0xf8]])];
    assert!(is_silent(&unmarked.concat()));
}

#[test]
fn ten_minutes_of_silence_are_enough() {
    let (first, _) = Page::read(SILENCE).unwrap();
    let mut ear = Ear::new(&crate::ogg::head(&first).unwrap()).unwrap_or_else(|_| panic!("plain sound"));
    ear.samples = SAMPLES_MAX - 960;
    let packet = &packets(SILENCE)[0];
    assert!(ear.hear(packet).is_ok());
    assert!(matches!(ear.hear(packet), Err(Stop::Loud)));
}

proptest! {
    /// Spoilt packets in pages whose checksums are right.
    #[test]
    fn no_packet_panics(
        at in 0..3_usize,
        spoilt in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()), 1..12),
        channels in 1..=2_u8,
    ) {
        let mut packets = packets([VOICE, NOISE_60, SILENCE][at]);
        packets.truncate(12);
        for (packet, place, byte) in spoilt {
            let packet = &mut packets[packet.index(12)];
            let place = place.index(packet.len());
            packet[place] = byte;
        }
        let _ = is_silent(&file_of(&head(channels), &packets));
    }

    #[test]
    fn no_bytes_panic(packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..6), channels in 1..=2_u8) {
        let _ = is_silent(&file_of(&head(channels), &packets));
    }
}
