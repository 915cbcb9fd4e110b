//! The stand-ins over real sockets, as the product meets them.

#[cfg(test)]
mod elevenlabs;
#[cfg(test)]
mod media;
#[cfg(test)]
mod meta;
#[cfg(test)]
mod openai;
#[cfg(test)]
mod page;
#[cfg(test)]
mod support;
#[cfg(test)]
mod transcription;
