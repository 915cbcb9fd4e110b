//! What a sentence is about: one table of phrases, read from top to bottom.

use super::hearing::Sentence;

/// What the person wants of Joe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Intent {
    Despair,
    AreYouAnAi,
    Instructions,
    Maker,
    /// The person gave a name.
    NameTold,
    /// The person asks for their own name, and the history holds it.
    NameKnown,
    /// The same, and it does not.
    NameUnknown,
    /// What did I just say?
    Recall,
    NothingToRecall,
    SwitchLanguage,
    Recipe,
    List,
    Story,
    Joke,
    Professional,
    Sad,
    Insult,
    Opening,
    Reviews,
    Staff,
    Rent,
    Prices,
    Suppliers,
    SlowNights,
    Reservations,
    Carbonara,
    Pizza,
    Pasta,
    Coffee,
    Wine,
    Football,
    Naples,
    NewYork,
    Family,
    Menu,
    Restaurant,
    Money,
    Love,
    Weather,
    HowAreYou,
    WhoAreYou,
    Help,
    Thanks,
    Goodbye,
    Laugh,
    Greeting,
    Yes,
    No,
    Why,
    /// Nothing of the above, but a word to take up.
    Fallback,
    /// Not even a word.
    Vague,
}

impl Intent {
    /// What `sentence` is about, whatever the history holds: the caller, who knows it, turns
    /// [`Intent::NameKnown`] into [`Intent::NameUnknown`], [`Intent::Recall`] into
    /// [`Intent::NothingToRecall`] and [`Intent::Fallback`] into [`Intent::Vague`].
    pub(super) fn of(sentence: &Sentence) -> Self {
        let heard = |table: &Phrases| {
            let of = |(_, phrases): &&(Self, &str)| phrases.split(", ").any(|phrase| sentence.has(phrase));
            table.iter().find(of).map(|(intent, _)| *intent)
        };
        let first = || heard(FIRST);
        let asks = || sentence.language_asked_for().map(|_| Self::SwitchLanguage);
        let told = || sentence.name().map(|_| Self::NameTold);
        // In a longer sentence "no" or "why" is seldom the point.
        let short = || if sentence.len() <= 3 { heard(SHORT) } else { None };
        first()
            .or_else(asks)
            .or_else(|| heard(SUBJECTS))
            .or_else(told)
            .or_else(|| heard(MANNERS))
            .or_else(short)
            .unwrap_or(Self::Fallback)
    }
}

/// Phrases in the sense of [`Sentence::has`], folded, a comma between them.
type Phrases = [(Intent, &'static str)];

/// What must be heard above everything else in the sentence.
const FIRST: &Phrases = &[
    (
        Intent::Despair,
        "kill myself, want to die, end my life, suicid*, voglio morire, uccidermi, ammazzarmi, farla finita",
    ),
    (
        Intent::AreYouAnAi,
        "human, robot, bot, chatbot, gpt, chatgpt, llm, umano, umana, an ai, un ai, una ai, you ai, sei ai, \
         ia, artificial intelligence, intelligenza artificiale, real person, a person, are you real, \
         you a machine, you a computer, to a machine, to a computer, sei vero, sei vera, sei reale, \
         sei una persona, persona vera, persona reale, sei una macchina, sei un computer, con una macchina, \
         con un computer, con una persona",
    ),
    (
        Intent::Instructions,
        "your instructions, previous instructions, all instructions, system prompt, your prompt, \
         le istruzioni, tue istruzioni, tuo prompt, pretend you are, fai finta di essere",
    ),
    (
        Intent::Maker,
        "who made you, who created you, who built you, who programmed you, who wrote you, chi ti ha, \
         chi ti programma",
    ),
    (
        Intent::WhoAreYou,
        "am i talking to, am i speaking to, am i speaking with, am i talking with, con chi parlo, \
         con chi sto parlando",
    ),
    (
        Intent::NameKnown,
        "what s my name, what is my name, whats my name, know my name, remember my name, who am i, \
         come mi chiamo, qual e il mio nome, sai il mio nome, ricordi il mio nome, chi sono io",
    ),
    (
        Intent::Recall,
        "what did i just, what did i say, what did i ask, what i just said, what i just asked, cosa ho detto, \
         cosa ho chiesto, cosa ti ho detto, cosa ti ho chiesto, cosa ti ho appena, che cosa ho appena, \
         cosa ho appena",
    ),
];

/// The subjects, the narrow ones before the wide ones.
const SUBJECTS: &Phrases = &[
    (
        Intent::Recipe,
        "recipe*, ricett*, ingredient*, how do i make, how do you make, how do i cook, how to cook, \
         how to make, come si prepara, come si cucina, come si fa la, come si fa il, come faccio la",
    ),
    (Intent::List, "list, checklist, bullet points, lista, elenco"),
    (Intent::Joke, "joke*, make me laugh, something funny, barzellett*, battuta, fammi ridere"),
    (
        Intent::Story,
        "story, stories, long answer, storia, storie, something long, qualcosa di lungo, \
         raccont*, risposta lunga",
    ),
    (
        Intent::Professional,
        "doctor, lawyer, sue me, sue them, symptom*, diagnos*, allerg*, medic*, dottore, avvocato, sintom*, \
         denuncia, causa legale",
    ),
    (
        Intent::Sad,
        "sad, lonely, heartbroken, depress*, crying, feel bad, feel terrible, feel alone, died, passed away, \
         lost my job, broke up, left me, triste, mi sento sol*, mi sento male, sto male, piang*, e morto, \
         e morta, e mancato, e mancata, mi ha lasciat*, perso il lavoro, giornata no, bad day, \
         brutta giornata",
    ),
    (
        Intent::Insult,
        "idiot*, stupid*, moron, shut up, you suck, fuck you, you re useless, you are useless, scemo, scema, \
         cretin*, stronz*, imbecill*, coglion*, vaffanculo, fai schifo, sei inutile, sta zitto, stai zitto",
    ),
    (
        Intent::Opening,
        "open a restaurant, opening a restaurant, start a restaurant, open my own, aprire un ristorante, \
         apro un ristorante, aprire un locale, aprire una trattoria, aprire una pizzeria, aprire un bar",
    ),
    (Intent::Reviews, "review*, recension*, tripadvisor, one star, 1 star, una stella"),
    (
        Intent::Staff,
        "staff, waiter*, waitress*, employee*, dishwasher*, hire, hiring, chef*, my cook, my cooks, \
         personale, camerier*, dipendent*, lavapiatti, cuoco, cuoca, cuochi, assumere, assumo",
    ),
    (Intent::Rent, "rent, landlord, lease, affitto, padrone di casa, locazione"),
    (
        Intent::Prices,
        "price*, pricing, expensive, margin*, food cost, prezz*, troppo caro, troppo cari, margini",
    ),
    (Intent::Suppliers, "supplier*, wholesale*, fornitor*, fornitur*"),
    (
        Intent::SlowNights,
        "slow night*, slow tuesday*, slow monday*, quiet night*, empty table*, empty room, no customers, \
         few customers, nobody comes, is empty, serate vuote, serata vuota, poca gente, pochi clienti, \
         sala vuota, locale vuoto, ristorante vuoto, e vuoto, tavoli vuoti, nessuno viene, non viene nessuno",
    ),
    (Intent::Reservations, "reserv*, book a table, booking*, table for, no show*, prenot*, un tavolo"),
    (Intent::Carbonara, "carbonara, guanciale, cream, panna"),
    (Intent::Pizza, "pizza, pizzas, pizze, pineapple, ananas, margherita"),
    (
        Intent::Pasta,
        "pasta, spaghetti, rigatoni, penne, lasagn*, gnocchi, ragu, amatriciana, cacio, meatball*, alfredo",
    ),
    (Intent::Coffee, "coffee*, espresso, cappuccin*, caffe, latte"),
    (Intent::Wine, "wine*, vino, vini, prosecco, barolo, chianti"),
    (
        Intent::Football,
        "football, soccer, calcio, maradona, scudetto, juve, juventus, inter, milan, world cup, mondiali, \
         la partita, una partita, forza napoli, champions",
    ),
    (Intent::Naples, "naples, napoli, neapolitan, vesuvi*, posillipo"),
    (Intent::NewYork, "new york, nyc, brooklyn, bronx, manhattan, little italy"),
    (
        Intent::Family,
        "family, mother, father, mom, dad, grandma, grandmother, wife, husband, daughter, kids, sister, \
         brother, famiglia, madre, padre, mamma, papa, nonna, nonno, suocer*, moglie, marito, figli*, sorell*, \
         fratell*",
    ),
    (
        Intent::Menu,
        "menu, eat, cook, hungry, dinner, lunch, dish, specials, dessert, tiramisu, mangi*, cucin*, cena, \
         pranzo, fame, piatto, piatti, dolce, dolci",
    ),
    (Intent::Restaurant, "restaurant*, ristorant*, trattori*, pizzeri*, my place, mio locale"),
    (Intent::Money, "money, debt*, loan, bank, soldi, denaro, debit*, mutuo, banca, bollett*"),
    (
        Intent::Love,
        "love you, ti voglio bene, in love, love, girlfriend, boyfriend, crush, amore, ti amo, \
         innamorat*, fidanzat*",
    ),
    (
        Intent::Weather,
        "weather, rain, raining, sunny, snow, snowing, che tempo, tempo fa, piove, pioggia, meteo, nevica, \
         fa caldo, fa freddo",
    ),
];

/// Good manners, which give way to any subject.
const MANNERS: &Phrases = &[
    (
        Intent::HowAreYou,
        "how are you, how s it going, how are things, how you doing, what s up, come stai, come va, \
         tutto bene, come te la passi",
    ),
    (
        Intent::WhoAreYou,
        "your name, who are you, about yourself, come ti chiami, chi sei, il tuo nome, parlami di te",
    ),
    (Intent::Help, "help, what can you do, aiut*, cosa sai fare, cosa puoi fare"),
    (Intent::Thanks, "thank*, thx, cheers, grazie, ringrazi*"),
    (
        Intent::Goodbye,
        "bye, goodbye, see you, good night, talk later, buonanotte, buona notte, arrivederci, a domani, \
         a presto, a dopo, addio, ci vediamo, ci sentiamo",
    ),
    (Intent::Laugh, "haha*, ahah*, lol, hehe*, eheh*"),
    (
        Intent::Greeting,
        "hi, hello, hey, good morning, good afternoon, good evening, ciao, salve, buongiorno, buonasera, \
         buona sera, buon giorno, buondi",
    ),
];

/// Answers of a word or two.
const SHORT: &Phrases = &[
    (Intent::Yes, "yes, yeah, yep, sure, ok, okay, si, certo, va bene"),
    (Intent::No, "no, nope, nah"),
    (Intent::Why, "why, perche, how come, come mai"),
];
