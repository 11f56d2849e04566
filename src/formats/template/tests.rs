use proptest::prelude::*;

use super::*;
use crate::domain::{ContextLayout, SystemPrompt};

fn file(text: &str) -> TemplateFile {
    TemplateFile::read_json(text, &Limits::default()).unwrap()
}

/// As the author of LimaRP publishes his, in the older spelling.
const OLDER: &str = r####"{"name":"LimaRP","system_prompt":"Play.","input_sequence":"\n### Input:",
    "output_sequence":"\n### Response:","last_output_sequence":"\n### Response: (length = medium)",
    "system_sequence_prefix":"### Instruction:","stop_sequence":"### Input:","separator_sequence":"\n",
    "wrap":true,"macro":true,"names":true,"names_force_groups":true,"extra":[ 1.0 ]}"####;

#[test]
fn an_instruct_template_in_the_older_spelling() {
    let file = file(OLDER);
    assert_eq!(file.kind(), TemplateKind::Instruct);
    let template = file.to_template().unwrap();
    assert_eq!(
        (template.name.as_str(), template.system_prompt.content.as_str()),
        ("LimaRP", "Play.")
    );
    let InstructSequences { output_suffix, story_string_prefix, names_behavior, .. } =
        &template.instruct;
    assert_eq!((output_suffix.as_str(), story_string_prefix.as_str()), ("\n", "### Instruction:"));
    assert_eq!(*names_behavior, NamesBehavior::Always);
    assert_eq!(file.with_template(&template).unwrap(), file);
}

#[test]
fn what_is_not_changed_keeps_its_spelling() {
    let file = file(OLDER);
    let mut template = file.to_template().unwrap();
    template.instruct.output_suffix = "\n\n".to_owned();
    template.instruct.wrap = false;
    let written = file.with_template(&template).unwrap();
    assert_eq!(written.to_template().unwrap(), template);
    let expected = file.to_json().replace(r#""wrap":true"#, r#""wrap":false"#);
    let expected = expected.replace("[ 1.0 ]}", r#"[ 1.0 ],"output_suffix":"\n\n"}"#);
    assert_eq!(written.to_json(), expected);
}

#[test]
fn a_part_that_does_not_change_keeps_even_what_it_has_twice() {
    let text = r#"{"instruct":{"name":"a","wrap":true,"wrap":false},"context":{"name":"b"}}"#;
    let mut template = file(text).to_template().unwrap();
    assert_eq!(file(text).with_template(&template).unwrap().to_json(), text);
    template.context.chat_start = "***".to_owned();
    let written = file(text).with_template(&template).unwrap().to_json();
    let expected = text.replace(r#""b"}"#, r#""b","chat_start":"***"}"#);
    assert_eq!(written, expected);
}

#[test]
fn parts_come_together_from_several_files() {
    let mut template = file(OLDER).to_template().unwrap();
    let context =
        r#"{"story_string":"{{system}}","chat_start":"***","trim_sentences":1,"name":"C"}"#;
    file(context).apply_to(&mut template).unwrap();
    file(r#"{"name":"S","content":"Write.","post_history":"Go on."}"#)
        .apply_to(&mut template)
        .unwrap();
    assert_eq!(template.instruct.input_sequence, "\n### Input:");
    assert_eq!(
        (template.context.chat_start.as_str(), template.context.trim_sentences),
        ("***", true)
    );
    assert!(template.context.names_as_stop_strings, "as SillyTavern has it where it is not said");
    assert_eq!(template.system_prompt.post_history, "Go on.");
    assert_eq!(template.name, "S");
    let master = TemplateFile::from_template(&template);
    assert_eq!(master.kind(), TemplateKind::Master);
    assert_eq!(master.to_template().unwrap(), template);
}

#[test]
fn what_is_no_template_is_refused() {
    let kind = |text| TemplateFile::read_json(text, &Limits::default()).unwrap_err().kind();
    assert_eq!(kind("{}"), "unknown_format");
    assert_eq!(kind("\"x\""), "type");
    let error =
        file(r#"{"input_sequence":"","names_behavior":"often"}"#).to_template().unwrap_err();
    insta::assert_snapshot!(error, @"names_behavior is another word, but must be none, force or always; change it or take it out");
    assert_eq!(file(r#"{"input_sequence":{}}"#).to_template().unwrap_err().kind(), "type");
}

fn template() -> impl Strategy<Value = InstructTemplate> {
    let texts = prop::collection::vec("\\PC{0,6}", 8);
    let flags = prop::collection::vec(any::<bool>(), 6);
    let names = prop_oneof![
        Just(NamesBehavior::None),
        Just(NamesBehavior::Force),
        Just(NamesBehavior::Always)
    ];
    (texts, flags, names).prop_map(|(texts, flags, names_behavior)| {
        let [name, input, output, suffix, story, start, content, first] = &texts[..] else {
            unreachable!()
        };
        InstructTemplate {
            name: format!("n{name}"),
            instruct: InstructSequences {
                input_sequence: input.clone(),
                output_sequence: output.clone(),
                output_suffix: suffix.clone(),
                first_input_sequence: first.clone(),
                wrap: flags[0],
                expands_macros: flags[1],
                skip_examples: flags[2],
                names_behavior,
                ..InstructSequences::default()
            },
            context: ContextLayout {
                story_string: story.clone(),
                chat_start: start.clone(),
                single_line: flags[3],
                names_as_stop_strings: flags[4],
                ..ContextLayout::default()
            },
            system_prompt: SystemPrompt { content: content.clone(), post_history: first.clone() },
        }
    })
}

proptest! {
    #[test]
    fn templates_survive_the_way_there_and_back(a in template(), b in template()) {
        let file = TemplateFile::from_template(&a);
        let again = TemplateFile::read_json(&file.to_json(), &Limits::default()).unwrap();
        prop_assert_eq!(again.to_template().unwrap(), a.clone());
        prop_assert_eq!(&again.with_template(&a).unwrap(), &file);
        prop_assert_eq!(again.with_template(&b).unwrap().to_template().unwrap(), b);
    }

    #[test]
    fn no_document_panics(text in "[{}\\[\\]\":,a-z0-9_ ]{0,60}") {
        if let Ok(file) = TemplateFile::read_json(&text, &Limits::default()) {
            let _ = file.to_template();
        }
    }
}
