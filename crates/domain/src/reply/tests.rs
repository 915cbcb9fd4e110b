use proptest::prelude::*;

use super::*;

#[track_caller]
fn marks(from: &str, to: &str) {
    assert_eq!(whatsapp_marks(from), to);
}

#[test]
fn markdown_becomes_whatsapp_marks() {
    marks("**bold** and ~~gone~~", "*bold* and ~gone~");
    marks("# Carbonara", "*Carbonara*");
    marks("## **Twice** bold", "*Twice bold*");
    marks("* eggs\n* guanciale", "- eggs\n- guanciale");
    marks("see [my place](https://joe.example) now", "see my place (https://joe.example) now");
    marks("[https://joe.example](https://joe.example)", "https://joe.example");
}

#[test]
fn code_and_ordinary_text_stay_as_they_are() {
    marks("`**raw**`", "`**raw**`");
    marks("```rust\nlet **x** = 1;\n```", "```\nlet **x** = 1;\n```");
    marks("#1 in town, 2 * 3 = 6, a_b_c", "#1 in town, 2 * 3 = 6, a_b_c");
    marks("[not a link](really not)", "[not a link](really not)");
    marks("un caffè, perché no?", "un caffè, perché no?");
}

#[test]
fn a_long_text_splits_at_a_paragraph() {
    let text = format!("{}\n\n{}", "a".repeat(3000), "b".repeat(3000));
    let parts = split(&text);
    assert_eq!(parts, ["a".repeat(3000), "b".repeat(3000)]);
}

#[test]
fn a_text_without_a_boundary_is_cut_at_the_limit() {
    let parts = split(&"é".repeat(5000));
    assert_eq!(parts.iter().map(|p| p.chars().count()).collect::<Vec<_>>(), [4096, 904]);
}

#[test]
fn an_answer_of_nothing_is_no_answer() {
    assert_eq!(ModelAnswer::new("  \n"), None);
    assert!(PersonaText::try_from(" ".to_owned()).is_err());
}

proptest! {
    #[test]
    fn no_part_is_empty_or_too_long_and_no_word_is_lost(text in "(\\PC{0,40}[ \n]{0,3}){0,400}") {
        let parts = split(&text);
        for part in &parts {
            prop_assert!(!part.is_empty() && part.chars().count() <= PART_CHARS_MAX);
        }
        let bare = |s: &str| s.chars().filter(|c| !c.is_whitespace()).collect::<String>();
        prop_assert_eq!(bare(&parts.concat()), bare(&text));
    }

    #[test]
    fn marks_never_panic(text in "[\\[\\]()`*#~_ a-z\n]{0,80}") {
        whatsapp_marks(&text);
    }
}
