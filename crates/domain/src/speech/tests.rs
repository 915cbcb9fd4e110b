use proptest::prelude::*;

use super::*;

fn spoken(text: &str) -> Option<String> {
    speakable(&ModelAnswer::new(text)?)
}

#[track_caller]
fn says(text: &str, aloud: &str) {
    assert_eq!(spoken(text).as_deref(), Some(aloud), "{text}");
}

#[test]
fn marks_are_not_spoken() {
    says("**bold** _it_ ~~gone~~ *one* `code` ***all***", "bold it gone one code all");
    says("# Carbonara\nUova e guanciale", "Carbonara. Uova e guanciale");
    says("## Due ##", "Due.");
    says("Titolo\n===\nTesto", "Titolo. Testo");
    says("> Disse **lui**\n> piano", "Disse lui piano");
    says("Prima\n\n---\n\nDopo", "Prima. Dopo");
    says("`cargo_test`, \\*non\\* <b>forte</b><br/>fine", "cargo test, non forte fine");
    says("A | B", "A, B");
    says("Il ||segreto|| mio", "Il, segreto, mio");
    says("#pasta e #vino, ma C#", "pasta e vino, ma C#");
}

#[test]
fn lists_become_sentences() {
    says("Serve:\n- uova\n- guanciale!\n* pecorino", "Serve: uova. guanciale! pecorino.");
    says("1. Bolli l'acqua\n2) Sala\n   - poco\n\nPoi butta.", "Bolli l'acqua. Sala. poco. Poi butta.");
    says("- [ ] pane\n- [x] **vino**", "pane. vino.");
    says("1️⃣ Bolli\n2️⃣ Scola", "Bolli. Scola");
    says("- (forse)\n- «Certo!»", "(forse). «Certo!»");
    says("Uova • guanciale • pecorino", "Uova, guanciale, pecorino");
}

#[test]
fn addresses_are_dropped_and_the_sentence_stays_whole() {
    says("Vedi [il menu](https://joe.example/a_b) oggi.", "Vedi il menu oggi.");
    says("Guarda qui: https://joe.example/x.", "Guarda qui.");
    says("Leggi https://joe.example/(x) e poi dimmi.", "Leggi e poi dimmi.");
    says("C'è tutto (www.joe.example), fidati.", "C'è tutto, fidati.");
    says("Ecco <https://joe.example>!", "Ecco!");
    says("![Foto](a.png) bella [qui][1][^2]\n\n[1]: https://x.example\n[^2]: nota", "Foto bella qui");
    says("[HTTPS://X.EXAMPLE](https://x.example) sì", "sì");
    says("Usa http, non www.", "Usa HTTP, non");
    says("[non un link](ma davvero)", "[non un link](ma davvero)");
}

#[test]
fn pictures_are_not_spoken() {
    says("Ciao 👨‍👩‍👧‍👦! Che bello 🇮🇹❤️👍🏽 oggi ☀️", "Ciao! Che bello oggi");
    says("🍝 Carbonara™ → subito", "Carbonara subito");
    says("Guarda: 😀", "Guarda.");
}

#[test]
fn tables_and_code_are_left_out() {
    says("I prezzi:\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nTutto qui.", "I prezzi. Tutto qui.");
    says("Prezzi\na | b\n--|--\n1 | 2\n\nFine.", "Prezzi. Fine.");
    says("Prova:\n```rust\nlet x = 1;\n```\nFatto", "Prova. Fatto");
    says("Prova:\n~~~\nlet x", "Prova.");
}

#[test]
fn numbers_money_and_punctuation_stay() {
    for text in [
        "Costa 12,50 € (il 10% in meno): davvero? Sì!",
        "Alle 18:30, -5 °C & vento; $3.99… «certo», \"ok\".",
        "3 < 4 e ti voglio bene <3",
        "2024. Che anno.",
        "Scrivi a joe@joe.example",
        "नमस्ते, 你好。مرحبا",
    ] {
        says(text, text);
    }
    says("2 * 3 = 6 e 2*3", "2 × 3 = 6 e 2×3");
    says("uno  due\n\ttre\r\nquattro", "uno due tre quattro");
    says("Ciao Marco\nCome stai", "Ciao Marco. Come stai");
}

#[test]
fn nothing_to_say_is_none() {
    for text in
        ["😀", "---", "https://joe.example", "```\nx\n```", "| a |\n", "** ?!", "[1]: https://x.example"]
    {
        assert_eq!(spoken(text), None, "{text}");
    }
}

/// Pieces that meet in ways which nobody writes: half marks, half addresses, fences in tables.
fn fragments() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-zA-Z0-9 ]{1,6}",
        "[\\[\\]()<>*#~_`|:.,!?\"'/ \n-]{1,4}",
        proptest::sample::select(vec![
            "http",
            "https://",
            "ht",
            "tp://",
            "www.",
            "](",
            "```\n",
            "|--|\n",
            "1. ",
            "- ",
            "[x] ",
            "[^",
            "]: ",
            "\n\n",
            "👨‍👩‍👧",
            "\u{200D}",
            "1️⃣",
            "🇮🇹",
            "❤️",
            "→",
            "•",
            "\\",
            "\u{0}",
            "é",
            "İ",
            "ß",
        ])
        .prop_map(str::to_owned),
        "\\PC{0,3}",
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

fn is_emoji(c: char) -> bool {
    matches!(c as u32, 0x1F000..=0x1FAFF | 0x2600..=0x27BF | 0x2B00..=0x2BFF | 0x2190..=0x21FF | 0x200D | 0xFE0F | 0x20E3)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn what_is_spoken_is_clean_short_and_settled(text in fragments()) {
        if let Some(aloud) = spoken(&text) {
            prop_assert!(aloud.len() <= 2 * text.len() && aloud.chars().count() <= 2 * text.chars().count());
            prop_assert!(!aloud.contains("http") && !aloud.contains(is_emoji), "{}", aloud);
            prop_assert!(!aloud.contains(['\n', '*', '`', '|', '~']) && !aloud.contains("  "), "{}", aloud);
            prop_assert_eq!(aloud.trim(), aloud.as_str());
            prop_assert_eq!(spoken(&aloud), Some(aloud));
        }
    }

    #[test]
    fn plain_sentences_are_spoken_as_they_are(text in "[A-Z][a-zàèéìòù]{1,8}( [a-z0-9àèéìòù]{1,8}){0,12}[.!?]") {
        prop_assume!(!text.contains("http"));
        prop_assert_eq!(spoken(&text), Some(text));
    }

    #[test]
    fn any_words_can_be_asked_for_a_wish(text in fragments(), noise in "\\PC{0,60}") {
        let _ = (wish_in(&text), wish_in(&noise));
    }
}
