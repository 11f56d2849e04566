//! What is told, to look at; and that it always fits.

use std::time::Duration;

use proptest::prelude::*;

use super::super::locale::Locale;
use super::*;
use crate::chat::{LeftOutEntry, LoreReport, RepetitionReceipt, Timings, ToldEntry};
use crate::domain::{
    CastMember, Character, CharacterId, CharacterSheet, GuildId, Length, LoreEntry, Lorebook, Note,
    Participant, Person, PersonId, Persona, PersonaId, Scene, SceneId, SceneState,
};
use crate::prompt::{Section, SectionKind, Trimmed};
use crate::sampling::SamplerParams;
use crate::store::{ChannelSettings, Consent, GuildSettings, QueuePlace, SceneOpening, Standing};

fn prompt_receipt(num_notes: usize) -> PromptReceipt {
    let section =
        |kind, label: &str, num_tokens| Section { kind, label: label.to_owned(), num_tokens };
    let mut sections = vec![
        section(SectionKind::Bos, "", 1),
        section(SectionKind::LoreBefore, "The ```Lighthouse```", 60),
        section(SectionKind::Character, "Maren Holt of the long, long name", 199),
        section(SectionKind::Turns, "12 turns", 740),
    ];
    sections.extend((0..num_notes).map(|_| section(SectionKind::Note, "depth 3", 40)));
    PromptReceipt {
        template: "limarp-alpaca/1".into(),
        sections,
        num_tokens: 1_000,
        budget_tokens: 1_728,
        trimmed: Trimmed { num_turns: 9, num_examples: 1, ..Trimmed::default() },
    }
}

fn reply_receipt() -> ReplyReceipt {
    ReplyReceipt {
        model: "small".into(),
        model_fingerprint: "0123456789abcdef0123".into(),
        preset: "limarp".into(),
        sampler: SamplerParams::preset("limarp").expect("ours"),
        seed: 42,
        length: Some(Length::Medium),
        max_tokens: 320,
        length_range: None,
        stops: Vec::new(),
        standing_bytes: 0,
        prompt: prompt_receipt(0),
        lore: LoreReport::default(),
        repetition: RepetitionReceipt::default(),
        impersonation_tokens: 0,
        finish: "stop".into(),
        timings: Timings {
            lane_ms: 100,
            prompt_ms: 20,
            queue_ms: 50,
            prefill_ms: 900,
            decode_ms: 4_000,
            num_prompt_tokens: 1_000,
            num_cached_tokens: 850,
            num_generated_tokens: 101,
        },
    }
}

fn sheet(name: &str, description: &str) -> CharacterSheet {
    CharacterSheet {
        name: name.into(),
        description: description.into(),
        greeting: "Hello.".into(),
        ..CharacterSheet::default()
    }
}

fn member(name: &str, description: &str, length: Option<Length>) -> CastMember {
    let character =
        Character { id: CharacterId(1), guild_id: GuildId(1), sheet: sheet(name, description) };
    CastMember { character, length }
}

fn participant(display_name: &str, persona: Option<(&str, &str)>) -> Participant {
    Participant {
        person: Person {
            id: PersonId(1),
            guild_id: GuildId(1),
            external_id: "9".into(),
            display_name: display_name.into(),
        },
        persona: persona.map(|(name, description)| persona_of(name, description)),
    }
}

fn persona_of(name: &str, description: &str) -> Persona {
    Persona {
        id: PersonaId(1),
        guild_id: GuildId(1),
        person_id: PersonId(1),
        name: name.into(),
        description: description.into(),
    }
}

fn place(standing: Standing) -> QueuePlace {
    let mean_reply = Some(Duration::from_secs(20));
    QueuePlace { standing, num_ready: 9, num_in_work: 4, mean_reply }
}

fn scene(title: &str, scenario: &str) -> Scene {
    Scene {
        id: SceneId(1),
        guild_id: GuildId(1),
        channel: "7".into(),
        title: title.into(),
        scenario: scenario.into(),
        note: Some(Note { text: "It rains.".into(), depth: 3 }),
        length: None,
        preset: "limarp".into(),
        head: None,
        anchor: None,
        state: SceneState::Paused,
    }
}

#[test]
fn the_context_adds_up() {
    insta::assert_snapshot!(context(&prompt_receipt(0), 320, Some(850)), @r"
    **What the model sees**, in tokens
    ```
    beginning of text             1
    lore before the charact…     60
    character: Maren Holt o…    199 █
    turns: 12 turns             740 █████
    all together               1000
    still free                  728
    for the reply               320
    ```
    Left out for want of room: 9 old turns, 1 example dialogue. 85 % was still known from an earlier reply.
    ");
    let many = context(&prompt_receipt(100), 320, None);
    assert!(length(&many) <= MAX_MESSAGE && many.contains(" more\nall together"), "{many}");
}

#[test]
fn a_receipt_says_how_a_reply_was_made() {
    insta::assert_snapshot!(why(&reply_receipt()), @r"
    **How this reply was made**
    ```
    model     small (0123456789ab)
    template  limarp-alpaca/1
    preset    limarp
    sampling  temperature 0.55, TFS 0.95, repetition penalty 1.15 over 512 tokens
    seed      42
    length    medium; cut at 320 tokens
    prompt    1000 tokens, 85 % still known
    reply     101 tokens, 25.0 a second
    ended by  stop
    waited    0.1 s
    reading   0.9 s
    writing   4.0 s
    ```
    ");
}

#[test]
fn a_scene_tells_how_it_stands() {
    let cast =
        [member("Maren", "A *keeper*. She waits.", Some(Length::Long)), member("Tam", "", None)];
    let people = [participant("ana_b", Some(("Ash", "A stranger."))), participant("Ben", None)];
    let scene = scene("The <@1> Lighthouse", "A storm.\nA light.");
    let told = status(&Status {
        scene: &scene,
        cast: &cast,
        people: &people,
        num_jobs: 1,
        place: &place(Standing::Behind(3)),
    });
    insta::assert_snapshot!(told, @r"
    **The \<\@1\> Lighthouse** · paused: turns are kept, nobody answers
    Length auto · preset limarp
    3 replies come before the one here; it begins in about 20 seconds.
    Note, 3 turns before the end: It rains.
    Scenario: A storm. A light.
    🎭 **Maren** (long) · A \*keeper\*. She waits.
    🎭 **Tam**
    ✍️ **Ash**, played by ana\_b · A stranger.
    ✍️ **Ben**
    ");
    insta::assert_snapshot!(super::cast(&cast, &people), @r"
    **In this scene**
    🎭 **Maren** (long) · A \*keeper\*. She waits.
    🎭 **Tam**
    ✍️ **Ash**, played by ana\_b · A stranger.
    ✍️ **Ben**
    ");
}

#[test]
fn personas_are_told_here_and_everywhere() {
    let (ash, kim) = (persona_of("Ash", "Tall.\nQuiet."), persona_of("Kim", ""));
    let told = |here, server| personas(&Personas { display_name: "ana_b", here, server });
    insta::assert_snapshot!(told(Some(&ash), None), @r"
    In this scene: **Ash**
    > Tall. Quiet.
    On this server: yourself, **ana\_b**
    ");
    insta::assert_snapshot!(told(None, Some(&kim)), @r"
    In this scene: the same as on this server
    On this server: **Kim**
    > no description; /persona set gives one
    ");
    insta::assert_snapshot!(told(None, None), @r"
    In this scene: yourself, **ana\_b**
    On this server: yourself, **ana\_b**
    ");
}

#[test]
fn characters_are_shown_as_far_as_they_fit() {
    let mut maren = sheet("Maren Holt", "Keeper of the **light**.\n\nShe waits.");
    maren.nickname = Some("Maren".into());
    insta::assert_snapshot!(character(&maren), @r"
    **Maren Holt**, called Maren · speaks unasked 50 % of the time · 1 greeting

    **Description**
    > Keeper of the \*\*light\*\*.
    > She waits.

    **Greeting**
    > Hello.
    ");
    maren.description = "word ".repeat(2_000);
    maren.example_dialogue = "*_".repeat(4_000);
    let shown = character(&maren);
    assert!(length(&shown) <= MAX_MESSAGE);
    assert!(shown.contains("**Greeting**\n> Hello."), "{shown}");
    assert!(characters(&[]).contains("/character create"));
}

#[test]
fn a_guild_tells_how_it_is_set_up() {
    let nothing = GuildSettings::default();
    insta::assert_snapshot!(setup(&nothing, Consent::Assumed, &[], |_| None), @r"
    Moderators: people who may manage messages
    Reports appear nowhere; /setup reports names a channel
    Nobody is asked before their words are taken; /setup consent changes it
    Scenes may begin everywhere; /setup channel says where and how
    ");
    let settings = GuildSettings {
        moderator_roles: vec!["60".into()],
        reports_channel: Some("8".into()),
        ..GuildSettings::default()
    };
    let forum = ChannelSettings {
        channel: "7".into(),
        opens: SceneOpening::Post,
        starter_roles: vec!["50".into()],
        character: Some(CharacterId(1)),
        length: Some(Length::Short),
        preset: Some("creative".into()),
    };
    insta::assert_snapshot!(setup(&settings, Consent::Asked, &[forum], |_| Some("Maren".into())), @r"
    Moderators: people who may manage messages, and <@&60>
    Reports appear in <#8>
    People are asked before their words are taken
    <#7>: a scene with every new post, begun by <@&50>, with Maren, length short, preset creative
    ");
    insta::assert_snapshot!(presets(&["limarp".into(), "noir".into()], "limarp"), @r"
    **How words are chosen**
    - limarp ← chosen
    - noir
    ");
}

#[test]
fn help_knows_every_command_in_every_language() {
    insta::assert_snapshot!(help(None, Locale::default()), @r"
    Write in a scene, and somebody answers.
    `/scene` Begin a scene and look after it
    `/cast` Who plays in the scene
    `/persona` Whom you play
    `/length` How long replies are, from micro to unlimited
    `/reply` Somebody speaks, without you saying anything
    `/stop` Ends the reply that is being written; what is there stays
    `/queue` When the next reply here is begun
    `/note` A reminder to the model, placed between the turns
    `/preset` How words are chosen
    `/lore` What the model is told when the story comes to speak of it
    `/roll` Dice fall where everybody sees them, and the story knows
    `/context` What the model sees: tokens by section, what was left out
    `/why` How the latest reply was made: settings, seed, timings
    `/undo` Back to before the latest change; /redo takes it back
    `/redo` Takes the last undo back
    `/help` How to play, and what the commands do
    `/character` The characters of this server
    `/setup` Where scenes may live, and who looks after them
    `/training` Whether scenes here may be used to train the model
    `/privacy` What is kept of you here, and what is done with it
    `/lines` Lines and veils: what never happens, and what happens out of sight alone
    `/policy` What is allowed in scenes, on the server and in its channels
    `/mod` For moderators: stop scenes and people, and see what was done
    `/appeal` Say something to a case about you
    In a message's menu, under Apps: Again, Continue, Edit, Rewind to here, Branch here, Report, What did it see.
    More: /help topic: playing, scenes, lengths, buttons, out of character, personas, lines and veils, permissions, moderators, or any command.
    ");
    insta::assert_snapshot!(help(Some("/length"), Locale::of("de")), @r"
    **/länge** · Wie lang Antworten sind, von micro bis unlimited
    - `[länge:]` Wie lang; ohne Angabe wird gezeigt, was gilt
    - `[für:]` Nur die Antworten dieser Figur; „auto“ folgt dann der Szene
    ");
    for locale in ["en-US", "de", "fr"].map(Locale::of) {
        assert!(!help(None, locale).contains(" more\n"), "everything fits");
        for topic in help_topics("", locale) {
            let told = help(Some(&topic), locale);
            assert!(length(&told) <= MAX_MESSAGE && !told.contains("no help"), "{topic}: {told}");
        }
    }
    assert!(help_topics("", Locale::default()).len() <= 25);
    assert_eq!(help_topics("le", Locale::default())[0], "lengths");
    assert!(help(Some("dance"), Locale::default()).contains("no help about “dance”"));
    assert!(help(Some("rewind to here"), Locale::default()).contains("under Apps"));
}

#[test]
fn slow_keys_of_lore_are_told_of() {
    let quiet = LoreReport::default();
    assert!(super::lore(&quiet).is_empty());
    assert!(lore_test(&quiet).contains("no lore to try"));
    let slow = LoreReport { num_regexes_given_up: 2, ..quiet };
    for told in [super::lore(&slow), lore_test(&slow)] {
        assert!(told.contains("2 searches by regular expressions took too long"), "{told}");
    }
}

proptest! {
    #[test]
    fn everything_fits(text in "[*_`<@#\\n a-zé🦊]{0,900}", number in 0usize..60) {
        let cast = vec![member(&text, &text, None); number];
        let people = vec![participant(&text, Some((&text, &text))); number];
        let scene = scene(&text, &text);
        let persona = persona_of(&text, &text);
        let character_sheet = CharacterSheet {
            personality: text.clone(),
            scenario: text.clone(),
            greeting: text.clone(),
            example_dialogue: text.clone(),
            ..sheet(&text, &text)
        };
        let entry = LoreEntry {
            name: text.clone(),
            content: text.clone(),
            keys: vec![text.clone(); 2],
            selective: true,
            secondary_keys: vec![text.clone(); 2],
            ..LoreEntry::default()
        };
        let book = Lorebook {
            name: text.clone(),
            description: text.clone(),
            entries: vec![entry.clone(); number],
            ..Lorebook::default()
        };
        let told = ToldEntry {
            book: text.clone(),
            name: text.clone(),
            cause: text.clone(),
            num_tokens: number,
        };
        let left_out =
            LeftOutEntry { book: text.clone(), name: text.clone(), reason: text.clone() };
        let report = LoreReport {
            told: vec![told; number],
            left_out: vec![left_out; number],
            num_regexes_given_up: number,
            ..LoreReport::default()
        };
        let told = [
            lorebook(&book),
            lore_entry(&text, &entry),
            lore_test(&report),
            status(&Status {
                scene: &scene,
                cast: &cast,
                people: &people,
                num_jobs: number,
                place: &place(Standing::Behind(u32::MAX)),
            }),
            super::cast(&cast, &people),
            personas(&Personas {
                display_name: &text,
                here: Some(&persona),
                server: Some(&persona),
            }),
            character(&character_sheet),
            characters(&cast.iter().map(|member| member.character.clone()).collect::<Vec<_>>()),
            presets(&vec![text.clone(); number], &text),
            help(Some(&text), Locale::default()),
        ];
        for told in told {
            prop_assert!(length(&told) <= MAX_MESSAGE, "{told}");
        }
    }
}
