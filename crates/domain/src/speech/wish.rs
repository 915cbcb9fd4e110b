//! What a person says about how they want to be answered: heard in words, cautiously.

use crate::message::Medium;

/// Whether `words` ask for answers by voice or in writing from now on, in Italian, English or Spanish; the
/// last wish of a message wins.
///
/// Short words ("scrivi", "voice please") count only if the message says nothing else; clear ones ("rispondimi
/// a voce", "don't send voice notes") count beside other sentences. What is quoted, reported ("he said: …"),
/// conditional ("when you …") or meant for others is no wish. A comma or a greeting sets a name apart.
#[must_use]
pub fn wish_in(words: &str) -> Option<Medium> {
    let clauses = clauses(words);
    let is_edge = |at| clauses.len() > 1 && (at == 0 || at + 1 == clauses.len());
    let heard: Vec<Heard> =
        clauses.iter().enumerate().map(|(at, clause)| clause.heard(is_edge(at))).collect();
    let nothing_else = !heard.contains(&Heard::Other);
    heard.iter().rev().find_map(|heard| match heard {
        Heard::Wish(medium) => Some(*medium),
        Heard::Short(medium) => nothing_else.then_some(*medium),
        Heard::Aside | Heard::Other => None,
    })
}

/// What one clause says to [`wish_in`].
#[derive(Clone, Copy, PartialEq, Eq)]
enum Heard {
    /// Clear whatever stands beside it.
    Wish(Medium),
    /// A wish if nothing else is said.
    Short(Medium),
    /// Politeness, a name, "ok".
    Aside,
    Other,
}

/// Words between two pauses: lower case, without accents and apostrophes.
#[derive(Default)]
struct Clause {
    words: Vec<String>,
    is_question: bool,
    /// It depends on another ("when …") or reports what somebody said.
    is_told: bool,
}

// The vocabulary: each list is one text, its phrases apart by ", ", its letters as `folded` leaves them.

/// Said around a wish without changing it.
const ASIDES: &str = "per favore, perfavore, per piacere, per cortesia, ti prego, grazie, grazie mille, \
    se puoi, se vuoi, se possibile, se ti va, quando puoi, ok, va bene, bene, allora, dai, quindi, poi, \
    scusa, anzi, ma, e, invece, piuttosto, meglio, adesso, ora, subito, oggi, sempre, solo, stavolta, \
    questa volta, qui, da ora, da ora in poi, dora in poi, dora in avanti, in futuro, e basta, ancora, \
    please, pls, thanks, thank you, if you can, if possible, if you dont mind, sorry, yes, si, and, but, so, \
    then, instead, rather, now, right now, today, always, only, just, from now on, this time, again, \
    at the moment, here, por favor, gracias, si puedes, pero, y, mejor, ahora, hoy, siempre, \
    a partir de ahora, de ahora en adelante, desde ahora, vale";
/// A name may follow.
const GREETINGS: &str = "ciao, ehi, hey, hi, hello, hola, oye, senti, ascolta, caro, cara, dear, buongiorno";
/// Between a verb and its form.
const BETWEEN: &str = "piu, mai, altri, altre, altro, any, more, another, mas, otro, nunca";
/// May follow a wish; any other word makes it somebody else's ("send a voice note to …", "a voce alta").
const MAY_FOLLOW: &str = "cosi, su, sul, sulla, sui, con, in, per, about, with, as, sobre, en, para";
const REQUESTS: &str = "puoi, potresti, mi, can you, could you, would you, will you, id like you to, puedes, \
    podrias, me";
const DENIALS: &str = "non, niente, nessun, nessuna, basta, basta con, basta coi, smetti di, smettila di, \
    smettila con, senza, mai, no, dont, do not, never, not, stop, i dont, nada de, deja de, sin, nunca";

/// A verb of a wish, by where it makes one. All but the first begin their clause.
struct Verb {
    /// Of oneself ("answer me", "I prefer").
    anywhere: &'static str,
    alone: &'static str,
    /// Alone, after a request ("can you") and after a denial ("don't").
    base: &'static str,
    /// After a request or a denial.
    asked: &'static str,
    denied: &'static str,
}

const ANSWER: Verb = Verb {
    anywhere: "rispondimi, mi rispondi, dimmelo, dimmi, parlami, mi parli, spiegami, raccontami, respondeme, \
        me respondes, contestame, me contestas, dimelo",
    alone: "rispondi, parla, continua, responde, contesta",
    base: "answer, answer me, reply, reply to me, respond, respond to me, tell me, talk to me, speak to me",
    asked: "rispondere, rispondermi, parlare, parlarmi, responder, responderme, contestar, contestarme",
    denied: "answering, answering me, replying, responding, respondas, contestes",
};
const SEND: Verb = Verb {
    anywhere: "mandami, mi mandi, inviami, mi invii, mandame, me mandas, enviame, me envias, preferisco, \
        i prefer, prefiero",
    alone: "manda, invia, fammi, fammi sentire, send, envia",
    base: "send me, record me, leave me, let me hear",
    asked: "mandarmi, inviarmi, farmi, mandarme, enviarme",
    denied: "mandare, inviare, usare, voglio, send, use, record, want, sending, sending me, using, mandes, \
        envies, uses, mandar, enviar, quiero",
};

const VOICE_THINGS: &str = "vocale, vocali, audio, laudio, messaggio vocale, messaggi vocali, nota vocale, \
    note vocali, voce, tua voce, voice, your voice, voice note, voice notes, voice message, voice messages, \
    audios, nota de voz, notas de voz, mensaje de voz, mensajes de voz, voz, tu voz";
const TEXT_THINGS: &str = "messaggio scritto, messaggi scritti, messaggio di testo, text message, \
    mensaje de texto";
/// Before a thing.
const ARTICLES: &str = "un, una, i, il, la, gli, dei, degli, delle, le, a, an, the, el, los, las";
const WITH: &str = "con, with, in, by, via, por, en";
const WITHOUT: &str = "senza, without, sin";
const BY_VOICE: &str = "a voce, in vocale, by voice note, by voice message, por nota de voz";
const IN_TEXT: &str = "per iscritto, per scritto, in forma scritta, scrivendo, con un testo, by text, \
    with text, in text, via text, as text, in writing, por escrito, por texto, con texto, escribiendo";

/// Whole messages, or clauses with nothing but wishes and asides beside them.
const SHORT_VOICE: &str = "voce, in vocale, vocale, vocali, nota vocale, messaggio vocale, voice, by voice, \
    voice note, voice notes, voice message, por voz, con voz, voz, nota de voz";
const SHORT_TEXT: &str = "scrivi, scrivimi, scrivilo, scrivimelo, scrivere, scrivermi, per iscritto, scritto, \
    testo, write, write to me, write me, write it, text, text me, type, type it, in writing, by text, \
    escribe, escribeme, escribelo, escribime, escribir, escribirme, por escrito, texto";
/// At the start of a clause.
const INSTEAD_TEXT: &str = "scrivimi invece, scrivimi piuttosto, text me instead, write to me instead";
/// Of oneself: anywhere in a clause, up to its end.
const STATED_VOICE: &str = "non posso leggere, preferisco sentirti, i cant read, no puedo leer";
const STATED_TEXT: &str = "non posso ascoltarti, preferisco leggere, preferisco che scrivi, \
    preferisco che mi scrivi, i prefer text, i prefer to read, i prefer reading, id rather read, \
    prefiero leer, prefiero texto, prefiero que escribas, prefiero que me escribas";
/// The same, before the things of the voice or nothing.
const CANNOT_HEAR: &str = "non posso ascoltare, i cant listen, i cant listen to, no puedo escuchar";

/// Opens a clause that depends on another or describes something: "una voce che non posso ascoltare".
const DEPENDENT: &str = "perche, poiche, siccome, quando, mentre, se, come, cosa, chi, che, cui, dove, \
    because, when, while, if, whether, why, how, what, who, that, which, porque, cuando, mientras, como, \
    quien, que, si me, si te, invece di, invece che, instead of, rather than, en vez de, en lugar de";
/// What follows in the sentence is somebody's words.
const REPORTS: &str = "dice, dicono, disse, detto, ha scritto, hai scritto, chiede, chiesto, traduci, \
    significa, vuol dire, said, says, told, tells, asked, asks, wrote, translate, means, mean, dijo, dicho, \
    pidio, escribio";
/// Ends what depends on another, as a comma does.
const TURNS: &str = "ma, anzi, but, pero";

/// Words of the longest phrase of `list` with which `words` begin.
fn opening(words: &[String], list: &str) -> Option<usize> {
    let begins = |phrase: &str| {
        let count = phrase.split(' ').count();
        (words.len() >= count && phrase.split(' ').zip(words).all(|(a, b)| a == b)).then_some(count)
    };
    list.split(", ").filter_map(begins).max()
}

/// What is left of `words` behind any phrases of `lists`.
fn past<'w>(mut words: &'w [String], lists: &[&str]) -> &'w [String] {
    while let Some(count) = lists.iter().filter_map(|list| opening(words, list)).max() {
        words = &words[count..];
    }
    words
}

/// A phrase of `list` with nothing but asides behind it.
fn is_whole(words: &[String], list: &str) -> bool {
    let mut counts = list.split(", ").filter_map(|phrase| opening(words, phrase));
    counts.any(|count| past(&words[count..], &[ASIDES]).is_empty())
}

fn either(words: &[String], voice: &str, text: &str) -> Option<Medium> {
    let medium = if is_whole(words, voice) { Medium::Voice } else { Medium::Text };
    (medium == Medium::Voice || is_whole(words, text)).then_some(medium)
}

fn short(words: &[String]) -> Option<Medium> {
    either(past(words, &[ARTICLES]), SHORT_VOICE, SHORT_TEXT)
}

fn stated(words: &[String]) -> Option<Medium> {
    let behind = opening(words, CANNOT_HEAR).map(|count| &words[count..]);
    let things = behind.map(|words| past(words, &[ARTICLES, VOICE_THINGS, ASIDES]));
    let deaf = things.is_some_and(<[String]>::is_empty).then_some(Medium::Text);
    deaf.or_else(|| either(words, STATED_VOICE, STATED_TEXT))
}

/// A phrase of either list, if what follows lets it be a wish.
fn ending(words: &[String], voice: &str, text: &str) -> Option<Medium> {
    let ends = |list: &str| {
        let behind = &words[opening(words, list)?..];
        (behind.is_empty() || past(behind, &[ASIDES, MAY_FOLLOW]).len() < behind.len()).then_some(())
    };
    ends(voice).map(|()| Medium::Voice).or_else(|| ends(text).map(|()| Medium::Text))
}

fn thing(words: &[String]) -> Option<Medium> {
    ending(past(words, &[ASIDES, BETWEEN, ARTICLES]), VOICE_THINGS, TEXT_THINGS)
}

/// "By voice", "with a voice note", "without voice notes".
fn manner(words: &[String]) -> Option<Medium> {
    let words = past(words, &[ASIDES, BETWEEN]);
    let with = || thing(&words[opening(words, WITH)?..]);
    let without = || thing(&words[opening(words, WITHOUT)?..]).map(|_| Medium::Text);
    ending(words, BY_VOICE, IN_TEXT).or_else(with).or_else(without)
}

/// To answer in a manner or to send a thing: `words` begin with a phrase that `when` picks.
fn by_verb<const N: usize>(words: &[String], when: fn(&Verb) -> [&'static str; N]) -> Option<Medium> {
    let rest = |verb| Some(&words[when(verb).iter().filter_map(|list| opening(words, list)).max()?..]);
    rest(&ANSWER).and_then(manner).or_else(|| rest(&SEND).and_then(thing))
}

/// A clause behind its opening: asides, a greeting, "can you", "don't".
struct Lead<'w> {
    rest: &'w [String],
    is_greeting: bool,
    is_asked: bool,
    is_denied: bool,
}

impl<'w> Lead<'w> {
    fn of(words: &'w [String]) -> Self {
        let mut lead = Self { rest: words, is_greeting: false, is_asked: false, is_denied: false };
        loop {
            let counts = [ASIDES, GREETINGS, REQUESTS, DENIALS].map(|list| opening(lead.rest, list));
            let Some(longest) = counts.iter().flatten().max() else { return lead };
            let [_, greets, asks, denies] = counts.map(|count| count == Some(*longest));
            lead.is_greeting = greets;
            lead.is_asked |= asks;
            lead.is_denied |= denies;
            lead.rest = &lead.rest[*longest..];
        }
    }

    fn wish(&self, is_question: bool) -> Option<Heard> {
        let clear = if self.is_denied {
            let refused = by_verb(self.rest, |verb| [verb.denied, verb.asked, verb.base]);
            let refused = refused.or_else(|| either(past(self.rest, &[BETWEEN, ARTICLES]), VOICE_THINGS, ""));
            // "Don't write" may ask for silence, and "won't you …?" is a request: neither is clear.
            return (refused == Some(Medium::Voice) && !is_question).then_some(Heard::Wish(Medium::Text));
        } else if self.is_asked {
            by_verb(self.rest, |verb| [verb.asked, verb.base])
        } else if is_question {
            // "Rispondi a voce?" asks what is done, not for it to be done.
            return None;
        } else {
            let instead = is_whole(self.rest, INSTEAD_TEXT).then_some(Medium::Text);
            instead.or_else(|| by_verb(self.rest, |verb| [verb.alone, verb.base]))
        };
        clear.map(Heard::Wish).or_else(|| short(self.rest).map(Heard::Short))
    }
}

impl Clause {
    /// `at_edge`: first or last of several clauses, where a single word may be a name.
    fn heard(&self, at_edge: bool) -> Heard {
        if self.is_told {
            return Heard::Other;
        }
        let lead = Lead::of(&self.words);
        let named = lead.rest.get(1..).filter(|_| lead.is_greeting).map(Lead::of);
        let at_start = lead.wish(self.is_question).or_else(|| named?.wish(self.is_question));
        if let Some(heard) = at_start.or_else(|| self.wish_anywhere().map(Heard::Wish)) {
            return heard;
        }
        let is_name = at_edge && lead.rest.len() == 1 && !lead.is_denied && short(lead.rest).is_none();
        if lead.rest.is_empty() || is_name { Heard::Aside } else { Heard::Other }
    }

    /// The last wish whose words are clear by themselves.
    fn wish_anywhere(&self) -> Option<Medium> {
        (0..self.words.len()).rev().find_map(|at| {
            let is_denied = at > 0 && opening(&self.words[at - 1..at], DENIALS).is_some();
            let words = self.words.get(at..).filter(|_| !is_denied)?;
            let stated = stated(words).filter(|_| !self.is_question);
            stated.or_else(|| by_verb(words, |verb| [verb.anywhere]))
        })
    }
}

/// Cuts a message at its punctuation, and before what depends or turns. Quoted words are talked about, not
/// meant: a word without meaning takes their place.
fn clauses(message: &str) -> Vec<Clause> {
    let unquoted = message.split(['"', '“', '”', '„', '«', '»']).step_by(2).collect::<Vec<_>>().join(" x ");
    let (mut all, mut is_reported) = (Vec::<Clause>::new(), false);
    let ends = |c: char| ".!?…\n".contains(c);
    for piece in unquoted.split_inclusive(|c| ends(c) || ",;:()–—".contains(c)) {
        let of_word = |c: char| c.is_alphanumeric() || "'’\u{300}\u{301}\u{303}\u{308}".contains(c);
        let words: Vec<String> = piece.split(|c| !of_word(c)).map(folded).filter(|w| !w.is_empty()).collect();
        is_reported |= (0..words.len()).any(|at| opening(&words[at..], REPORTS).is_some());
        all.extend(cut(words).into_iter().map(|c| Clause { is_told: c.is_told || is_reported, ..c }));
        if let Some(last) = all.last_mut() {
            last.is_question |= piece.ends_with('?');
        }
        // What follows a colon is mostly what somebody says.
        is_reported = (is_reported || piece.ends_with(':')) && !piece.ends_with(ends);
    }
    all
}

fn cut(words: Vec<String>) -> Vec<Clause> {
    let mut all = vec![Clause::default()];
    let mut at = 0;
    while at < words.len() {
        let rest = &words[at..];
        let length = |list: &str| opening(rest, list).unwrap_or(0);
        let (turn, dependent, aside) =
            (length(TURNS), length(DEPENDENT), length(ASIDES).max(length(STATED_TEXT)));
        // "Se puoi" is polite, "se" alone makes a condition.
        let depends = dependent > aside;
        if turn > 0 || depends {
            all.push(Clause { is_told: depends, ..Clause::default() });
        }
        let taken = turn.max(dependent).max(aside).max(1);
        if let Some(open) = all.last_mut() {
            open.words.extend_from_slice(&rest[..taken]);
        }
        at += taken;
    }
    all.retain(|clause| !clause.words.is_empty());
    all
}

/// Lower case, without accents and apostrophes.
fn folded(word: &str) -> String {
    let families = ["aàáâäã", "eèéêë", "iìíîï", "oòóôöõ", "uùúûü", "nñ"];
    let bare = |c: char| families.iter().find(|all| all.contains(c)).and_then(|all| all.chars().next());
    word.to_lowercase().chars().filter(|c| c.is_alphanumeric()).map(|c| bare(c).unwrap_or(c)).collect()
}

#[cfg(test)]
mod tests;
