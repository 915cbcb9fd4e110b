//! The voice's two rules: what of an answer can be said aloud ([`speakable`]), and whether a person asks to
//! be answered by voice or in writing from now on ([`wish_in`]).
//!
//! Both are cautious. What a voice could only spell out is left unsaid, and words that merely look like a
//! wish are none: a wish that was missed is repeated, one that was invented annoys in every answer.

mod wish;

use crate::reply::ModelAnswer;
pub use wish::wish_in;

/// Most passes over one answer. Real answers settle in two or three; one that does not (marks that hide marks
/// that hide marks) is made to be looked at, not to be listened to.
const PASSES_MAX: usize = 16;

/// The words of `answer` as they are spoken: one line without marks, addresses, tables, code and emoji, at
/// most twice as long as the answer. List items and headings end in a stop. `None` if nothing is left to say.
///
/// Speaking what was made speakable changes nothing: a retry or a restart says the same words.
#[must_use]
pub fn speakable(answer: &ModelAnswer) -> Option<String> {
    let mut text = answer.words().to_owned();
    for _ in 0..PASSES_MAX {
        // Taking one mark away may join two halves of another, so the passes go on until nothing changes.
        let spoken = joined(&sentences(&text));
        if spoken == text {
            return text.contains(char::is_alphanumeric).then_some(text);
        }
        text = spoken;
    }
    None
}

/// A line of the answer, on its way to the voice.
enum Line {
    /// The flag: it is a heading or an item, so a stop follows it whatever comes next.
    Said(String, bool),
    Blank,
    /// A table or code was here.
    LeftOut,
}

fn sentences(text: &str) -> Vec<Line> {
    let mut said = Vec::new();
    let (mut fence, mut in_table) = (None, false);
    let mut lines = text.lines().map(str::trim).peekable();
    while let Some(line) = lines.next() {
        let mark = ["```", "~~~"].into_iter().find(|mark| line.starts_with(mark));
        if fence.is_some() {
            // As in Markdown, a fence that is never closed runs to the end.
            fence = fence.filter(|_| mark != fence || !is_rule(line));
            continue;
        }
        fence = mark.filter(|_| !line.trim_start_matches(['`', '~']).contains(['`', '~']));
        let is_note = line.contains("]: ") && (line.starts_with("[^") || line.contains("]: http"));
        let has_pipe = line.contains('|');
        let heads_table = lines.peek().is_some_and(|next| is_table_rule(next));
        in_table = has_pipe && (in_table || heads_table || is_table_rule(line));
        if fence.is_some() || in_table || (line.len() > 1 && line.starts_with('|') && line.ends_with('|')) {
            said.push(Line::LeftOut);
        } else if is_rule(line) || is_note {
            said.push(Line::Blank);
        } else {
            said.push(sentence(line));
        }
    }
    said
}

/// A line of marks alone: a rule across the page, an underline of a heading, a fence.
fn is_rule(line: &str) -> bool {
    line.chars().all(|c| "-*_=`~ ".contains(c))
}

fn is_table_rule(line: &str) -> bool {
    line.contains('-') && line.contains('|') && line.chars().all(|c| "|:- ".contains(c))
}

fn sentence(line: &str) -> Line {
    let (body, ends) = without_lead(line);
    let mut words = tidy(&unmarked(&without_addresses(&labels(body))));
    if words.is_empty() {
        return Line::Blank;
    }
    // What the colon pointed at (an address, a picture) is gone.
    if !body.ends_with(':') && words.trim_end_matches('.').ends_with(':') {
        words.truncate(words.trim_end_matches(['.', ':']).len());
        close(&mut words);
    }
    Line::Said(words, ends)
}

fn joined(lines: &[Line]) -> String {
    let (mut out, mut stop_due) = (String::new(), false);
    for line in lines {
        if let Line::Said(words, ends) = line {
            // Models do not wrap lines: one that does not go on in lower case starts a new sentence.
            if stop_due || !words.starts_with(char::is_lowercase) {
                close(&mut out);
            }
            out.push_str(if out.is_empty() { "" } else { " " });
            out.push_str(words);
            stop_due = *ends;
        } else {
            let end = if matches!(line, Line::LeftOut) { out.trim_end_matches(':').len() } else { out.len() };
            out.truncate(end);
            stop_due = true;
        }
    }
    if matches!(lines.last(), Some(Line::Said(_, true) | Line::LeftOut)) {
        close(&mut out);
    }
    out
}

/// Ends a sentence that has no end yet.
fn close(text: &mut String) {
    let last = text.trim_end_matches(['"', '\'', '”', '’', '»', ')', ']']).chars().next_back();
    if last.is_some_and(|c| !".,;:!?…。！？".contains(c)) {
        text.push('.');
    }
}

/// The line without the quote, heading and list marks at its start, and whether it is a heading or an item.
fn without_lead(line: &str) -> (&str, bool) {
    let (mut rest, mut ends) = (line.trim(), false);
    loop {
        let heading = rest.trim_start_matches('#');
        if let Some(quoted) = rest.strip_prefix('>') {
            rest = quoted.trim_start();
        } else if heading.len() < rest.len() && heading.starts_with(' ') {
            (rest, ends) = (heading.trim_end_matches('#').trim(), true);
        } else if let Some(item) = item_of(rest) {
            (rest, ends) = (item.trim_start(), true);
        } else {
            return (rest, ends);
        }
    }
}

/// What stands behind `- `, `• `, `1. `, `[x] `. Four digits and a stop are a year, not a number of a list.
fn item_of(line: &str) -> Option<&str> {
    let (mark, item) = line.strip_prefix("[ ] ").map(|item| ("-", item)).or_else(|| line.split_once(' '))?;
    let number = mark.strip_suffix(['.', ')']).unwrap_or("");
    let numbered = (1..=3).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit());
    (numbered || ["-", "*", "+", "•", "–", "—", "◦", "‣", "[x]", "[X]"].contains(&mark)).then_some(item)
}

/// `[label](address "title")`, `![label](address)` and `[label][reference]` become the label; `[^1]` goes.
fn labels(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find('[') {
        let (before, link) = rest.split_at(open);
        let Some((label, after)) = link[1..].split_once(']') else { break };
        let target = match after.chars().next() {
            Some('(') => after[1..].split_once(')').filter(|(to, _)| !to.contains(' ') || to.contains(" \"")),
            Some('[') => after[1..].split_once(']'),
            _ => None,
        };
        if target.is_some() || label.starts_with('^') {
            out.push_str(before.strip_suffix('!').unwrap_or(before));
            out.push_str(if label.starts_with('^') { "" } else { label });
            rest = target.map_or(after, |(_, after)| after);
        } else {
            out.push_str(before);
            out.push('[');
            rest = &link[1..];
        }
    }
    out.push_str(rest);
    out
}

/// Without web addresses and tags (`<br/>`): the sentence around them stays whole, "3 < 4" and "<3" too. The
/// bare word "http" is spelt, as it is said.
fn without_addresses(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let starts = |scheme: &str| rest.get(..scheme.len()).is_some_and(|s| s.eq_ignore_ascii_case(scheme));
        let is_site = !out.ends_with(char::is_alphanumeric) && (starts("www.") || starts("ftp://"));
        if starts("http://") || starts("https://") || is_site {
            rest = &rest[address_len(rest)..];
        } else if let Some(after) = behind_tag(rest) {
            out.push(' ');
            rest = after;
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    out.replace("http", "HTTP")
}

fn behind_tag(text: &str) -> Option<&str> {
    let (tag, after) = text.strip_prefix('<')?.split_once('>')?;
    let named = tag.trim_start_matches('/').starts_with(|c: char| c.is_ascii_alphabetic());
    (named && !tag.contains('<')).then_some(after)
}

fn address_len(text: &str) -> usize {
    let end = text.find(|c: char| c.is_whitespace() || "<>\"”»".contains(c)).unwrap_or(text.len());
    let word = &text[..end];
    // A closing bracket belongs to the sentence unless the address opened it.
    let word = if word.contains('(') { word } else { word.split(')').next().unwrap_or(word) };
    let address = word.trim_end_matches(['.', ',', ';', ':', '!', '?', '\'', ']']);
    // Nothing but a scheme is left: take all of it, or it would stay for ever.
    if address.ends_with("//") || address.len() < 4 { word.len() } else { address.len() }
}

/// Without the marks that a voice would spell out and without pictures.
fn unmarked(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    for (at, &c) in chars.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| chars.get(at)).copied().unwrap_or(' ');
        let after = chars.get(at + 1).copied().unwrap_or(' ');
        let keycap = after == '\u{20E3}' || (after == '\u{FE0F}' && chars.get(at + 2) == Some(&'\u{20E3}'));
        match c {
            _ if keycap && (c.is_ascii_digit() || c == '#' || c == '*') => out.push(' '),
            // "2*3" and "2 * 3", but not the emphasis of "1 *2* 3".
            '*' if before.is_ascii_digit() && after.is_ascii_digit() => out.push('×'),
            '*' if before == ' ' && after == ' ' && out.trim_end().ends_with(char::is_numeric) => {
                out.push('×')
            }
            '_' if before.is_alphanumeric() && after.is_alphanumeric() => out.push(' '),
            '*' | '_' | '~' | '`' | '\\' => {}
            '#' if !before.is_alphanumeric() => {}
            '|' | '•' => out.push_str(", "),
            _ if is_joiner(c) => {}
            _ if is_picture(c) || c.is_control() => out.push(' '),
            _ => out.push(c),
        }
    }
    out
}

/// Invisible: joins pictures, chooses their look, or steers the direction of the line.
fn is_joiner(c: char) -> bool {
    let ranges = [0x200D..=0x200F, 0x202A..=0x202E, 0x2060..=0x206F, 0xFE00..=0xFE0F, 0xE0000..=0xE01EF];
    [0xAD, 0x200B, 0x20E3, 0xFEFF].contains(&u32::from(c)) || ranges.iter().any(|r| r.contains(&u32::from(c)))
}

/// Emoji, flags, arrows, boxes, shapes, ™: whole Unicode blocks, so that the emoji of tomorrow are in.
fn is_picture(c: char) -> bool {
    let arrows = [0x2190..=0x21FF, 0x2900..=0x297F, 0x2B00..=0x2BFF];
    let signs = [0x2300..=0x23FF, 0x2460..=0x27BF, 0xE000..=0xF8FF, 0x1F000..=0x1FBFF];
    "©®™ℹ‼⁉〰〽㊗㊙".contains(c) || arrows.iter().chain(&signs).any(|range| range.contains(&u32::from(c)))
}

/// Folds blanks, and mends what was left around a gap: "see ()." becomes "see."
fn tidy(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut blank_due = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c.is_whitespace() {
            blank_due = true;
            continue;
        }
        if ["()", "[]", "<>"].iter().any(|pair| pair.ends_with(c) && out.ends_with(&pair[..1])) {
            out.pop();
            blank_due |= out.ends_with(' ');
            out.truncate(out.trim_end().len());
            continue;
        }
        let is_stop = ".,;:!?".contains(c);
        if is_stop && (out.is_empty() || (c == ',' && out.ends_with([',', '.', ':', ';']))) {
            continue;
        }
        let next = chars.peek().copied().unwrap_or(' ');
        let hugs = is_stop && (c == ',' || next.is_whitespace() || ".,;:!?)]".contains(next));
        if blank_due && !out.is_empty() && !hugs {
            out.push(' ');
        }
        blank_due = false;
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests;
