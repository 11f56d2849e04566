use super::*;

fn budget(context_tokens: usize) -> Budget {
    Budget { context_tokens, reply_tokens: 100 }
}

fn refused(inputs: &PromptInputs<'_>, budget: Budget) -> PromptError {
    built(inputs, budget).unwrap_err()
}

#[test]
fn a_reply_as_long_as_the_context_leaves_no_room() {
    let (cast, people) = ([character("Mira", "")], [person("Ana", "")]);
    let error = refused(&inputs(&cast, &people), budget(100));
    assert_eq!(error, PromptError::NoRoom { context_tokens: 100, reply_tokens: 100 });
}

#[test]
fn a_giant_description_is_named() {
    let description = "x".repeat(200_000);
    let (cast, people) = ([character("Mira", &description)], [person("Ana", "")]);
    let error = refused(&inputs(&cast, &people), budget(2_148));
    insta::assert_snapshot!(error, @"200207 tokens must stand in every prompt of this scene but 2048 fit; the largest part is the character (Mira) with 200033 tokens: shorten it, or choose a larger context");
    assert_eq!(error.kind(), "sections_too_large");
}

#[test]
fn a_giant_message_is_named() {
    let said = said(&[(false, "Ana", "Hi."), (false, "Ana", &"x".repeat(200_000))]);
    let (cast, people) = ([character("Mira", "A smith.")], [person("Ana", "")]);
    let turns = turns(&said);
    let inputs = PromptInputs { turns: &turns, ..inputs(&cast, &people) };
    insta::assert_snapshot!(refused(&inputs, budget(2_148)), @"the message by Ana is 200018 tokens long but 1833 fit beside the rest; shorten it, or choose a larger context");
    let old = PromptInputs { turns: &turns[..1], ..inputs };
    built(&old, budget(2_148)).unwrap();
}

#[test]
fn a_message_is_not_blamed_for_a_description_that_leaves_it_no_room() {
    let said = said(&[(false, "Ana", &"y".repeat(100))]);
    let description = "x".repeat(1_800);
    let (cast, people) = ([character("Mira", &description)], [person("Ana", "")]);
    let turns = turns(&said);
    let inputs = PromptInputs { turns: &turns, ..inputs(&cast, &people) };
    insta::assert_snapshot!(refused(&inputs, budget(2_148)), @"2125 tokens must stand in every prompt of this scene but 2048 fit; the largest part is the character (Mira) with 1833 tokens: shorten it, or choose a larger context");
}

#[test]
fn a_cast_without_the_one_who_answers_is_refused() {
    let people = [person("Ana", "")];
    let error = refused(&inputs(&[], &people), AMPLE);
    assert_eq!(error, PromptError::NobodyAnswers { answering: 0, cast: 0 });
}

#[test]
fn the_budget_is_kept_to_the_token() {
    let said = said(&[(false, "Ana", "Hi."), (true, "Mira", "Well."), (false, "Ana", "So?")]);
    let (cast, people) = ([character("Mira", "A smith.")], [person("Ana", "")]);
    let turns = turns(&said);
    let inputs = PromptInputs { turns: &turns, ..inputs(&cast, &people) };
    let needed = built(&inputs, AMPLE).unwrap().receipt.num_tokens;
    let exact = built(&inputs, budget(needed + 100)).unwrap();
    assert_eq!((exact.receipt.num_tokens, exact.anchor), (needed, None));
    let short = built(&inputs, budget(needed + 99)).unwrap();
    assert_eq!(short.receipt.trimmed.num_turns, 2);
    assert_eq!(short.anchor, Some(TurnId(3)));
}

#[test]
fn examples_go_before_turns_do_and_stay_away() {
    let said = said(&[(false, "Ana", "Hi."), (true, "Mira", "Well."), (false, "Ana", "So?")]);
    let example_dialogue = "<START>\n{{char}}: One.\n<START>\n{{char}}: Two.";
    let cast = [PromptCharacter { example_dialogue, ..character("Mira", "A smith.") }];
    let people = [person("Ana", "")];
    let turns = turns(&said);
    let inputs = PromptInputs { turns: &turns, ..inputs(&cast, &people) };
    let needed = built(&inputs, AMPLE).unwrap().receipt.num_tokens;
    let trimmed = |context| built(&inputs, budget(context)).unwrap().receipt.trimmed;
    assert_eq!((trimmed(needed + 100).num_examples, trimmed(needed + 100).num_turns), (0, 0));
    assert_eq!((trimmed(needed + 99).num_examples, trimmed(needed + 99).num_turns), (1, 0));
    let one_example = "\n\n### Response:\nMira: One.".len();
    let without = needed - 2 * one_example;
    assert_eq!((trimmed(without + 100).num_examples, trimmed(without + 100).num_turns), (2, 0));
    assert_eq!((trimmed(without + 99).num_examples, trimmed(without + 99).num_turns), (2, 2));
}

#[test]
fn the_last_word_of_a_person_stays_however_long_the_characters_talk() {
    let mut talk = vec![(true, "Mira", "Before."), (false, "Ana", "Tell me all.")];
    talk.extend([(true, "Mira", "There was a king once."); 100]);
    let said = said(&talk);
    let (cast, people) = ([character("Mira", "A smith.")], [person("Ana", "")]);
    let turns = turns(&said);
    let prompt =
        built(&PromptInputs { turns: &turns, ..inputs(&cast, &people) }, budget(2_148)).unwrap();
    assert!(prompt.text.contains("Tell me all."));
    assert!(!prompt.text.contains("Before."));
    let kept = prompt.text.matches("There was a king once.").count();
    assert_eq!(prompt.receipt.trimmed.num_turns, 101 - kept);
}

#[test]
fn an_anchor_that_is_gone_is_as_good_as_none() {
    let said = said(&[(false, "Ana", "There was a king once."); 100]);
    let (cast, people) = ([character("Mira", "A smith.")], [person("Ana", "")]);
    let turns = turns(&said);
    let with = |anchor| {
        let inputs = PromptInputs { turns: &turns, anchor, ..inputs(&cast, &people) };
        built(&inputs, budget(2_148)).unwrap()
    };
    assert_eq!(with(Some(TurnId(777))), with(None));
    let anchor = with(None).anchor;
    assert_eq!(with(anchor), with(None), "the same place again");
    let older = anchor.map(|TurnId(id)| TurnId(id - 5));
    assert_eq!(with(older).anchor, older, "an anchor that still fits holds");
}
