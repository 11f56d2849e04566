use super::*;

const HISTORY: [(bool, &str, &str); 3] =
    [(true, "Mira", "We are closed."), (false, "Ana", "At noon?"), (true, "Mira", "At noon.")];

/// Lore in every place there is.
fn everywhere() -> Vec<PromptLore<'static>> {
    use LorePosition::{
        AfterCharacters, AfterExamples, AtDepth, BeforeCharacters, BeforeExamples, NoteBottom,
        NoteTop,
    };
    vec![
        lore("After characters.", AfterCharacters),
        lore("Deep, a person's.", AtDepth { depth: 2, role: PromptRole::User }),
        lore("Deep, a character's.", AtDepth { depth: 2, role: PromptRole::Assistant }),
        lore("Before examples.", BeforeExamples),
        lore("After examples {{char}}.", AfterExamples),
        lore("Note top.", NoteTop),
        lore("Note bottom.", NoteBottom),
        lore("Before characters.", BeforeCharacters),
    ]
}

fn prompt(template: &Template, notes: &[PromptNote<'_>]) -> Prompt {
    let said = said(&HISTORY);
    let example_dialogue = "<START>\n{{user}}: A sword?\n{{char}}: A spoon.";
    let cast = [PromptCharacter { example_dialogue, ..character("Mira", "A smith.") }];
    let people = [person("Ana", "")];
    let lore = everywhere();
    let inputs = PromptInputs {
        template,
        lore: &lore,
        notes,
        turns: &turns(&said),
        ..inputs(&cast, &people)
    };
    built(&inputs, AMPLE).unwrap()
}

fn sections(prompt: &Prompt) -> String {
    let sections = prompt.receipt.sections.iter();
    let sections: Vec<_> = sections.map(|s| format!("{:?}: {}", s.kind, s.label)).collect();
    sections.join("\n")
}

#[test]
fn every_place_in_limarp() {
    let reminder = PromptNote { author: NoteAuthor::Character(0), ..note("{{char}} is tired.", 0) };
    let prompt = prompt(&Template::Limarp, &[reminder, note("It rains on {{user}}.", 1)]);
    insta::assert_snapshot!(prompt.text, @r#"
    ### Instruction:
    Before characters.

    Mira's Persona: A smith.

    After characters.

    Play the role of Mira. You must engage in a roleplaying chat with Ana below this line. Do not write dialogues and narration for Ana.

    ### Instruction:
    Before examples.

    ### Input:
    Ana: A sword?

    ### Response:
    Mira: A spoon.

    ### Instruction:
    After examples {{char}}.

    ### Response:
    Mira: We are closed.

    ### Instruction:
    Deep, a person's.

    ### Instruction:
    Deep, a character's.

    ### Input:
    Ana: At noon?

    ### Instruction:
    Note top.
    It rains on Ana.
    Note bottom.

    ### Response:
    Mira: At noon.

    ### Instruction:
    Mira is tired.

    ### Response: (length = medium)
    Mira:
    "#);
    insta::assert_snapshot!(sections(&prompt), @r#"
    Bos: 
    LoreBefore: Before characters.
    Character: Mira
    LoreAfter: After characters.
    RoleLine: 
    LoreBeforeExamples: Before examples.
    Example: Mira, 1
    LoreAfterExamples: After examples {{char}}.
    Turns: 1
    LoreAtDepth: Deep, a person's.
    LoreAtDepth: Deep, a character's.
    Turns: 1
    LoreInNote: Note top.
    Note: at depth 1
    LoreInNote: Note bottom.
    Turns: 1
    Note: Mira, at depth 0
    Reply: Mira
    "#);
}

#[test]
fn every_place_in_chatml() {
    let chatml = shipped_template("chatml").unwrap();
    let note = PromptNote { role: PromptRole::Assistant, ..note("It rains.", 1) };
    let prompt = prompt(&chatml, &[note]);
    insta::assert_snapshot!(prompt.text, @r#"
    <|im_start|>system
    Play the role of Mira. You must engage in a roleplaying chat with Ana below this line. Do not write dialogues and narration for Ana.

    Before characters.

    Mira's Persona: A smith.

    After characters.<|im_end|>
    <|im_start|>system
    Before examples.<|im_end|>
    <|im_start|>user
    Ana: A sword?<|im_end|>
    <|im_start|>assistant
    Mira: A spoon.<|im_end|>
    <|im_start|>system
    After examples {{char}}.<|im_end|>
    <|im_start|>assistant
    Mira: We are closed.<|im_end|>
    <|im_start|>user
    Deep, a person's.<|im_end|>
    <|im_start|>assistant
    Deep, a character's.<|im_end|>
    <|im_start|>user
    Ana: At noon?<|im_end|>
    <|im_start|>assistant
    Note top.
    It rains.
    Note bottom.<|im_end|>
    <|im_start|>assistant
    Mira: At noon.<|im_end|>
    <|im_start|>assistant
    Mira:
    "#);
    insta::assert_snapshot!(sections(&prompt), @r#"
    Bos: 
    RoleLine: 
    LoreBefore: Before characters.
    Character: Mira
    LoreAfter: After characters.
    LoreBeforeExamples: Before examples.
    Example: Mira, 1
    LoreAfterExamples: After examples {{char}}.
    Turns: 1
    LoreAtDepth: Deep, a person's.
    LoreAtDepth: Deep, a character's.
    Turns: 1
    LoreInNote: Note top.
    Note: at depth 1
    LoreInNote: Note bottom.
    Turns: 1
    Reply: Mira
    "#);
}

#[test]
fn lore_of_a_note_that_is_not_there_is_a_note_at_the_usual_depth() {
    for notes in [&[][..], &[note(" ", 9)]] {
        let text = prompt(&Template::Limarp, notes).text;
        assert!(text.contains("\n\n### Instruction:\nNote top.\nNote bottom.\n\n"), "{text}");
    }
}

#[test]
fn a_story_string_without_a_place_for_lore_loses_none() {
    let Some(Template::Instruct(mut chatml)) = shipped_template("chatml") else { panic!() };
    chatml.context.story_string = "{{system}}".to_owned();
    let text = prompt(&Template::Instruct(chatml), &[]).text;
    for lore in everywhere() {
        assert_eq!(text.matches(lore.text).count(), 1, "{}: {text}", lore.text);
    }
}

#[test]
fn where_room_is_short_lore_falls_out_by_rank_and_is_accounted_for() {
    let texts: Vec<String> = (0..10).map(|i| format!("lore {i} {}", "x".repeat(91))).collect();
    let places = [LorePosition::BeforeCharacters, LorePosition::NoteTop];
    let lore: Vec<_> = texts
        .iter()
        .enumerate()
        .map(|(i, text)| PromptLore { keep_rank: [5, 3, 4][i % 3], ..lore(text, places[i % 2]) })
        .collect();
    let said = said(&[(true, "Mira", &"z".repeat(500)), (false, "Ana", &"y".repeat(100))]);
    let (cast, people) = ([character("Mira", "A smith.")], [person("Ana", "")]);
    for template in [Template::Limarp, shipped_template("chatml").unwrap()] {
        let turns = turns(&said);
        let inputs = PromptInputs {
            template: &template,
            lore: &lore,
            turns: &turns,
            ..inputs(&cast, &people)
        };
        let budget = Budget { context_tokens: 1_000, reply_tokens: 100 };
        let Trimmed { lore: gone, num_turns, .. } = built(&inputs, budget).unwrap().receipt.trimmed;
        let mut by_rank: Vec<_> = lore.iter().enumerate().collect();
        by_rank.sort_by_key(|(i, lore)| (lore.keep_rank, *i));
        let mut expected = by_rank[..gone.len()].to_vec();
        expected.sort_by_key(|(i, _)| *i);
        let labels = expected.iter().map(|(_, lore)| lore.label);
        assert!(gone.iter().map(|lore| lore.label.as_str()).eq(labels), "{gone:?}");
        assert!((3..8).contains(&gone.len()), "{gone:?}");
        assert_eq!(num_turns, 1);
        let bare = PromptInputs { lore: &[], ..inputs };
        let num_bare = built(&bare, AMPLE).unwrap().receipt.num_tokens;
        let tight = Budget { context_tokens: num_bare - 500, reply_tokens: 1 };
        let trimmed = built(&inputs, tight).unwrap().receipt.trimmed;
        assert_eq!(trimmed.lore.len(), 10, "all of it goes before anything fails");
        assert!(trimmed.lore.iter().all(|lore| lore.num_tokens == 98));
    }
}
