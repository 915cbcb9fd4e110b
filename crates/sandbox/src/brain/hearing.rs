//! Taking a sentence apart: its words without accents and capitals, its language, the name in it, and the word
//! worth taking up.

/// The languages Joe speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    English,
    Italian,
}

/// A person's message, as a row of words. `words[i]` is `written[i]` folded.
#[derive(Default)]
pub(super) struct Sentence<'a> {
    text: &'a str,
    written: Vec<&'a str>,
    words: Vec<String>,
}

/// `text` as its lower-case words without accents or marks, one space between them.
pub(super) fn folded(text: &str) -> String {
    Sentence::hear(text).words.join(" ")
}

impl<'a> Sentence<'a> {
    pub(super) fn hear(text: &'a str) -> Self {
        let written: Vec<&str> =
            text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
        let words = written.iter().map(|word| fold(word)).collect();
        Self { text, written, words }
    }

    /// How many words there are.
    pub(super) fn len(&self) -> usize {
        self.words.len()
    }

    /// Whether the words of `phrase` stand side by side in the sentence. A word that ends in `*` stands for
    /// every word that begins so.
    pub(super) fn has(&self, phrase: &str) -> bool {
        self.after(phrase).is_some()
    }

    /// The place of the word after `phrase`.
    fn after(&self, phrase: &str) -> Option<usize> {
        let wanted: Vec<&str> = phrase.split(' ').collect();
        let fits = |(word, wanted): (&String, &&str)| match wanted.strip_suffix('*') {
            Some(start) => word.starts_with(start),
            None => word == wanted,
        };
        let at = self.words.windows(wanted.len()).position(|some| some.iter().zip(&wanted).all(fits))?;
        Some(at + wanted.len())
    }

    /// The language of the sentence; `None` if its words say nothing about it.
    pub(super) fn language(&self) -> Option<Language> {
        if let Some(asked) = self.language_asked_for() {
            return Some(asked);
        }
        let count = |list| self.words.iter().filter(|word| in_list(list, word)).count();
        let accents = self.text.chars().any(|letter| "àèéìòù".contains(letter));
        match (count(ENGLISH), count(ITALIAN) + usize::from(accents)) {
            (english, italian) if english > italian => Some(Language::English),
            (english, italian) if italian > english => Some(Language::Italian),
            // Three words or more that all end in a vowel are hardly ever English.
            _ if self.len() >= 3 && self.words.iter().all(|word| word.ends_with(['a', 'e', 'i', 'o'])) => {
                Some(Language::Italian)
            }
            _ => None,
        }
    }

    /// The language the person wants to go on in, if the sentence asks for one.
    pub(super) fn language_asked_for(&self) -> Option<Language> {
        let asks = |phrases: &str| phrases.split(", ").any(|phrase| self.has(phrase));
        if asks(ASKS_FOR_ITALIAN) {
            Some(Language::Italian)
        } else if asks(ASKS_FOR_ENGLISH) {
            Some(Language::English)
        } else {
            None
        }
    }

    /// The name by which the person introduces themself in this sentence.
    pub(super) fn name(&self) -> Option<String> {
        if self.has("come mi chiamo") {
            return None;
        }
        let follows = |phrase: &&str| self.after(phrase).and_then(|at| self.written.get(at)).copied();
        let plain = |word: &&str| {
            let length = word.chars().count();
            (2..=30).contains(&length)
                && word.chars().all(char::is_alphabetic)
                && ![ENGLISH, ITALIAN, COMMON, NOT_NAMES].iter().any(|list| in_list(list, &fold(word)))
        };
        // "I am tired" has the shape of "I am Anna": there only the capital tells a name from a state.
        let proper = |word: &&str| {
            let mut letters = word.chars();
            letters.next().is_some_and(char::is_uppercase) && letters.all(char::is_lowercase)
        };
        let told = INTRODUCTIONS.iter().filter_map(follows).find(plain);
        told.or_else(|| HINTS.iter().filter_map(follows).find(|word| plain(word) && proper(word)))
            .map(capitalised)
    }

    /// The longest word that carries meaning, the last of several; `None` in "I would do that".
    pub(super) fn word(&self) -> Option<String> {
        let carries = |word: &str| {
            (4..=24).contains(&word.chars().count())
                && ![ENGLISH, ITALIAN, COMMON].iter().any(|list| in_list(list, word))
        };
        let told = self.written.iter().zip(&self.words).filter(|(_, word)| carries(word));
        told.max_by_key(|(_, word)| word.chars().count()).map(|(written, _)| (*written).to_owned())
    }

    /// The sentence on one line, cut at 200 characters: enough to recognise it, short enough for one breath.
    pub(super) fn quote(&self) -> String {
        let line = self.text.split_whitespace().collect::<Vec<_>>().join(" ");
        match line.char_indices().nth(200) {
            Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default().trim_end()),
            None => line,
        }
    }
}

fn fold(word: &str) -> String {
    let plain = |letter| match letter {
        'à' | 'á' | 'â' | 'ä' => 'a',
        'è' | 'é' | 'ê' | 'ë' => 'e',
        'ì' | 'í' | 'î' | 'ï' => 'i',
        'ò' | 'ó' | 'ô' | 'ö' => 'o',
        'ù' | 'ú' | 'û' | 'ü' => 'u',
        other => other,
    };
    word.chars().flat_map(char::to_lowercase).map(plain).collect()
}

/// Whether `word`, folded, stands in a list of words with spaces between them.
fn in_list(list: &str, word: &str) -> bool {
    list.split(' ').any(|listed| listed == word)
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// After these words comes a name, however it is written.
const INTRODUCTIONS: &[&str] = &["my name is", "my name s", "mi chiamo", "il mio nome e", "i m called"];

/// After these words may come a name.
const HINTS: &[&str] = &["i am", "i m", "call me", "this is", "io sono", "sono", "chiamami", "qui e"];

const ASKS_FOR_ENGLISH: &str = "\
    speak english, in english, to english, english please, parla inglese, parli inglese, parlare inglese, \
    parliamo inglese, in inglese, inglese per favore";

const ASKS_FOR_ITALIAN: &str = "\
    speak italian, in italian, to italian, italian please, parla italiano, parli italiano, parlare italiano, \
    parliamo italiano, in italiano, italiano per favore";

/// What follows an introduction and is no name.
const NOT_NAMES: &str = "\
    american americana americano back english francese french inglese italian italiana italiano joe \
    later napoletana napoletano nobody romana romano spanish tomorrow";

/// Words that only English has. Those of both languages ("come", "in", "me", "no", "a", "i") are in neither list.
const ENGLISH: &str = "\
    about after am an and any are at but bye can could did does don english for from get give good \
    goodbye great have hello help hey hi how is it just know like love make morning my name need nice \
    not of ok okay one or please really should some speak tell thank thanks that the there they think \
    this to too ve want was we were what when where which who why will with would yes you your";

/// Words that only Italian has.
const ITALIAN: &str = "\
    anche bella bello bene buon buona buonanotte buonasera buongiorno che chi ciao con cosa da dal dammi \
    dei del della di dimmi domani dove fai fare gli grazie ha hai ho il la le lo ma mai mi mia mio molto \
    nel nella niente non oggi parla perche piu poi posso prego puoi qual quale quando quanto quella \
    quello questa questo salve scusa sei senza si sono sta stai stasera sto ti tu tua tuo tutto un una \
    uno va vi voglio vorrei";

/// Frequent words that carry no meaning of their own and say nothing sure about the language.
const COMMON: &str = "\
    abbiamo allora always ancora been being better cose credo doing else essere ever every forse going \
    have here into more much never only other over penso pero proprio quindi said same sempre shall solo \
    something sometimes stuff such than their them then these thing things those today tonight troppo \
    very well while your yours";
