//! Has anybody spoken in this file? It is decoded and its level measured: a silent note must not be transcribed, for
//! a model invents words for it.

use opus_pure::OpusDecoder;

use super::page::Page;
use super::{NotVoice, Stream, head, read};

/// Samples a second of what is decoded: the rate that Opus itself reckons in.
const RATE: usize = 48_000;

/// A window is looked at every 10 ms, so that no sound is halved by where the windows happen to lie.
const STEP: usize = RATE / 100;

/// Steps of a window: 100 ms, shorter than any word.
const STEPS: usize = 10;

/// The mean square of −50 dBFS in 16-bit samples, 0 dBFS being as loud as samples can be. Speech into a telephone
/// lies some 30 dB above it, the noise of a quiet room below.
const QUIET: u64 = 10_737;

/// Ten minutes, in samples, are decoded at most, which bounds the time that a note of many hours would take, at a few
/// bytes a second. What comes after so long a silence may be words, so such a note is not silent.
const SAMPLES_MAX: usize = 600 * RATE;

/// The most that one packet holds, in samples: 120 ms.
const PACKET_SAMPLES_MAX: usize = RATE * 120 / 1000;

/// An encoder makes 1 to 3 bytes of 20 ms of pure silence, and 8 at most of 60 ms; in its mode for speech at a low
/// rate it may make more. The quietest noise takes 11 or more in either.
const SILENT_PACKET_BYTES_MAX: usize = 8;

/// Whether a file is Ogg Opus, of one channel or two, and no 100 ms of it are louder than −50 dBFS (RMS).
///
/// It ends at the first window that is louder, so speech costs little. Each second of silence costs 2 to 5 ms, up to
/// ten minutes of it; beyond them nothing counts as silent. Call it where that delays nobody, and take a panic for
/// `false`: none is known, but the decoder is young, and the bytes are anybody's.
///
/// What cannot be decoded is silent if its packets are all as small as those of silence.
#[must_use]
pub fn is_silent(bytes: &[u8]) -> bool {
    match listen(bytes) {
        Ok(is_silent) => is_silent,
        Err(Stop::Loud) => false,
        Err(Stop::Undecodable) => is_silent_by_packets(bytes),
    }
}

/// Why nobody listens on.
enum Stop {
    /// There is sound, or there may be.
    Loud,
    /// It is not Opus, damaged, or of a form that the decoder does not know.
    Undecodable,
}

impl From<NotVoice> for Stop {
    fn from(_: NotVoice) -> Self {
        Self::Undecodable
    }
}

/// To the end of the file, if nothing is loud: whether there was anything.
fn listen(bytes: &[u8]) -> Result<bool, Stop> {
    let (first, _) = Page::read(bytes)?;
    let mut ear = Ear::new(&head(&first)?)?;
    read(bytes, |packet| ear.hear(packet))?;
    Ok(ear.samples > 0)
}

struct Ear {
    decoder: OpusDecoder,
    /// Of one packet, the channels in turn.
    pcm: Vec<i16>,
    level: Level,
    /// How many have been decoded of each channel.
    samples: usize,
}

impl Ear {
    fn new(stream: &Stream) -> Result<Self, Stop> {
        if !stream.is_single {
            return Err(Stop::Undecodable);
        }
        let channels = usize::from(stream.channels);
        let mut decoder = OpusDecoder::new(RATE as i32, channels).map_err(|_| Stop::Undecodable)?;
        decoder.gain_q8 = i32::from(stream.gain);
        Ok(Self {
            decoder,
            pcm: vec![0; PACKET_SAMPLES_MAX * channels],
            level: Level { step: STEP * channels, ..Level::default() },
            samples: 0,
        })
    }

    fn hear(&mut self, packet: &[u8]) -> Result<(), Stop> {
        let decoded = self.decoder.decode_s16(packet, PACKET_SAMPLES_MAX, &mut self.pcm);
        let samples = decoded.map_err(|_| Stop::Undecodable)?;
        self.samples += samples;
        let is_loud = self.level.rises(&self.pcm[..samples * self.decoder.channels()]);
        if is_loud || self.samples > SAMPLES_MAX { Err(Stop::Loud) } else { Ok(()) }
    }
}

/// How loud the last window is: energies, which are sums of squares of samples, of its steps.
#[derive(Default)]
struct Level {
    /// Samples of a step, in all channels.
    step: usize,
    steps: [u64; STEPS],
    /// Of the step that is not yet whole.
    energy: u64,
    samples: usize,
}

impl Level {
    /// Whether with these samples any window rises above −50 dBFS.
    fn rises(&mut self, samples: &[i16]) -> bool {
        samples.iter().any(|sample| {
            self.energy += u64::from(sample.unsigned_abs()).pow(2);
            self.samples += 1;
            self.samples == self.step && self.end_step()
        })
    }

    fn end_step(&mut self) -> bool {
        self.steps.rotate_left(1);
        self.steps[STEPS - 1] = std::mem::take(&mut self.energy);
        self.samples = 0;
        self.steps.iter().sum::<u64>() > QUIET * (self.step * STEPS) as u64
    }
}

/// Whether every packet is as small as those of silence: a microphone that was off, or a telephone that sends nothing
/// while nobody speaks. `false` says little: silence may be larger than that.
fn is_silent_by_packets(bytes: &[u8]) -> bool {
    let mut longest = None;
    let read = read(bytes, |packet| {
        longest = longest.max(Some(packet.len()));
        Ok::<_, NotVoice>(())
    });
    read.is_ok() && longest.is_some_and(|longest| longest <= SILENT_PACKET_BYTES_MAX)
}

#[cfg(test)]
mod tests;
