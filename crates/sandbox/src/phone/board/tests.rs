use super::*;

const PHONE: &str = "393331110001";

fn written(board: &Board, id: &str) {
    let (id, phone, text) = (id.into(), PHONE.into(), "ciao".into());
    board.note(Happening::Written { id, phone, text, sound: None });
}

fn posted(board: &Board, answer: Result<u16, String>) {
    board.note(Happening::Posted { ids: vec!["wamid.A".into()], attempt: 1, answer, took_ms: 3 });
}

fn chat(board: &Board) -> Vec<Bubble> {
    board.read(|state| state.chats[PHONE].iter().cloned().collect())
}

#[test]
fn ticks_follow_the_webhook_and_the_read_receipt_and_never_go_back() {
    let board = Board::new();
    written(&board, "wamid.A");
    posted(&board, Ok(503));
    assert_eq!(chat(&board)[0].ticks, Ticks::Sent);
    posted(&board, Ok(200));
    assert_eq!(chat(&board)[0].ticks, Ticks::Delivered);
    board.note(Happening::Read { id: "wamid.A".into(), typing: true });
    posted(&board, Ok(200));
    assert_eq!(chat(&board)[0].ticks, Ticks::Read);
    assert_eq!(chat(&board)[0].trail.len(), 5);
}

#[test]
fn typing_ends_with_the_answer_or_by_itself() {
    let board = Board::new();
    written(&board, "wamid.A");
    let typing = || board.read(|state| state.typing[PHONE]);
    board.note(Happening::Read { id: "wamid.A".into(), typing: true });
    assert!(typing());
    let (id, status) = (Some("wamid.OUT".into()), Some(200));
    board.note(Happening::Sent { phone: Some(PHONE.into()), text: "ciao!".into(), sound: None, id, status });
    assert!(!typing());
    board.note(Happening::Read { id: "wamid.A".into(), typing: true });
    board.expire_typing(clock::now_ms() + TYPING_MS - 1_000);
    assert!(typing());
    board.expire_typing(clock::now_ms() + TYPING_MS);
    assert!(!typing());
}

#[test]
fn a_refused_send_shows_at_the_message_it_was_to_answer() {
    let board = Board::new();
    written(&board, "wamid.A");
    board.note(Happening::Sent {
        phone: Some(PHONE.into()),
        text: "ciao!".into(),
        sound: None,
        id: None,
        status: Some(503),
    });
    assert_eq!(chat(&board).len(), 1);
    assert!(chat(&board)[0].trail[1].text.contains("503"));
}

#[test]
fn chats_and_trails_and_phones_are_bounded() {
    let board = Board::new();
    for number in 0..=BUBBLES_MAX {
        written(&board, &format!("wamid.{number}"));
    }
    assert_eq!(chat(&board).len(), BUBBLES_MAX);
    assert_eq!(chat(&board)[0].id, "wamid.1");
    written(&board, "wamid.A");
    (0..TRAIL_MAX + 5).for_each(|_| posted(&board, Err("refused".into())));
    assert_eq!(chat(&board)[BUBBLES_MAX - 1].trail.len(), TRAIL_MAX);
    let added = std::iter::from_fn(|| board.new_phone("Anna")).count();
    assert_eq!(added, PHONES_MAX - 3);
}

#[test]
fn strangers_are_not_shown() {
    let board = Board::new();
    board.note(Happening::Written {
        id: "wamid.X".into(),
        phone: "4915550001".into(),
        text: "hallo".into(),
        sound: None,
    });
    assert!(!serde_json::to_string(&board.read(Clone::clone)).unwrap().contains("hallo"));
}

#[test]
fn a_send_is_a_step_of_the_message_it_answers_or_else_of_the_one_in_hand() {
    let board = Board::new();
    for (id, text) in [("wamid.A", "la panna?"), ("wamid.B", "e il vino?")] {
        let (id, phone, text) = (id.to_owned(), PHONE.into(), text.into());
        board.note(Happening::Written { id: id.clone(), phone, text, sound: None });
    }
    let answered = |to: &str, said: &str| {
        let query = Query::Answer { to: to.into() };
        board.note(Happening::Answered { query, answer: Ok(said.into()), took_ms: 1 });
    };
    let sent = |text: &str| {
        let (phone, id) = (Some(PHONE.into()), Some(format!("wamid.{text}")));
        board.note(Happening::Sent { phone, text: text.into(), sound: None, id, status: Some(200) });
    };
    let last_step = |place: usize| chat(&board)[place].trail.last().unwrap().text.clone();
    board.note(Happening::Read { id: "wamid.A".into(), typing: true });
    sent("Sono un'IA.");
    assert!(last_step(0).contains("a text of its own"), "{}", last_step(0));
    answered("la panna?", "*Mai* la panna! 🍝\n\nE nemmeno l'aglio.");
    // The next message is in hand before the last part of the answer went out.
    board.note(Happening::Read { id: "wamid.B".into(), typing: true });
    for part in ["Mai la panna!", "E nemmeno l'aglio."] {
        sent(part);
        assert!(last_step(0).contains("the answer as a text"), "{}", last_step(0));
    }
    assert!(last_step(1).contains("marked it as read"), "{}", last_step(1));
}

#[test]
fn what_is_spoken_belongs_to_the_message_whose_answer_it_is() {
    let board = Board::new();
    written(&board, "wamid.A");
    let query = Query::Answer { to: "ciao".into() };
    board.note(Happening::Answered { query, answer: Ok("*Ciao* bella!".into()), took_ms: 1 });
    let (id, phone) = ("wamid.B".into(), "15550002222".into());
    board.note(Happening::Written { id, phone, text: "hi".into(), sound: None });
    let query = Query::Voice { of: "Ciao bella!".into() };
    board.note(Happening::Asked { query: query.clone() });
    board.note(Happening::Answered { query, answer: Err(Some(429)), took_ms: 7 });
    let trail: Vec<_> = chat(&board)[0].trail.iter().map(|step| step.text.clone()).collect();
    assert_eq!(trail[2..], ["the server asked ElevenLabs to speak", "ElevenLabs refused: 429 in 7 ms"]);
    let other = board.read(|state| state.chats["15550002222"][0].trail.len());
    assert_eq!(other, 1);
}
