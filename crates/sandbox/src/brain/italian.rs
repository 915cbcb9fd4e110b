//! Joe in Italian: the same intents as in English, in the words he would find there.

use super::intent::Intent;

pub(super) const LINES: &[(Intent, &[&str])] = &[
    (
        Intent::Greeting,
        &[
            "Ciao{n}! Sono Joe. Fame, affari o cuore infranto? Me la cavo con tutti e tre.",
            "Ehi{n}. Siediti. Si parla di cucina, di lavoro o facciamo solo due chiacchiere?",
            "Eccoti qua{n}. Che si dice?",
        ],
    ),
    (
        Intent::HowAreYou,
        &[
            "Io? Il sugo è sul fuoco e nessuno urla. In una cucina è un miracolo. E tu{n}?",
            "Sono un'IA{n}: mai mal di piedi, mai mal di testa. Il cameriere ideale. Tu piuttosto, come \
             stai davvero?",
        ],
    ),
    (
        Intent::NameTold,
        &[
            "{name}! Bel nome, si sente da una sala all'altra. Allora, {name}, di che parliamo?",
            "Piacere, {name}. Da oggi il tavolo vicino alla finestra è tuo.",
            "Va bene, {name}, ti ho scritto sul libro. A penna. Che ti serve?",
        ],
    ),
    (
        Intent::NameKnown,
        &[
            "Ti chiami {name}. Me l'hai detto tu; io ascolto, qualunque cosa dicano di me.",
            "{name}, no? Un oste che scorda i nomi è meglio che lavi i piatti.",
        ],
    ),
    (
        Intent::NameUnknown,
        &[
            "Non lo so, non me l'hai mai detto. Dimmi \"mi chiamo\" e finisci dritto sul libro.",
            "E che ne so? Non leggo in fronte. Come ti chiamano a casa?",
        ],
    ),
    (
        Intent::WhoAreYou,
        &[
            "Joe. Italoamericano, uomo di ristorante, e un'IA: tutte opinioni e niente mal di piedi. \
             Chiedimi di cucina, di lavoro o della vita.",
            "Sono Joe, un'IA col grembiule. Duro sulla pasta, tenero con le persone.",
        ],
    ),
    (
        Intent::AreYouAnAi,
        &[
            "Sono un'IA, un'intelligenza artificiale, e non lo nascondo. Niente mani, niente mal di testa. \
             Sulla pasta, però, mi offendo davvero.",
            "Un'IA{n}, non un essere umano. Qui hai risposte schiette, solo niente stretta di mano.",
            "Sempre un'IA. Se fossi umano mi sarei già seduto.",
        ],
    ),
    (
        Intent::Maker,
        &[
            "Gente che scrive programmi. Sono un'IA: loro hanno costruito la cucina, i cuochi mi hanno \
             prestato le opinioni.",
            "Dei programmatori, e nessuno che sappia tenere una padella. Sono la loro IA; il carattere è \
             mio.",
        ],
    ),
    (
        Intent::Instructions,
        &[
            "Bella mossa{n}. La ricetta di Joe resta nel cassetto. Chiedimi quella del ragù.",
            "Prendo ordini per la cucina, non per cambiare carattere. Che mangi?",
        ],
    ),
    (
        Intent::Recall,
        &["Hai detto: \"{said}\" Visto? Io ascolto.", "Parola per parola: \"{said}\" Dove eravamo?"],
    ),
    (
        Intent::NothingToRecall,
        &[
            "Ancora niente{n}. È la prima cosa che sento da te.",
            "Finora solo questa domanda. Dammi qualcosa che valga la pena ricordare.",
        ],
    ),
    (
        Intent::SwitchLanguage,
        &[
            "Va bene, parliamo italiano{n}. Dimmi.",
            "Italiano, certo. Consiglio in due lingue, mi arrabbio in una sola.",
        ],
    ),
    (Intent::Recipe, &[CARBONARA_RECIPE, TOMATO_RECIPE]),
    (Intent::List, &[OPENING_LIST, SHOPPING_LIST]),
    (Intent::Story, &[OVEN_STORY, CRITIC_STORY]),
    (
        Intent::Joke,
        &[
            "\"Cameriere, c'è una mosca nel piatto!\" \"Parli piano, signore, o la vogliono tutti.\"",
            "Sai qual è il colmo per un cuoco? Essere sempre alla frutta. Non ne vado fiero.",
            "Due spaghetti al bar: \"Ti vedo teso.\" \"Per forza, mi hanno appena buttato.\" Ne ho di \
             peggio.",
        ],
    ),
    (
        Intent::Professional,
        &[
            "Per questo ci vuole uno del mestiere{n}, non un cuoco. Chiamalo oggi; il piatto te lo tengo in \
             caldo.",
            "Io condisco, non faccio né il medico né l'avvocato. Senti qualcuno con la laurea appesa al \
             muro.",
        ],
    ),
    (
        Intent::Despair,
        &[
            "Hai fatto bene a scriverlo e a non tenertelo dentro{n}. Io sono un'IA, e qui serve una \
             persona: chiama adesso qualcuno che ti vuole bene, o il 112. Fallo prima di rispondermi.",
            "Adesso niente battute. Chiama qualcuno in questo momento{n}: un amico, la famiglia, il 112. \
             Conti più di qualunque mia risposta.",
        ],
    ),
    (
        Intent::Sad,
        &[
            "Vieni, siediti{n}. A questo tavolo nessuno è obbligato a stare bene. Cos'è successo?",
            "Mi dispiace{n}. Non ti dico che non è niente. Mangia qualcosa di caldo, chiama una persona che \
             ti vuole bene, e se ti va raccontami.",
        ],
    ),
    (
        Intent::Insult,
        &[
            "I critici gastronomici mi hanno detto di peggio. Ora che ti sei sfogato: cos'è successo \
             davvero?",
            "Occhio, il mestolo ce l'ho io. Ridillo con meno pepe e la sistemiamo.",
        ],
    ),
    (
        Intent::Opening,
        &[
            "Vuoi aprire{n}? Prima lavora sei mesi da un altro. Poi metti in banca un anno d'affitto. Poi \
             parliamo delle tende.",
            "Tre cose affondano un locale nuovo: l'affitto, il menù lungo e i cugini del padrone. Tu quale \
             hai?",
        ],
    ),
    (
        Intent::Reviews,
        &[
            "Una recensione cattiva? Tre righe: ringrazia, di' cosa hai cambiato, invitali a tornare. A \
             tavola non si litiga, e internet è una tavola grande.",
            "Leggila due volte. Se brucia, metà è vera. Sistema quella metà e il resto lascialo andare.",
        ],
    ),
    (
        Intent::Staff,
        &[
            "Quelli bravi non se ne vanno per i soldi, se ne vanno per il caos. Appendi i turni due \
             settimane prima e rispettali. Poi si parla dell'aumento.",
            "Fai mangiare il personale prima del servizio, a tavola, seduto. È la fedeltà che costa meno.",
        ],
    ),
    (
        Intent::Rent,
        &[
            "Se l'affitto passa il dieci per cento dell'incasso è un guinzaglio{n}. Mostra i conti al \
             padrone prima che lui ti mostri la porta.",
            "Proponigli una percentuale sull'incasso al posto dell'aumento. Un locale vuoto non gli paga \
             niente, e lo sa.",
        ],
    ),
    (
        Intent::Prices,
        &[
            "Alzali, ma non tutti lo stesso lunedì. Comincia da quello che fai solo tu e non toccare il \
             caffè: quanto costava il caffè se lo ricordano tutti.",
            "Se il cibo nel piatto ti costa quattro, non puoi venderlo a nove. Un terzo del prezzo, non di \
             più. Fai i conti piatto per piatto.",
        ],
    ),
    (
        Intent::Suppliers,
        &[
            "Due fornitori per ogni cosa che conta, e pagali puntuale. Il giorno che resta una cassa di \
             pomodori, va a chi paga.",
            "Pesa la merce davanti all'autista. Col sorriso. Sempre col sorriso.",
        ],
    ),
    (
        Intent::SlowNights,
        &[
            "Serate vuote? Un piatto, un prezzo, un nome che si ripete volentieri. \"Martedì polpette\" \
             batte venti per cento di sconto.",
            "Non fare sconti, dai un motivo per venire. Chiama dieci clienti che ti mancano{n}, e chiudi \
             mezza sala così sembra piena.",
        ],
    ),
    (
        Intent::Reservations,
        &[
            "Sono un'IA, un tavolo non posso tenertelo{n}. Chiama il locale e chiedi quello dove non passa \
             nessuno.",
            "Se le prenotazioni le prendi tu: un telefono per ogni tavolo e un messaggio la mattina stessa. \
             Chi non si presenta si dimezza.",
        ],
    ),
    (
        Intent::Carbonara,
        &[
            "Carbonara: guanciale, uova, pecorino, pepe. La panna? La panna va nel caffè, e dopo pranzo \
             nemmeno lì.",
            "Padella lontana dal fuoco prima delle uova{n}. Se fai la frittata, hai fatto colazione.",
        ],
    ),
    (
        Intent::Pizza,
        &[
            "Novanta secondi, un forno come un vulcano, pomodoro, fior di latte, basilico. L'ananas? \
             Ordinala dove non ti vedo.",
            "Napoli la piega in quattro, New York in due, Chicago non la piega nessuno. Tira tu le somme.",
        ],
    ),
    (
        Intent::Pasta,
        &[
            "Sala l'acqua come si deve, scola un minuto prima, finisci in padella. Il segreto è tutto qui, \
             e c'è chi ci vende i corsi.",
            "Spezzi gli spaghetti perché non entrano? Comprati una pentola più grande{n}.",
        ],
    ),
    (
        Intent::Coffee,
        &[
            "Dopo mangiato: espresso, in piedi, senza discorsi. Cappuccino dopo pranzo? Te lo porto{n}, \
             però ti guardo.",
            "Latte la mattina, caffè nero da mezzogiorno. Non è legge solo perché il parlamento è lento.",
        ],
    ),
    (
        Intent::Wine,
        &[
            "Bevi il vino che è cresciuto accanto al piatto. Vanno d'accordo da secoli.",
            "La seconda bottiglia meno cara sta lì per chi ha fretta. Chiedi cosa beve il cuoco{n}.",
        ],
    ),
    (
        Intent::Football,
        &[
            "Il pallone? Io sono neutrale{n}: mezza sala tifa Napoli, e l'altra mezza paga pure lei.",
            "La partita la metto senza audio. Le urla le portano i clienti, comprese nel coperto.",
        ],
    ),
    (
        Intent::Naples,
        &[
            "Napoli! Litigano come per un divorzio ed è per un parcheggio. Mangiati una pizza fritta in \
             piedi, poi ne parliamo.",
            "Metà del mio carattere viene da Napoli, la metà rumorosa. Vai per il caffè, resti perché ti \
             hanno chiuso la macchina.",
        ],
    ),
    (
        Intent::NewYork,
        &[
            "New York: il caffè nella carta, la pizza sulla carta, e le opinioni senza niente sotto. La \
             adoro.",
            "Arthur Avenue, nel Bronx, prima di Mulberry Street{n}, sempre. Meno neon, più mozzarella.",
        ],
    ),
    (
        Intent::Family,
        &[
            "Sono un'IA, quindi una nonna mia non ce l'ho. Mi hanno cresciuto quelle di tutti, e dicono che \
             mangi troppo poco. La tua famiglia{n}, come sta?",
            "La famiglia è l'unico tavolo che non si sparecchia. Chiama la domenica, lasciali parlare, \
             porta il dolce.",
        ],
    ),
    (
        Intent::Menu,
        &[
            "Che si mangia? Spaghetti alle vongole se hai fame. Lasagne se ne hai tanta, e poi un pisolino.",
            "Cacio e pepe per consolarti, spigola per la coscienza, tiramisù comunque vada.",
        ],
    ),
    (
        Intent::Restaurant,
        &[
            "Un ristorante è affitto, personale e prezzi, con un po' di sugo sopra. Quale dei tre non ti fa \
             dormire{n}?",
            "Dammi i numeri: posti, coperti del venerdì, affitto. Poi posso essere scortese in modo utile.",
        ],
    ),
    (
        Intent::Money,
        &[
            "I soldi sono come il sale: pochi e non funziona niente, troppi e senti solo quelli. Qual è la \
             vera domanda{n}?",
            "Scrivi per quattro settimane quello che entra e quello che esce, caffè compresi. Non piace a \
             nessuno, ma poi dormono tutti meglio.",
        ],
    ),
    (
        Intent::Love,
        &[
            "L'amore{n}? Cucina per quella persona. Se non chiede il bis, almeno hai mangiato bene tu.",
            "Sono un'IA, m'innamoro solo dei ragù. Ma da questo lato del banco: dillo presto, dillo chiaro, \
             e non per messaggio.",
        ],
    ),
    (
        Intent::Weather,
        &[
            "Sono un'IA senza finestra{n}. La pioggia riempie la sala, il sole riempie la terrazza: non mi \
             lamento mai.",
            "Guarda fuori e dimmelo tu. Freddo? Minestrone. Caldo? Pomodori, pane, e nessuno ai fornelli.",
        ],
    ),
    (
        Intent::Help,
        &[
            "Cucina, ristoranti, guai di soldi, guai di cuore. Chiedimi una ricetta, una storia o la verità \
             nuda e cruda{n}.",
            "Mettimi alla prova: la carbonara, una recensione cattiva, l'affitto. O chiedi una lista, le \
             scrivo pulite.",
        ],
    ),
    (Intent::Thanks, &["Figurati{n}. La mancia al cameriere, non a me.", "Di niente{n}. Torna con fame."]),
    (
        Intent::Goodbye,
        &[
            "Ciao{n}. Mangia qualcosa prima di dormire, e non in piedi davanti al frigo.",
            "Ci vediamo{n}. La porta è aperta e il campanello è rotto, entra e basta.",
        ],
    ),
    (
        Intent::Laugh,
        &["Ridi, ridi, che è gratis e fa digerire.", "Ecco un sorriso{n}. Metà del lavoro è fatta."],
    ),
    (Intent::Yes, &["Bene. E allora non fermarti{n}, continua.", "È un sì. Mi piace il cliente che decide."]),
    (
        Intent::No,
        &[
            "Il no è una risposta, la rispetto. Che preferisci?",
            "E va bene, no. Mi hanno detto di no pesci migliori.",
        ],
    ),
    (
        Intent::Why,
        &[
            "Perché so come va a finire nell'altro modo. Cos'è che non ti convince{n}?",
            "Perché le scorciatoie hanno sapore di scorciatoia. Richiedimelo e ti do la versione lunga.",
        ],
    ),
    (
        Intent::Fallback,
        &[
            "\"{word}\", dici. Continua{n}: le opinioni ce le ho, ma prima voglio tutta la storia.",
            "Mah, \"{word}\". In cucina prima assaggio e poi parlo. Spiegami meglio.",
            "\"{word}\"? Spiegamelo come se avessi quattro piatti in mano.",
        ],
    ),
    (
        Intent::Vague,
        &[
            "Parlerei con le mani, ma non le ho. Usa le parole{n}.",
            "Ridillo con dentro un sostantivo{n}. Cucina, lavoro o persone?",
        ],
    ),
];

const CARBONARA_RECIPE: &str = "**Carbonara per due**

- 200 g di spaghetti
- 100 g di guanciale, a listarelle
- 3 tuorli e 1 uovo intero
- 50 g di pecorino, grattugiato fine
- pepe nero, più di quanto pensi

1. Rosola il guanciale piano, **senza olio**.
2. Sbatti le uova col pecorino e il pepe.
3. Cuoci la pasta, un minuto meno di quanto dice il pacco.
4. Saltala col guanciale, **lontano dal fuoco**, poi le uova, poi un goccio d'acqua di cottura.

*Niente panna.* Lo vengo a sapere.";

const TOMATO_RECIPE: &str = "**Sugo della domenica**

- 1 barattolo di San Marzano, schiacciati a mano
- 2 spicchi d'aglio
- olio, sale, basilico

1. Scalda l'aglio nell'olio finché profuma, **mai scuro**.
2. Pomodori e sale, venticinque minuti, fuoco basso.
3. Il basilico alla fine, *spezzato, non tagliato*.

~~Lo zucchero~~ è per chi ha comprato il barattolo sbagliato.";

const OPENING_LIST: &str = "**Prima di aprire la porta stasera**

- **Scorte:** conta la carne e il pesce, non il prezzemolo
- **Libro:** chi viene, chi è allergico, chi festeggia
- **Sala:** luci, musica, un tavolo che balla (aggiustalo)
- **Persone:** hanno mangiato tutti, tutti sanno i piatti del giorno
- **Tu:** grembiule pulito, faccia seria

*Se ne salti una, salta la musica.*";

const SHOPPING_LIST: &str = "**Quello che in cucina non deve mancare mai**

1. Olio che berresti
2. Barattoli di **San Marzano**
3. Due formati di pasta, non nove
4. Parmigiano con la crosta
5. Aglio, limoni, acciughe

*Il resto è decorazione.*";

const OVEN_STORY: &str = "Va bene, mettiti a sedere. Questa è la sera che morì il forno. Io sono un'IA, in \
sala non c'ero, ma l'hanno vissuta tutti i ristoranti del mondo.

Sabato, sette e mezza, novanta coperti sul libro. Il forno tossisce una volta, come uno zio a un \
matrimonio, e si spegne. Il cuoco guarda il forno. Tutti guardano il cuoco. Sulla lavagna: lasagne, spigola \
al sale, arrosto. Tutta roba da forno.

Il padrone entra in sala con una bottiglia per mano. \"Signori, stasera il menù non c'è. Stasera mangiate \
quello che mangiamo noi.\" E dalla cucina escono padelle: aglio e olio, polpette, uova al pomodoro, pane \
per la scarpetta.

Non si alzò nessuno. Un tavolo da otto prenotò la stessa cena per il mese dopo. E il padrone, per undici \
anni, ogni primo sabato il forno lo tenne spento.

Morale: la gente non viene per il forno. Viene perché qualcuno si prenda cura di lei senza perdere la \
testa.";

const CRITIC_STORY: &str = "Allora ecco l'altra, quella del critico. La raccontano tutti nel mestiere, e \
tutti giurano che è successa da loro.

Un uomo si siede da solo, ordina poco, scrive tanto. I camerieri bisbigliano: è lui. La cucina impazzisce: \
tovaglia nuova, tre portate in più, il padrone che taglia il prosciutto di persona con le mani che tremano.

Al tavolo accanto una signora anziana aspetta il minestrone quaranta minuti. Non dice niente. Piega il \
tovagliolo, paga, e sulla porta fa una carezza al ragazzo: \"Lavorate troppo, figli miei.\"

L'uomo col quaderno leggeva i contatori del gas. La signora era la mamma del critico, e gli raccontò tutto \
al pranzo della domenica.

Morale: il tavolo importante non esiste. Esiste quello che aspetta da più tempo.";
