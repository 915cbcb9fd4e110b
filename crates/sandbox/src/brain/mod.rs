//! The sandbox's model: Joe, without a network, a key or a cost.
//!
//! [`reply`] looks at the turns it was sent and at nothing else: no clock, no randomness, no state between
//! calls. What Joe seems to remember is what the server sent back to him, so a history that is lost, out of
//! order or somebody else's shows at once in what he says.
//!
//! `hearing` takes a sentence apart, `intent` says what it is about, `english` and `italian` hold Joe's lines.

mod english;
mod hearing;
mod intent;
mod italian;
#[cfg(test)]
mod tests;

use hearing::{Language, Sentence};
use intent::Intent;

/// Who wrote a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The instructions of whoever runs the model. Joe is Joe whatever they say, so they are not read.
    System,
    /// The human being on the phone.
    Person,
    /// Joe himself, in an earlier answer.
    Persona,
}

/// One message of the history a model is sent, oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Who wrote it.
    pub role: Role,
    /// Its words, as they were sent.
    pub text: String,
}

/// Joe's answer to the last thing the person said. The same turns always get the same answer; it is never
/// empty, and it is not the line Joe said just before. Markdown only where a recipe or a list was asked for.
#[must_use]
pub fn reply(turns: &[Turn]) -> String {
    let memory = Memory::of(turns);
    let line = memory.freshest(lines(memory.intent, memory.language));
    memory.fill(line)
}

/// Whether a text is in Italian, as far as Joe can tell; if not, he takes it for English.
pub(crate) fn speaks_italian(text: &str) -> bool {
    Sentence::hear(text).language() == Some(Language::Italian)
}

fn lines(intent: Intent, language: Language) -> &'static [&'static str] {
    let table = match language {
        Language::English => english::LINES,
        Language::Italian => italian::LINES,
    };
    table.iter().find(|(of, _)| *of == intent).map_or(&[], |(_, lines)| *lines)
}

/// What the turns tell Joe: the question, and the parts of the history that his answer may mention.
struct Memory {
    intent: Intent,
    language: Language,
    /// The name the person gave last.
    name: Option<String>,
    /// The word of the person's sentence that Joe takes up when he understood nothing else.
    word: Option<String>,
    /// What the person had said before this message, on one line.
    said: Option<String>,
    /// Joe's earlier answers, oldest first, folded as [`hearing::folded`] does.
    answers: Vec<String>,
}

impl Memory {
    fn of(turns: &[Turn]) -> Self {
        let by = |role| turns.iter().filter(move |turn| turn.role == role).map(|turn| turn.text.as_str());
        let heard: Vec<Sentence> = by(Role::Person).map(Sentence::hear).collect();
        let (last, before) = match heard.split_last() {
            Some((last, before)) => (last, before),
            None => (&Sentence::default(), &[][..]),
        };
        let name = heard.iter().rev().find_map(Sentence::name);
        let word = last.word();
        let said = before.last().map(Sentence::quote).filter(|said| !said.is_empty());
        let mut intent = Intent::of(last);
        intent = match intent {
            Intent::NameKnown if name.is_none() => Intent::NameUnknown,
            Intent::Recall if said.is_none() => Intent::NothingToRecall,
            Intent::Fallback if word.is_none() => Intent::Vague,
            other => other,
        };
        let language = heard.iter().rev().find_map(Sentence::language).unwrap_or(Language::English);
        Self { intent, language, name, word, said, answers: by(Role::Persona).map(hearing::folded).collect() }
    }

    /// The first line Joe has not said yet; when he has said them all, the one he said longest ago.
    fn freshest(&self, lines: &[&'static str]) -> &'static str {
        let last_said = |line: &&str| {
            let mark = fingerprint(line);
            self.answers.iter().rposition(|answer| answer.contains(&mark))
        };
        lines.iter().min_by_key(|line| last_said(line)).copied().unwrap_or("Sit down, eat something.")
    }

    /// `line` with its blanks filled: `{n}` is `, Anna` or nothing; `{name}`, `{word}` and `{said}` are the
    /// values of the fields of these names.
    fn fill(&self, line: &str) -> String {
        let mut filled = String::with_capacity(line.len() + 32);
        let mut rest = line;
        // One pass, so that a brace the person wrote is never taken for a blank.
        while let Some((text, (blank, after))) =
            rest.split_once('{').and_then(|(text, open)| Some((text, open.split_once('}')?)))
        {
            filled.push_str(text);
            match (blank, &self.name) {
                ("n", Some(name)) => filled.extend([", ", name]),
                ("name", Some(name)) => filled.push_str(name),
                ("word", _) => filled.push_str(self.word.as_deref().unwrap_or_default()),
                ("said", _) => filled.push_str(self.said.as_deref().unwrap_or_default()),
                _ => {}
            }
            rest = after;
        }
        filled + rest
    }
}

/// What to look for in an earlier answer to know that it was this line: the first words of its longest stretch
/// without a blank. Not the whole stretch, because a history may hold a long answer in pieces.
fn fingerprint(line: &str) -> String {
    let stretches = line.split('{').enumerate().map(|(place, part)| match (place, part.split_once('}')) {
        (0, _) | (_, None) => part,
        (_, Some((_blank, text))) => text,
    });
    let longest = stretches.max_by_key(|stretch| stretch.len()).unwrap_or_default();
    hearing::folded(longest).split_whitespace().take(8).collect::<Vec<_>>().join(" ")
}
