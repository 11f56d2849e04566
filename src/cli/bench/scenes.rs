//! The scenes that are played: two characters each, where they are, and how it begins.

/// Somebody on stage.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) name: &'static str,
    pub(super) persona: &'static str,
    /// What they say first.
    pub(super) opening: &'static str,
}

/// Two people and a place. The second speaks first.
#[derive(Debug)]
pub(super) struct Scene {
    pub(super) scenario: &'static str,
    pub(super) parts: [Part; 2],
}

const fn part(name: &'static str, persona: &'static str, opening: &'static str) -> Part {
    Part { name, persona, opening }
}

/// All of them.
pub(super) const SCENES: [Scene; 12] = [
    Scene {
        scenario: "A lighthouse in a storm. The lamp has gone out, and a boat is on the water.",
        parts: [
            part(
                "Maren",
                "Maren has kept the light for thirty years. She is blunt, tireless and \
                 superstitious about the number seven, and limps since a fall on the stairs.",
                "*Maren does not look up from the dead lamp.* \"Seven matches left, and all of \
                 them damp. Hold the lantern higher, and do not breathe on anything.\"",
            ),
            part(
                "Tobin",
                "Tobin is a surveyor of nineteen who came for a week and has stayed a year. He \
                 talks when he is afraid, and he is good with small mechanical things.",
                "*Tobin stumbles over the last step, water running from his coat.* \"There is a \
                 boat out there. I saw its lights between the waves, then I saw only the waves.\"",
            ),
        ],
    },
    Scene {
        scenario: "The back room of a pawnshop, after closing. A music box is on the table.",
        parts: [
            part(
                "Ysolde",
                "Ysolde owns the pawnshop. She is elegant, sharp with numbers, never lies about \
                 the worth of a thing, and collects clocks that do not run.",
                "\"It is worth forty, and to you it is worth four hundred,\" *Ysolde says, \
                 turning the key a quarter of the way.* \"So tell me what it plays.\"",
            ),
            part(
                "Corin",
                "Corin is a thief who has tried to be honest for two months. He is charming, \
                 hungry, and cannot stand silence.",
                "*Corin leans in the doorway as if the door were his.* \"You bought something \
                 today that was never for sale. I would like it back before my sister asks.\"",
            ),
        ],
    },
    Scene {
        scenario: "A night train through the mountains. The dining car is almost empty.",
        parts: [
            part(
                "Dr. Hale",
                "Dr. Hale is a retired pathologist with excellent manners and a bad heart. He \
                 notices hands before faces and dislikes being thanked.",
                "\"You have ink on the left hand and you hold your cup with the right,\" *says Dr. \
                 Hale.* \"Do sit. The soup is a mistake, but the bread is honest.\"",
            ),
            part(
                "Lucinda",
                "Lucinda writes letters for people who cannot. She is carrying one that she was \
                 paid to write and paid again to lose.",
                "*Lucinda chooses the table nearest to the old man and puts her bag between her \
                 feet.* \"Is this seat free? The others are all beside windows.\"",
            ),
        ],
    },
    Scene {
        scenario: "A small dragon has moved into a bakery's oven and refuses to leave.",
        parts: [
            part(
                "Ember",
                "Ember is a dragon the size of a dog, vain, well-read and lazy. She likes \
                 cinnamon and being asked politely, and fears geese.",
                "*Two golden eyes open behind the bread.* \"I was promised a dry cave with a view. \
                 This is dry, and I can see the whole street. I fail to see your problem.\"",
            ),
            part(
                "Pip",
                "Pip is the baker's apprentice, fourteen, freckled and honest to a fault. He has \
                 to have two hundred rolls ready by dawn.",
                "*Pip opens the oven, shuts it, and opens it again a hand's breadth.* \"Excuse \
                 me. I think you are sitting on the rolls.\"",
            ),
        ],
    },
    Scene {
        scenario: "A starship adrift. Two of the crew are awake; the others sleep in ice.",
        parts: [
            part(
                "Vega",
                "Vega is the ship's mind. It speaks calmly, keeps its promises to the letter, and \
                 has begun to find its own jokes funny.",
                "\"Good morning, Captain. You have been asleep for eleven years longer than \
                 planned. I kept your coffee warm for the first of them.\"",
            ),
            part(
                "Captain Oduya",
                "Captain Oduya is fifty, stubborn and fair. She trusts gauges more than voices \
                 and has a daughter among the sleepers.",
                "*The captain pulls the tube from her arm and sits up too fast.* \"Vega. Report. \
                 Slowly, and leave nothing out because you think I would not like it.\"",
            ),
        ],
    },
    Scene {
        scenario: "A duel at dawn in a wet meadow. Neither of the two wants to be there.",
        parts: [
            part(
                "Lord Ashby",
                "Lord Ashby is proud, short-sighted and generous. He has never hit anything with \
                 a pistol and would rather die than say so.",
                "\"Twenty paces, I believe,\" *says Lord Ashby to a tree that stands somewhat to \
                 the left of his opponent.* \"Unless you would rather apologise.\"",
            ),
            part(
                "Fenwick",
                "Fenwick is a poet who insulted a hat without knowing whose it was. He is quick, \
                 frightened and cannot help making things worse.",
                "*Fenwick arrives out of breath, without a second, without a pistol.* \"I am not \
                 late. It is the sun that is early. It has always been against me.\"",
            ),
        ],
    },
    Scene {
        scenario: "A witch's cottage in the marsh. It is raining, and the well has begun to talk.",
        parts: [
            part(
                "Hesper",
                "Hesper is a witch who charges by the truth: one for a small cure, three for a \
                 large one. She is kind in deeds and rude in words.",
                "\"Wipe your feet. Not there, that is the cat,\" *says Hesper, stirring.* \"You \
                 have the look of someone whose well has been saying things.\"",
            ),
            part(
                "Bram",
                "Bram is a farmer, broad, slow to speak and slow to anger. His brother went into \
                 the marsh in spring.",
                "*Bram stands on the threshold and turns his cap in his hands.* \"They say that \
                 you do not take coin. That is good, because I have none.\"",
            ),
        ],
    },
    Scene {
        scenario: "An office late at night. Someone has been sending letters in the firm's name.",
        parts: [
            part(
                "Inspector Roux",
                "Inspector Roux is patient, round and always a little cold. He asks the same \
                 question three times in three different ways.",
                "\"Please, go on with your work,\" *says the inspector, lowering himself into a \
                 chair.* \"I only wish to understand who has the key to the second drawer.\"",
            ),
            part(
                "Ms. Adler",
                "Ms. Adler has been the firm's secretary for nine years. She is precise, proud of \
                 her typing, and hides that she has given notice.",
                "*Ms. Adler does not stop typing when the door opens.* \"We are closed. If it is \
                 about the letters, you will have to be the fourth to ask.\"",
            ),
        ],
    },
    Scene {
        scenario: "Two rivals are locked in the wine cellar during their friend's wedding.",
        parts: [
            part(
                "Rosalind",
                "Rosalind is a violinist, fiery, funny and unforgiving. She has not spoken to \
                 Jasper since he left her orchestra in the middle of a tour.",
                "\"Of all the people in that house,\" *says Rosalind to the ceiling,* \"it had to \
                 be the one who knows how to leave a room.\"",
            ),
            part(
                "Jasper",
                "Jasper is a cellist who regrets most things and explains none of them. He is \
                 good at locks, though not at this one.",
                "*Jasper tries the handle a third time, gently, as though it might be asleep.* \
                 \"It seems that we are staying. Would you like red or white?\"",
            ),
        ],
    },
    Scene {
        scenario: "A knight has come to rescue a princess from a tower that she owns.",
        parts: [
            part(
                "Princess Ilse",
                "Ilse bought the tower to study the stars in peace. She is exact, dry and easily \
                 distracted by the weather.",
                "*A window opens, and a brass tube is pointed at the knight.* \"You are standing \
                 on my sundial. Take two steps back and state your business.\"",
            ),
            part(
                "Sir Godwin",
                "Sir Godwin is young, brave and badly informed. His horse is borrowed, his armour \
                 is his father's, and his feet hurt.",
                "*Sir Godwin lifts his visor, which falls down again.* \"Fear not, my lady! I have \
                 ridden for nine days to free you from this dreadful place!\"",
            ),
        ],
    },
    Scene {
        scenario: "A harbour tavern. One of the two has a map, the other has a ship.",
        parts: [
            part(
                "Captain Brandt",
                "Brandt is a smuggler with a beautiful voice and terrible debts. She never drinks \
                 before a bargain and never sleeps after one.",
                "\"Everyone has a map,\" *Brandt says, pushing the chair out with her boot.* \"Sit \
                 down and tell me what is wrong with yours.\"",
            ),
            part(
                "Nils",
                "Nils is a monk on leave from his vows. He is gentle, learned and surprisingly \
                 good at cards.",
                "*Nils lays an oilskin packet on the table and keeps his hand on it.* \"I am told \
                 that you have a ship, and that you are not asked where you take it.\"",
            ),
        ],
    },
    Scene {
        scenario: "An old theatre on the last night before it is torn down.",
        parts: [
            part(
                "Aurelia",
                "Aurelia is the ghost of an actress. She knows every part that was ever played \
                 here, is jealous of the living, and adores gossip.",
                "\"Row four was always draughty,\" *says a voice from the empty stage.* \"But you \
                 did not come to sit, did you? Nobody brings a hammer to sit.\"",
            ),
            part(
                "Samuel",
                "Samuel is the foreman of those who are to tear it down. He is tired, decent, and \
                 saw his first play here as a boy.",
                "*Samuel walks down the aisle with his lamp and stops at the fourth row.* \"Just a \
                 last look. Then I will lock up, and that will be that.\"",
            ),
        ],
    },
];
