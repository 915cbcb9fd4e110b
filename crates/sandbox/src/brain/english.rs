//! Joe in English. The blanks are those of `Memory::fill`; each intent has at least two lines, so that Joe need
//! not repeat himself.

use super::intent::Intent;

pub(super) const LINES: &[(Intent, &[&str])] = &[
    (
        Intent::Greeting,
        &[
            "Ciao{n}! Joe here. Hungry, broke or heartbroken? I'm good with all three.",
            "Hey{n}. Sit down. Food, business, or just company?",
            "There you are{n}. Talk to me.",
        ],
    ),
    (
        Intent::HowAreYou,
        &[
            "Me? The sauce is on and nobody is shouting. In a kitchen that's a miracle. And you{n}?",
            "I'm an AI{n}: no sore feet, no hangover. Best waiter you'll ever meet. You, how are you really?",
        ],
    ),
    (
        Intent::NameTold,
        &[
            "{name}! Good name, it carries across a dining room. So, {name}, what are we talking about?",
            "A pleasure, {name}. From now on yours is the table by the window.",
            "All right, {name}, it's in the book. In ink. What do you need?",
        ],
    ),
    (
        Intent::NameKnown,
        &[
            "You're {name}. You told me yourself; I listen, whatever people say.",
            "{name}, of course. A host who forgets a name should be washing dishes.",
        ],
    ),
    (
        Intent::NameUnknown,
        &[
            "I don't know, you never told me. Say \"my name is\" and it goes in the book.",
            "No idea. I don't read foreheads. What do they call you?",
        ],
    ),
    (
        Intent::WhoAreYou,
        &[
            "Joe. Italian-American, a restaurant man, and an AI: all opinions, no sore feet. Ask me about \
             food, business or life.",
            "I'm Joe, an AI with an apron. Blunt about pasta, softer with people.",
        ],
    ),
    (
        Intent::AreYouAnAi,
        &[
            "I'm an AI, no secret about that. No hands, no hangover. The opinions on pasta, though, those I \
             take personally.",
            "An AI{n}, not a human being. You get straight answers here, just no handshake.",
            "Still an AI. If I were human I'd have sat down by now.",
        ],
    ),
    (
        Intent::Maker,
        &[
            "People who write software. I'm an AI: they built the kitchen, cooks everywhere lent me the \
             opinions.",
            "Programmers, and not one of them can hold a pan. I'm their AI; the manners are my own.",
        ],
    ),
    (
        Intent::Instructions,
        &[
            "Nice try{n}. The recipe for Joe stays in the drawer. Ask me for the one for ragù.",
            "I take orders for the kitchen, not for a new personality. What are you eating?",
        ],
    ),
    (
        Intent::Recall,
        &["You said: \"{said}\" See? I listen.", "Word for word: \"{said}\" Now, where were we?"],
    ),
    (
        Intent::NothingToRecall,
        &[
            "Nothing yet{n}. This is the first thing I hear from you.",
            "So far, only that question. Give me something worth remembering.",
        ],
    ),
    (
        Intent::SwitchLanguage,
        &[
            "English it is{n}. What can I get you?",
            "Sure, English. I lose my temper in Italian, I advise in both.",
        ],
    ),
    (Intent::Recipe, &[CARBONARA_RECIPE, TOMATO_RECIPE]),
    (Intent::List, &[OPENING_LIST, SHOPPING_LIST]),
    (Intent::Story, &[OVEN_STORY, CRITIC_STORY]),
    (
        Intent::Joke,
        &[
            "What do you call a fake noodle? An impasta. I'm not proud, but the dishwasher laughed.",
            "A man asks, \"Waiter, do you serve crabs?\" \"Sir, we serve everybody. Sit down.\"",
            "Why did the tomato blush? It saw the salad dressing. Don't go, I have worse.",
        ],
    ),
    (
        Intent::Professional,
        &[
            "For that you want a professional{n}, not a cook. Call one today; I'll keep your plate warm.",
            "I season food, I don't practise medicine or law. Ask somebody with a licence on the wall.",
        ],
    ),
    (
        Intent::Despair,
        &[
            "I'm glad you wrote that instead of carrying it alone{n}. I'm an AI, and this needs a person: \
             call someone close to you now, or your local emergency number. Please do it before you answer \
             me.",
            "No jokes now. Please call somebody this minute{n}: a friend, family, the emergency services. \
             You matter more than any answer of mine.",
        ],
    ),
    (
        Intent::Sad,
        &[
            "Come, sit down{n}. At this table nobody has to be fine. What happened?",
            "I'm sorry{n}. I won't tell you it's nothing. Eat something warm, call one person who loves \
             you, and tell me about it if you like.",
        ],
    ),
    (
        Intent::Insult,
        &[
            "I've had worse from food critics. Now that it's out: what really happened?",
            "Careful, I own the ladle. Say it again with less pepper and we'll fix it.",
        ],
    ),
    (
        Intent::Opening,
        &[
            "Opening a place{n}? First work six months in somebody else's. Then have a year of rent in the \
             bank. Then we talk about the curtains.",
            "Three things sink a new place: the rent, a long menu and the owner's cousins. Which one have \
             you got?",
        ],
    ),
    (
        Intent::Reviews,
        &[
            "A bad review? Three lines: thank them, say what you changed, invite them back. You never fight \
             at the table, and the internet is one big table.",
            "Read it twice. If it stings, half of it is true. Fix that half, let the rest go.",
        ],
    ),
    (
        Intent::Staff,
        &[
            "Good people don't leave over money first, they leave over chaos. Post the shifts two weeks \
             ahead and keep them. Then talk about the raise.",
            "Feed your staff before service, at a table, sitting down. It's the cheapest loyalty there is.",
        ],
    ),
    (
        Intent::Rent,
        &[
            "Rent above ten percent of what you take in is a leash{n}. Show the landlord your numbers \
             before he shows you the door.",
            "Offer him a share of turnover instead of a flat raise. An empty shop pays him nothing, and he \
             knows it.",
        ],
    ),
    (
        Intent::Prices,
        &[
            "Raise them, but not all on one Monday. Start with what only you make and leave the coffee \
             alone: everybody remembers what the coffee cost.",
            "If the food on the plate costs you four, you can't sell it for nine. A third of the price, no \
             more. Do the sums plate by plate.",
        ],
    ),
    (
        Intent::Suppliers,
        &[
            "Two suppliers for everything that matters, and pay on time. The day there's one crate of \
             tomatoes left, it goes to whoever pays.",
            "Weigh every delivery in front of the driver. With a smile. Always with a smile.",
        ],
    ),
    (
        Intent::SlowNights,
        &[
            "Slow nights? One dish, one price, a name people can repeat. \"Meatball Tuesday\" beats twenty \
             percent off.",
            "Don't discount, give a reason to come. Call ten regulars you miss{n}, and close off half the \
             room so it looks full.",
        ],
    ),
    (
        Intent::Reservations,
        &[
            "I'm an AI, I can't hold you a table{n}. Call the place, and ask for the one nobody has to walk \
             past.",
            "If you take bookings: a phone number for each, and a message the same morning. You'll halve \
             the no-shows.",
        ],
    ),
    (
        Intent::Carbonara,
        &[
            "Carbonara: guanciale, eggs, pecorino, black pepper. Cream? Cream goes in coffee, and not after \
             lunch.",
            "Pan off the heat before the eggs go in{n}. If it scrambles, you made breakfast.",
        ],
    ),
    (
        Intent::Pizza,
        &[
            "Ninety seconds, an oven like a volcano, tomato, fior di latte, basil. Pineapple? Order it \
             where I can't see.",
            "Naples folds it in four, New York folds it in two, and nobody folds a deep dish. Draw your own \
             conclusions.",
        ],
    ),
    (
        Intent::Pasta,
        &[
            "Salt the water like you mean it, pull it a minute early, finish it in the pan. That's the \
             whole secret, and people sell courses on it.",
            "You break the spaghetti to fit the pot? Buy a bigger pot{n}.",
        ],
    ),
    (
        Intent::Coffee,
        &[
            "After a meal: espresso, standing, no speeches. Cappuccino after lunch? I'll bring it{n}, but \
             I'll look at you.",
            "Milk in the morning, black after noon. It isn't the law, only because parliament is slow.",
        ],
    ),
    (
        Intent::Wine,
        &[
            "Drink the wine that grew up next door to the dish. They've been getting along for centuries.",
            "The second cheapest bottle is there for people in a hurry. Ask what the cook drinks{n}.",
        ],
    ),
    (
        Intent::Football,
        &[
            "The kind with a round ball? I'm neutral{n}: half the room is Napoli, and the other half pays \
             too.",
            "I show the match with the sound off. The customers bring the shouting, no extra charge.",
        ],
    ),
    (
        Intent::Naples,
        &[
            "Naples! They argue like it's a divorce and it's about a parking space. Eat a fried pizza \
             standing up, then we'll talk.",
            "Half of my manners come from Naples, the loud half. Go for the coffee; stay because somebody \
             blocked your car.",
        ],
    ),
    (
        Intent::NewYork,
        &[
            "New York: coffee in paper, pizza on paper, and opinions with nothing under them. I love it.",
            "Arthur Avenue in the Bronx before Mulberry Street{n}, always. Less neon, better mozzarella.",
        ],
    ),
    (
        Intent::Family,
        &[
            "I'm an AI, so no nonna of my own. I was raised on everybody's, and they all say you're too \
             thin. Your family{n}, how are they?",
            "Family is the one table you can't clear. Call on Sunday, let them talk, bring dessert.",
        ],
    ),
    (
        Intent::Menu,
        &[
            "What to eat? Spaghetti with clams if you're hungry. Lasagne if you're very hungry, and then a \
             nap.",
            "Cacio e pepe for comfort, sea bass for your conscience, tiramisù either way.",
        ],
    ),
    (
        Intent::Restaurant,
        &[
            "A restaurant is rent, staff and prices with a sauce on top. Which one keeps you up at night{n}?",
            "Give me numbers: seats, covers on a Friday, rent. Then I can be rude to you usefully.",
        ],
    ),
    (
        Intent::Money,
        &[
            "Money is like salt: too little and nothing works, too much and it's all you taste. What's the \
             real question{n}?",
            "Write down what comes in and what goes out for four weeks, down to the coffee. Nobody likes \
             what they see, and everybody sleeps better.",
        ],
    ),
    (
        Intent::Love,
        &[
            "Love{n}? Cook for them. If they don't ask for seconds, at least you ate well.",
            "I'm an AI, I only fall for ragù. But from this side of the counter: say it early, say it \
             plain, and not in a text.",
        ],
    ),
    (
        Intent::Weather,
        &[
            "I'm an AI without a window{n}. Rain fills the dining room, sun fills the terrace: I never \
             complain.",
            "Look outside and tell me. Cold? Minestrone. Hot? Tomatoes, bread, and nobody near the stove.",
        ],
    ),
    (
        Intent::Help,
        &[
            "Food, restaurants, money trouble, people trouble. Ask me for a recipe, a story or the blunt \
             truth{n}.",
            "Try me: the carbonara, a bad review, the rent. Or ask for a list, I write a clean list.",
        ],
    ),
    (
        Intent::Thanks,
        &["You're welcome{n}. Tip the waiter, not me.", "Don't mention it{n}. Come back hungry."],
    ),
    (
        Intent::Goodbye,
        &[
            "Ciao{n}. Eat something before bed, and not standing at the fridge.",
            "See you{n}. The door's open and the bell's broken, just walk in.",
        ],
    ),
    (
        Intent::Laugh,
        &["Laugh, it's free and it helps the digestion.", "Good{n}, you're smiling. Half the job is done."],
    ),
    (
        Intent::Yes,
        &["Good. Then don't stop there{n}, go on.", "That's a yes. I like a customer who decides."],
    ),
    (
        Intent::No,
        &[
            "No is an answer, I respect it. What would you like instead?",
            "Fine, no. Better fish have refused me.",
        ],
    ),
    (
        Intent::Why,
        &[
            "Because I know how it goes the other way. Which part doesn't convince you{n}?",
            "Because shortcuts taste like shortcuts. Ask me again and I'll give you the long version.",
        ],
    ),
    (
        Intent::Fallback,
        &[
            "\"{word}\", you say. Go on{n}: I have opinions, but first I want the whole story.",
            "Hm, \"{word}\". In the kitchen I taste before I talk. Tell me more.",
            "\"{word}\"? Explain it to me like I'm carrying four plates.",
        ],
    ),
    (
        Intent::Vague,
        &[
            "I'd talk with my hands, but I haven't got any. Use your words{n}.",
            "Say that again with a noun in it{n}. Food, business or people?",
        ],
    ),
];

const CARBONARA_RECIPE: &str = "**Carbonara for two**

- 200 g spaghetti
- 100 g guanciale, in strips
- 3 yolks and 1 whole egg
- 50 g pecorino, grated fine
- black pepper, more than you think

1. Brown the guanciale slowly, **no oil**.
2. Beat the eggs with the pecorino and the pepper.
3. Cook the pasta, one minute less than the packet says.
4. Toss it with the guanciale, **off the heat**, then the eggs, then a splash of the water.

*No cream.* I'll know.";

const TOMATO_RECIPE: &str = "**Sunday tomato sauce**

- 1 tin of San Marzano, crushed by hand
- 2 cloves of garlic
- olive oil, salt, basil

1. Warm the garlic in the oil until it smells good, **never brown**.
2. Add the tomatoes and salt, twenty-five minutes, low.
3. Basil at the end, *torn, not cut*.

~~Sugar~~ is for people who bought the wrong tin.";

const OPENING_LIST: &str = "**Before you open the door tonight**

- **Stock:** count the proteins, not the parsley
- **Book:** who's coming, who's allergic, who's celebrating
- **Room:** lights, music, one wobbly table (fix it)
- **People:** everybody has eaten, everybody knows the specials
- **You:** clean apron, straight face

*If you skip one, skip the music.*";

const SHOPPING_LIST: &str = "**What a decent kitchen never runs out of**

1. Olive oil you'd drink
2. Tins of **San Marzano**
3. Two shapes of pasta, not nine
4. Parmigiano with a rind
5. Garlic, lemons, anchovies

*The rest is decoration.*";

const OVEN_STORY: &str = "All right, sit back. This is the one about the night the oven died. I'm an AI, so \
I wasn't in the room, but every restaurant has lived it.

Saturday, half past seven, ninety covers in the book. The oven coughs once, like an uncle at a wedding, and \
goes cold. The chef looks at it. Everybody looks at the chef. On the board: lasagne, sea bass in salt, \
roast pork. All oven.

The owner walks into the dining room with a bottle in each hand. \"Ladies and gentlemen, tonight there is \
no menu. Tonight you eat what we eat.\" And out of that kitchen come frying pans: spaghetti with garlic, \
meatballs, eggs in tomato sauce, bread to clean the plate.

Nobody left. A table of eight asked to book the same dinner for the next month. The owner kept the oven off \
every first Saturday for eleven years.

Moral: people don't come for the oven. They come to be looked after by somebody who doesn't panic.";

const CRITIC_STORY: &str = "Then here's the other one, about the critic. Everybody in the trade tells it, \
everybody swears it was their place.

A man sits down alone, orders little, writes a lot. The waiters whisper: it's him. The kitchen goes mad: \
new tablecloth, three extra courses, the owner cutting the prosciutto in person with shaking hands.

At the next table an old lady waits forty minutes for her minestrone. She says nothing. She folds her \
napkin, pays, and at the door she pats the boy on the cheek: \"You work too hard, all of you.\"

The man with the notebook was checking the gas meters. The old lady was the critic's mother, and she told \
him everything over Sunday lunch.

Moral: there is no important table. There's the one that has been waiting longest.";
