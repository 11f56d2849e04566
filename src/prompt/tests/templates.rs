use super::*;
use crate::domain::NamesBehavior;
use crate::prompt::shipped_template;

/// The control tokens that templates spell, all in one vocabulary.
const CONTROL: [&str; 9] = [
    "<|im_start|>",
    "<|im_end|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
    "[INST]",
    "[/INST]",
    "<s>",
    "</s>",
];

const HISTORY: [(bool, &str, &str); 3] = [
    (true, "Mira", "*She looks up.* We are closed."),
    (false, "Ana", "At noon?"),
    (true, "Mira", "At noon."),
];

/// A scene with a bit of everything, in a shipped template.
fn played(name: &str, num_turns: usize) -> Prompt {
    let template = shipped_template(name).unwrap();
    let said = said(&HISTORY[..num_turns]);
    let cast = [PromptCharacter { personality: "Curt.", ..character("Mira", "A smith.") }];
    let people = [person("Ana", "A knight.")];
    let inputs = PromptInputs {
        template: &template,
        scenario: "{{user}} enters.",
        turns: &turns(&said),
        notes: &[note("It rains.", 1)],
        ..inputs(&cast, &people)
    };
    let tokenizer = Tokenizer::bytes_with_control(&CONTROL);
    let prompt = build(&inputs, &tokenizer, AMPLE).unwrap();
    let num_tokens: usize = prompt.receipt.sections.iter().map(|section| section.num_tokens).sum();
    assert_eq!(prompt.token_ids.len(), num_tokens);
    prompt
}

fn shown(name: &str, num_turns: usize) -> String {
    let prompt = played(name, num_turns);
    let stops = prompt.stops.join("|").replace('\n', "⏎");
    format!("{}¶\n{stops}", prompt.text)
}

#[test]
fn alpaca() {
    insta::assert_snapshot!(shown("alpaca", 3), @r#"
    Play the role of Mira. You must engage in a roleplaying chat with Ana below this line. Do not write dialogues and narration for Ana.

    Mira's Persona: A smith.

    Mira's manner: Curt.

    Ana's Persona: A knight.

    What happens: Ana enters.

    ### Response:
    *She looks up.* We are closed.

    ### Instruction:
    At noon?

    ### Input:
    It rains.

    ### Response:
    At noon.

    ### Response:
    ¶
    ⏎### Instruction:|⏎### Response:|⏎### Input:|⏎Ana:
    "#);
}

#[test]
fn alpaca_names() {
    insta::assert_snapshot!(shown("alpaca-names", 1), @r#"
    Play the role of Mira. You must engage in a roleplaying chat with Ana below this line. Do not write dialogues and narration for Ana.

    Mira's Persona: A smith.

    Mira's manner: Curt.

    Ana's Persona: A knight.

    What happens: Ana enters.

    ### Input:
    It rains.

    ### Response:
    Mira: *She looks up.* We are closed.

    ### Response:
    Mira:¶
    ⏎### Instruction:|⏎### Response:|⏎### Input:|⏎Ana:
    "#);
}

#[test]
fn chatml() {
    insta::assert_snapshot!(shown("chatml", 3), @r#"
    <|im_start|>system
    Play the role of Mira. You must engage in a roleplaying chat with Ana below this line. Do not write dialogues and narration for Ana.

    Mira's Persona: A smith.

    Mira's manner: Curt.

    Ana's Persona: A knight.

    What happens: Ana enters.<|im_end|>
    <|im_start|>assistant
    Mira: *She looks up.* We are closed.<|im_end|>
    <|im_start|>user
    Ana: At noon?<|im_end|>
    <|im_start|>system
    It rains.<|im_end|>
    <|im_start|>assistant
    Mira: At noon.<|im_end|>
    <|im_start|>assistant
    Mira:¶
    <|im_end|>|⏎<|im_start|>user|⏎<|im_start|>assistant|⏎<|im_start|>system|⏎Ana:
    "#);
}

#[test]
fn llama_2_chat() {
    insta::assert_snapshot!(shown("llama-2-chat", 3), @r#"
    [INST] <<SYS>>
    Play the role of Mira. You must engage in a roleplaying chat with Ana below this line. Do not write dialogues and narration for Ana.

    Mira's Persona: A smith.

    Mira's manner: Curt.

    Ana's Persona: A knight.

    What happens: Ana enters.
    <</SYS>>

    Ana: Begin. [/INST] Mira: *She looks up.* We are closed. </s><s>[INST] Ana: At noon? [/INST]<s>[INST] It rains. [/INST] Mira: At noon. </s> Mira:¶
    [INST]|<s>[INST]|⏎Ana:
    "#);
}

#[test]
fn llama_3_instruct() {
    insta::assert_snapshot!(shown("llama-3-instruct", 3), @r#"
    <|start_header_id|>system<|end_header_id|>

    Play the role of Mira. You must engage in a roleplaying chat with Ana below this line. Do not write dialogues and narration for Ana.

    Mira's Persona: A smith.

    Mira's manner: Curt.

    Ana's Persona: A knight.

    What happens: Ana enters.<|eot_id|><|start_header_id|>assistant<|end_header_id|>

    Mira: *She looks up.* We are closed.<|eot_id|><|start_header_id|>user<|end_header_id|>

    Ana: At noon?<|eot_id|><|start_header_id|>system<|end_header_id|>

    It rains.<|eot_id|><|start_header_id|>assistant<|end_header_id|>

    Mira: At noon.<|eot_id|><|start_header_id|>assistant<|end_header_id|>

    Mira:¶
    <|eot_id|>|<|start_header_id|>user<|end_header_id|>|<|start_header_id|>assistant<|end_header_id|>|<|start_header_id|>system<|end_header_id|>|⏎Ana:
    "#);
}

#[test]
fn mistral_instruct() {
    insta::assert_snapshot!(shown("mistral-instruct-v1", 3), @r#"
    [INST] Play the role of Mira. You must engage in a roleplaying chat with Ana below this line. Do not write dialogues and narration for Ana.

    Mira's Persona: A smith.

    Mira's manner: Curt.

    Ana's Persona: A knight.

    What happens: Ana enters.

    Ana: Begin. [/INST] Mira: *She looks up.* We are closed.</s> [INST] Ana: At noon? [/INST] [INST] It rains. [/INST] Mira: At noon.</s> Mira:¶
     [INST]|⏎Ana:
    "#);
    insta::assert_snapshot!(shown("mistral-instruct-v3", 3), @r#"
    [INST] Play the role of Mira. You must engage in a roleplaying chat with Ana below this line. Do not write dialogues and narration for Ana.

    Mira's Persona: A smith.

    Mira's manner: Curt.

    Ana's Persona: A knight.

    What happens: Ana enters.

    Ana: Begin.[/INST] Mira: *She looks up.* We are closed.</s>[INST] Ana: At noon?[/INST][INST] It rains.[/INST] Mira: At noon.</s> Mira:¶
    [INST]|⏎Ana:
    "#);
}

#[test]
fn plain() {
    insta::assert_snapshot!(shown("plain", 3), @r#"
    Play the role of Mira. You must engage in a roleplaying chat with Ana below this line. Do not write dialogues and narration for Ana.

    Mira's Persona: A smith.

    Mira's manner: Curt.

    Ana's Persona: A knight.

    What happens: Ana enters.

    ***
    Mira: *She looks up.* We are closed.
    Ana: At noon?
    [Note: It rains.]
    Mira: At noon.
    Mira:¶
    [Note:|⏎Ana:
    "#);
}

#[test]
fn vicuna() {
    insta::assert_snapshot!(shown("vicuna-1.1", 3), @r#"
    Play the role of Mira. You must engage in a roleplaying chat with Ana below this line. Do not write dialogues and narration for Ana.

    Mira's Persona: A smith.

    Mira's manner: Curt.

    Ana's Persona: A knight.

    What happens: Ana enters. ASSISTANT: Mira: *She looks up.* We are closed.</s>USER: Ana: At noon? USER: It rains. ASSISTANT: Mira: At noon.</s>ASSISTANT: Mira:¶
    USER:|ASSISTANT:|⏎Ana:
    "#);
}

#[test]
fn smollm2s_own_template_makes_the_same_of_the_same_messages() {
    // What the GGUF's `tokenizer.chat_template` renders for these three messages, with
    // `add_generation_prompt`.
    let published = "<|im_start|>system\nBe Mira.<|im_end|>\n<|im_start|>user\nHi.<|im_end|>\n\
                     <|im_start|>assistant\n";
    let said = said(&[(false, "Ana", "Hi.")]);
    let (cast, people) = ([character("Mira", "")], [person("Ana", "")]);
    let template = nameless("chatml");
    let inputs = PromptInputs {
        template: &template,
        system_prompt: "Be Mira.",
        turns: &turns(&said),
        ..inputs(&cast, &people)
    };
    assert_eq!(build(&inputs, &Tokenizer::bytes(), AMPLE).unwrap().text, published);
}

#[test]
fn llama_2_mistral_and_vicuna_as_they_are_published() {
    let said = said(&[(false, "Ana", "Hi."), (true, "Mira", "Yes?"), (false, "Ana", "Bye.")]);
    let (cast, people) = ([character("Mira", "")], [person("Ana", "")]);
    for (name, published) in [
        (
            "llama-2-chat",
            "[INST] <<SYS>>\nBe Mira.\n<</SYS>>\n\nHi. [/INST] Yes? </s><s>[INST] Bye. [/INST]",
        ),
        ("mistral-instruct-v1", "[INST] Be Mira.\n\nHi. [/INST] Yes?</s> [INST] Bye. [/INST]"),
        ("mistral-instruct-v3", "[INST] Be Mira.\n\nHi.[/INST] Yes?</s>[INST] Bye.[/INST]"),
        ("vicuna-1.1", "Be Mira. USER: Hi. ASSISTANT: Yes?</s>USER: Bye. ASSISTANT:"),
        (
            "llama-3-instruct",
            "<|start_header_id|>system<|end_header_id|>\n\nBe Mira.<|eot_id|>\
             <|start_header_id|>user<|end_header_id|>\n\nHi.<|eot_id|>\
             <|start_header_id|>assistant<|end_header_id|>\n\nYes?<|eot_id|>\
             <|start_header_id|>user<|end_header_id|>\n\nBye.<|eot_id|>\
             <|start_header_id|>assistant<|end_header_id|>\n\n",
        ),
        (
            "alpaca",
            "Be Mira.\n\n### Instruction:\nHi.\n\n### Response:\nYes?\n\n\
             ### Instruction:\nBye.\n\n### Response:\n",
        ),
    ] {
        let template = nameless(name);
        let inputs = PromptInputs {
            template: &template,
            system_prompt: "Be Mira.",
            turns: &turns(&said),
            ..inputs(&cast, &people)
        };
        assert_eq!(build(&inputs, &Tokenizer::bytes(), AMPLE).unwrap().text, published, "{name}");
    }
}

/// A shipped template that names nobody.
fn nameless(name: &str) -> Template {
    let Some(Template::Instruct(mut template)) = shipped_template(name) else {
        panic!("{name} is data");
    };
    template.instruct.names_behavior = NamesBehavior::None;
    Template::Instruct(template)
}

/// A block that ends in white space gives it to the next one.
#[test]
fn blocks_are_cut_where_tokens_are() {
    let (cast, people) = ([character("Mira", "A smith.")], [person("Ana", "")]);
    for name in ["alpaca", "plain", "vicuna-1.1"] {
        let template = shipped_template(name).unwrap();
        let prompt =
            built(&PromptInputs { template: &template, ..inputs(&cast, &people) }, AMPLE).unwrap();
        let [_, role_line, description, ..] = &prompt.receipt.sections[..] else { panic!() };
        let line = prompt.text.lines().next().unwrap();
        assert_eq!(role_line.num_tokens, line.len(), "{name}");
        assert_eq!(description.num_tokens, "\n\nMira's Persona: A smith.".len(), "{name}");
    }
}
