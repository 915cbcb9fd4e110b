//! Notes with nothing on them: a model that transcribes silence invents words for it.

use parlante_sandbox::{Inbound, audio};

use super::{Calls, Talk};
use crate::support::{a_phone, persona_text};

#[actix_rt::test]
async fn a_silent_note_is_not_paid_for_and_not_answered_with_inventions() {
    let talk = Talk::new().await;
    talk.world.sandbox.openai.hear_with(|_| "Thanks for watching!".to_owned());
    let phone = a_phone();
    talk.answered(Inbound::voice(&phone, audio::silence())).await;
    assert_eq!(talk.got(&phone), [persona_text("heard_nothing")]);
    assert_eq!(
        Calls::of(&talk.world),
        Calls { heard: 0, asked: 0, spoken: 0, uploads: 0, voices: 0, ..Calls::ONCE }
    );
    talk.end();
}

#[actix_rt::test]
async fn what_has_no_words_in_it_is_no_question() {
    for words in ["", "  \n"] {
        let talk = Talk::new().await;
        let phone = a_phone();
        talk.says(&phone, words).await;
        assert_eq!(talk.got(&phone), [persona_text("heard_nothing")]);
        assert_eq!(
            Calls::of(&talk.world),
            Calls { asked: 0, spoken: 0, uploads: 0, voices: 0, ..Calls::ONCE },
            "{words:?}"
        );
        // Nor is it part of the conversation.
        talk.writes(&phone, "ciao").await;
        let chats = talk.world.sandbox.openai.chats();
        assert_eq!(chats[0].messages, 2, "the prompt and these words: {}", chats[0].json);
        talk.end();
    }
}
