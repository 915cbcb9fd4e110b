use super::*;

#[track_caller]
fn wish(expected: Option<Medium>, messages: &[&str]) {
    for message in messages {
        assert_eq!(wish_in(message), expected, "{message}");
    }
}

#[test]
fn a_wish_for_the_voice() {
    let italian = [
        "Rispondi a voce",
        "Joe, rispondi a voce!",
        "ehi joe rispondi sempre a voce per favore",
        "Sto guidando, rispondimi a voce se puoi",
        "rispondimi con un vocale sulla carbonara",
        "Ciao! Come stai? Mandami un vocale.",
        "mi mandi un vocale?",
        "Puoi rispondermi a voce, grazie?",
        "D'ora in poi rispondi con dei vocali? No, rispondi con un messaggio vocale",
        "a voce, grazie",
        "Vocale",
        "Rispondi a voce perché sono in macchina",
        "Sì, rispondi a voce",
        "preferisco i vocali",
        "Non posso leggere adesso",
        "non scrivere, rispondi a voce",
        "Fammi sentire la tua voce",
        "niente testo, rispondi a voce",
    ];
    let others = [
        "Answer with a voice note",
        "Hey Joe can you send me a voice note please?",
        "please always reply by voice from now on",
        "Voice, please",
        "I'd like you to answer with voice messages",
        "Respóndeme con un audio, por favor",
        "¿Me mandas un audio?",
        "Contesta con una nota de voz",
        "prefiero audios",
    ];
    wish(Some(Medium::Voice), &italian);
    wish(Some(Medium::Voice), &others);
}

#[test]
fn a_wish_for_text() {
    let italian = [
        "scrivi",
        "Scrivimi",
        "SCRIVI, per favore!!",
        "Joe, scrivi",
        "ehi Joe scrivi",
        "puoi scrivere?",
        "Rispondi per iscritto",
        "Sono in riunione, scrivimi invece",
        "Niente vocali",
        "basta con i vocali, grazie",
        "non posso ascoltare",
        "In ufficio non posso ascoltare i vocali ora. Quanto sale?",
        "Non rispondere a voce",
        "non mandarmi più vocali",
        "non voglio vocali",
        "smettila di mandarmi vocali",
        "preferisco leggere",
        "preferisco che mi scrivi",
        "rispondimi senza vocali",
    ];
    let others = [
        "Don't send voice notes",
        "please don’t send me any more voice messages",
        "Text me instead",
        "I'm in a meeting, text me instead",
        "no voice notes please",
        "stop sending voice notes",
        "Can you answer by text instead of voice?",
        "I can't listen right now",
        "Write, please",
        "Escribe, por favor",
        "Escríbeme",
        "No me mandes audios",
        "Responde por escrito",
        "no puedo escuchar audios",
    ];
    wish(Some(Medium::Text), &italian);
    wish(Some(Medium::Text), &others);
}

#[test]
fn the_last_wish_wins() {
    wish(Some(Medium::Text), &["rispondi a voce, anzi no, scrivi", "Answer by voice. No, text me instead."]);
    wish(
        Some(Medium::Voice),
        &["scrivi... anzi rispondimi a voce", "niente vocali. Ok dai, mandami un vocale"],
    );
}

#[test]
fn what_looks_like_a_wish_and_is_none() {
    let italian = [
        "Scrivi una poesia",
        "scrivimi una ricetta",
        "Prendi la penna, scrivi, poi spedisci",
        "scrivi?",
        "scrivi \"ciao mamma\"",
        "Mia moglie dice \"mandami un vocale\"",
        "Mi ha scritto: rispondimi a voce",
        "Il cliente mi ha detto, rispondimi a voce",
        "Come si dice rispondi a voce in inglese?",
        "Quando rispondi a voce non capisco",
        "Se rispondi a voce, non sento",
        "Perché mi rispondi a voce?",
        "Rispondi a voce?",
        "Non rispondi a voce",
        "Rispondere a voce è più comodo",
        "rispondi a voce alta ai clienti",
        "rispondi per iscritto alla mail del commercialista",
        "manda un vocale a mia madre",
        "Ti mando un vocale dopo",
        "Quali parole hanno niente vocali?",
        "niente vocali in questa parola",
        "una canzone che non posso ascoltare",
        "non posso ascoltare mia suocera",
        "Non mi mandi un vocale?",
        "Ha deciso di non rispondere a voce",
        "non scrivere",
        "Mandami il testo della canzone",
        "hai una bella voce",
        "audio",
    ];
    let others = [
        "Write a poem",
        "How do I send a voice note?",
        "send a voice note to my mother",
        "My customers send me voice notes",
        "Should I answer by voice?",
        "He said: send me a voice note",
        "Translate \"text me instead\"",
        "I want to be a voice actor",
        "answer with voice commands",
        "Can you send voice notes?",
        "He will text me instead",
        "don't text me",
        "Escribe un poema",
        "Si me mandas un audio, te escucho",
        "Juan responde con audio",
        "",
        "👍",
    ];
    wish(None, &italian);
    wish(None, &others);
}

#[test]
fn the_vocabulary_is_written_as_messages_are_read() {
    let verbs = [ANSWER, SEND].map(|verb| [verb.anywhere, verb.alone, verb.base, verb.asked, verb.denied]);
    let lists = [
        [ASIDES, GREETINGS, BETWEEN, MAY_FOLLOW, REQUESTS, REPORTS],
        [DENIALS, VOICE_THINGS, TEXT_THINGS, WITH, WITHOUT, TURNS],
        [BY_VOICE, IN_TEXT, SHORT_VOICE, SHORT_TEXT, ARTICLES, BETWEEN],
        [INSTEAD_TEXT, STATED_VOICE, STATED_TEXT, CANNOT_HEAR, DEPENDENT, DENIALS],
    ];
    for phrase in verbs.concat().into_iter().chain(lists.concat()).flat_map(|list| list.split(", ")) {
        let read: Vec<String> = phrase.split(' ').map(folded).collect();
        assert_eq!(read.join(" "), phrase);
    }
}
