//! What kind of sound is this file? Told by its first bytes, for what a sender says of it may be wrong.

/// A kind of sound that OpenAI transcribes, which tells it by the ending of the file's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sound {
    /// Ogg: what WhatsApp records.
    Ogg,
    /// MPEG audio, layer II or III.
    Mp3,
    /// MP4, mostly with AAC in it (`.m4a`), and its relatives.
    Mp4,
    /// WAVE.
    Wav,
    /// FLAC outside of Ogg.
    Flac,
    /// WebM: what browsers record.
    Webm,
}

impl Sound {
    /// `None`: it is none of these. AMR and AAC without a container (ADTS) are sound, but OpenAI takes neither.
    #[must_use]
    pub fn sniff(bytes: &[u8]) -> Option<Self> {
        let has = |at, magic: &[u8]| bytes.get(at..).is_some_and(|rest| rest.starts_with(magic));
        if has(0, b"OggS") {
            Some(Self::Ogg)
        } else if has(4, b"ftyp") {
            Some(Self::Mp4)
        } else if has(0, b"RIFF") && has(8, b"WAVE") {
            Some(Self::Wav)
        } else if has(0, b"fLaC") {
            Some(Self::Flac)
        } else if has(0, b"\x1aE\xdf\xa3") {
            is_webm(bytes).then_some(Self::Webm)
        } else {
            is_mpeg(bytes).then_some(Self::Mp3)
        }
    }

    /// What the file is called.
    #[must_use]
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Ogg => "voice.ogg",
            Self::Mp3 => "voice.mp3",
            Self::Mp4 => "voice.m4a",
            Self::Wav => "voice.wav",
            Self::Flac => "voice.flac",
            Self::Webm => "voice.webm",
        }
    }

    /// Its media type.
    #[must_use]
    pub fn mime(self) -> &'static str {
        match self {
            Self::Ogg => "audio/ogg",
            Self::Mp3 => "audio/mpeg",
            Self::Mp4 => "audio/mp4",
            Self::Wav => "audio/wav",
            Self::Flac => "audio/flac",
            Self::Webm => "audio/webm",
        }
    }
}

/// The head of a Matroska file, of some 40 bytes, says whether it is WebM.
fn is_webm(bytes: &[u8]) -> bool {
    bytes[..bytes.len().min(64)].windows(4).any(|word| word == b"webm")
}

/// MPEG audio has no magic of its own: a tag stands in front of it, or it begins with the head of a frame. A tag may
/// stand in front of ADTS too, and some leave a gap behind it.
fn is_mpeg(bytes: &[u8]) -> bool {
    match behind_tag(bytes) {
        Some(rest) => !rest.is_empty() && !is_adts(rest),
        None => is_mpeg_frame(bytes),
    }
}

/// What follows an ID3v2 tag: a head of 10 bytes, the last four of which tell with 7 bits each how long the rest is,
/// and perhaps a foot as long as the head.
fn behind_tag(bytes: &[u8]) -> Option<&[u8]> {
    let (head, rest) = bytes.split_first_chunk::<10>().filter(|(head, _)| head.starts_with(b"ID3"))?;
    let length = head[6..].iter().fold(0, |length, byte| length << 7 | usize::from(byte & 0x7f));
    let has_foot = head[5] & 0x10 != 0;
    Some(rest.get(length + if has_foot { 10 } else { 0 }..).unwrap_or_default())
}

/// 11 bits that are all set, a version, a layer that is II (`10`) or III (`01`), and a bit rate and a sampling rate
/// that exist.
fn is_mpeg_frame(bytes: &[u8]) -> bool {
    let [0xff, second, third, ..] = bytes else { return false };
    let (version, layer) = (second >> 3 & 3, second >> 1 & 3);
    let (bit_rate, sampling_rate) = (third >> 4, third >> 2 & 3);
    second >> 5 == 7 && version != 1 && (1..=2).contains(&layer) && bit_rate != 15 && sampling_rate != 3
}

/// ADTS looks like a frame of MPEG audio with layer `00`.
fn is_adts(bytes: &[u8]) -> bool {
    matches!(bytes, [0xff, second, ..] if second & 0xf6 == 0xf0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MP3: &[u8] = b"\xff\xfb\x90\x64";
    const ADTS: &[u8] = b"\xff\xf1\x50\x80";

    /// `rest` behind a tag of 130 bytes after its head.
    fn tagged(rest: &[u8]) -> Vec<u8> {
        [b"ID3\x04\0\0\0\0\x01\x02", &[0; 130][..], rest].concat()
    }

    #[test]
    fn the_first_bytes_tell_the_kind() {
        let webm = b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\xf7\x81\x01B\xf2\x81\x04B\xf3\x81\x08B\x82\x84webm";
        for (bytes, sound) in [
            (&b"OggS\0\x02"[..], Sound::Ogg),
            (b"\0\0\0\x20ftypM4A \0\0\0\0", Sound::Mp4),
            (b"\0\0\0\x18ftypisom\0\0\0\0", Sound::Mp4),
            (b"RIFF\x24\0\0\0WAVEfmt ", Sound::Wav),
            (b"fLaC\0\0\0\x22", Sound::Flac),
            (webm, Sound::Webm),
            (MP3, Sound::Mp3),
            (b"\xff\xf3\x40\xc4", Sound::Mp3),
            (b"\xff\xe3\x40\xc4", Sound::Mp3),
            (b"\xff\xfd\x90\x04", Sound::Mp3),
            (&tagged(MP3), Sound::Mp3),
            (&tagged(b"\0\0\xff\xfb"), Sound::Mp3),
        ] {
            assert_eq!(Sound::sniff(bytes), Some(sound), "{bytes:?}");
        }
    }

    #[test]
    fn what_openai_does_not_take() {
        let matroska = b"\x1aE\xdf\xa3\x93B\x82\x88matroska";
        let mut with_foot = tagged(&[&b"3DI\x04\0\x10\0\0\x01\x02"[..], ADTS].concat());
        with_foot[5] = 0x10;
        for bytes in [
            &b""[..],
            b"#!AMR\n\x3c",
            b"#!AMR-WB\n",
            ADTS,
            b"\xff\xf9\x50\x80",
            &tagged(ADTS),
            &tagged(b""),
            &with_foot,
            b"ID3\x04\0\0\x7f\x7f\x7f\x7f\xff\xfb",
            b"ID3",
            matroska,
            b"RIFF\x24\0\0\0AVI LIST",
            b"\xff\xd8\xff\xe0\0\x10JFIF",
            b"\x89PNG\r\n\x1a\n",
            b"%PDF-1.7",
            b"{\"error\":{}}",
            b"<html>",
            // Text in UTF-16, and frames with a version, a bit rate or a sampling rate that does not exist.
            b"\xff\xfea\0",
            b"\xff\xeb\x90\x64",
            b"\xff\xfb\xf0\x64",
            b"\xff\xfb\x9c\x64",
            b"\xff\xfb",
        ] {
            assert_eq!(Sound::sniff(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn a_foot_of_a_tag_is_skipped() {
        let mut bytes = tagged(&[&b"3DI\x04\0\x10\0\0\x01\x02"[..], MP3].concat());
        bytes[5] = 0x10;
        assert_eq!(Sound::sniff(&bytes), Some(Sound::Mp3));
    }

    proptest! {
        #[test]
        fn no_input_panics(
            magic in prop::sample::select(vec![&b""[..], b"ID3", b"\xff", b"RIFF", b"\x1aE\xdf\xa3", b"abcdftyp"]),
            bytes in prop::collection::vec(any::<u8>(), 0..80),
        ) {
            let _ = Sound::sniff(&[magic, &bytes].concat());
        }
    }
}
