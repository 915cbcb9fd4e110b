//! What may go out. [`CustomerReply`] is the only type that can be sent to a person, and there are just two
//! ways to make one: from a text of the persona and from an answer of the model. An error has no way in.

use serde::Deserialize;

/// Longest text body that WhatsApp takes, in characters.
pub const PART_CHARS_MAX: usize = 4096;

/// A text of the persona, from its file. Not empty.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct PersonaText(String);

impl TryFrom<String> for PersonaText {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let text = text.trim();
        if text.is_empty() { Err("a text of the persona is empty") } else { Ok(Self(text.to_owned())) }
    }
}

/// A whole answer of the model. Not empty.
#[derive(Clone, PartialEq, Eq)]
pub struct ModelAnswer(String);

impl ModelAnswer {
    /// `None` if the model said nothing.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    /// The words as the model wrote them, for the history.
    #[must_use]
    pub fn words(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for ModelAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ModelAnswer({} characters)", self.0.chars().count())
    }
}

/// What a person will receive: one part or several, each under [`PART_CHARS_MAX`] characters.
#[derive(Clone, PartialEq, Eq)]
pub struct CustomerReply {
    parts: Vec<String>,
}

impl std::fmt::Debug for CustomerReply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CustomerReply({} parts)", self.parts.len())
    }
}

impl From<&PersonaText> for CustomerReply {
    fn from(text: &PersonaText) -> Self {
        Self { parts: split(&text.0) }
    }
}

impl From<&ModelAnswer> for CustomerReply {
    fn from(answer: &ModelAnswer) -> Self {
        Self { parts: split(&whatsapp_marks(&answer.0)) }
    }
}

impl CustomerReply {
    /// The parts in the order in which they are sent.
    #[must_use]
    pub fn parts(&self) -> &[String] {
        &self.parts
    }

    /// Takes up a reply that the ledger recorded before a restart, so that its parts are split only once.
    #[must_use]
    pub fn recorded(parts: Vec<String>) -> Self {
        Self { parts }
    }
}

/// Splits at paragraphs, then at lines, then at words, and only then within a word.
fn split(text: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let mut rest = text.trim();
    while let Some(end) = end_of_part(rest) {
        let (part, tail) = rest.split_at(end);
        parts.push(part.trim_end().to_owned());
        rest = tail.trim_start();
    }
    if !rest.is_empty() {
        parts.push(rest.to_owned());
    }
    parts
}

/// The byte at which the next part ends; `None` if all of `text` fits.
fn end_of_part(text: &str) -> Option<usize> {
    let (limit, _) = text.char_indices().nth(PART_CHARS_MAX)?;
    let head = text.get(..limit).unwrap_or(text);
    // A cut in the first half would make many small parts; the next coarser boundary is the better one.
    let boundary = ["\n\n", "\n", " "].iter().find_map(|mark| head.rfind(mark).filter(|at| *at >= limit / 2));
    Some(boundary.unwrap_or(limit))
}

/// Turns the Markdown that models write into the marks that WhatsApp shows.
///
/// `**bold**` → `*bold*`, `~~strike~~` → `~strike~`, `# Heading` → `*Heading*`, `* item` → `- item`,
/// `[text](url)` → `text (url)`. Code between backticks is left as it is.
fn whatsapp_marks(text: &str) -> String {
    let mut in_code = false;
    let lines: Vec<String> = text
        .lines()
        .map(|line| {
            if line.trim_start().starts_with("```") {
                in_code = !in_code;
                return line.trim_start().chars().take_while(|c| *c == '`').collect();
            }
            if in_code { line.to_owned() } else { marked_line(line) }
        })
        .collect();
    lines.join("\n")
}

fn marked_line(line: &str) -> String {
    let indent: String = line.chars().take_while(|c| c.is_whitespace()).collect();
    let body = line.trim_start();
    let heading = body.trim_start_matches('#');
    if heading.len() < body.len() && heading.starts_with(' ') {
        let title = inline(heading.trim()).replace('*', "");
        return format!("*{title}*");
    }
    if let Some(item) = body.strip_prefix("* ").or_else(|| body.strip_prefix("+ ")) {
        return format!("{indent}- {}", inline(item));
    }
    format!("{indent}{}", inline(body))
}

fn inline(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (at, piece) in text.split('`').enumerate() {
        if at > 0 {
            out.push('`');
        }
        // Odd pieces stand between backticks.
        if at % 2 == 1 {
            out.push_str(piece);
        } else {
            let piece = piece.replace("***", "*").replace("**", "*").replace("__", "*").replace("~~", "~");
            out.push_str(&links(&piece));
        }
    }
    out
}

fn links(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, label, url, after)) = first_link(rest) {
        out.push_str(before.strip_suffix('!').unwrap_or(before));
        if label == url || label.is_empty() {
            out.push_str(url);
        } else {
            out.push_str(&format!("{label} ({url})"));
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

fn first_link(text: &str) -> Option<(&str, &str, &str, &str)> {
    let middle = text.find("](")?;
    let (head, tail) = text.split_at(middle);
    let open = head.rfind('[')?;
    let (url, after) = tail.get(2..)?.split_once(')')?;
    (url.starts_with("http") && !url.contains(char::is_whitespace))
        .then(|| (&text[..open], &head[open + 1..], url, after))
}

#[cfg(test)]
mod tests;
